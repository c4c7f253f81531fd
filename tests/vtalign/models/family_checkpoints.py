"""Small checkpoints of every family, built offline: two layers, random weights large enough that a wrong mask or position shows.

Chat templates have the shapes of the published ones, with their traps: white space that differs between a generation prompt and a
response (LLaVA-OneVision), a space in front of a response (SmolVLM), a turn that the tokenizer has to close and a first token that
it adds by itself (LLaVA-NeXT-Video).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

SENTENCES = ["a red square moves left , then a blue circle grows .", "describe the video .", "what happens first ?"] * 20
SIDE, PATCH = 16, 4  # of the fixed towers; patch towers take any multiple of 8
WIDTH, VISION = 64, 32
TEXT = {
    "hidden_size": WIDTH,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
    "bos_token_id": None,
}
TOWER = {
    "hidden_size": VISION,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": SIDE,
    "patch_size": PATCH,
}
SAMPLING = {"do_sample_frames": False}
QWEN_TOKENS = ["<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"]
PARTS = (
    "{% if m['content'] is string %}{{ m['content'] }}{% else %}{% for c in m['content'] %}"
    "{% if c['type'] == 'video' %}VIDEO{% elif c['type'] == 'image' %}IMAGE{% elif c['type'] == 'text' %}{{ c['text'] }}{% endif %}"
    "{% endfor %}{% endif %}"
)
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    + PARTS
    + "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
ONEVISION = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }} {% if m['role'] == 'assistant' %}{{ '\n' }}{% endif %}"
    + PARTS
    + "<|im_end|>{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
VICUNA = (
    "{% for m in messages %}{{ m['role'].upper() }}: "
    + PARTS
    + " {% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
QWEN_VIDEO = "<|vision_start|><|video_pad|><|vision_end|>"
QWEN_IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"  # images are what a chat server is sent


def build_tokenizer(special: list[str], *, bos: str | None = None, eos: str = "<|im_end|>", **named: str) -> Any:
    """A byte-level BPE tokenizer; with `bos` it begins every text with that token. `named`: tokens that processors ask for."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    words = ["user\n", "assistant\n", "USER: ", "ASSISTANT:", "Frame from 00:01:", "Time 1.0s:"] * 50
    trainer = trainers.BpeTrainer(
        vocab_size=360,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>", *special],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([*SENTENCES, *words], trainer)
    if bos is not None:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", special_tokens=[(bos, tokenizer.token_to_id(bos))]
        )
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|endoftext|>",
        eos_token=eos,
        bos_token=bos,
        padding_side="left",
        clean_up_tokenization_spaces=False,
        model_max_length=4096,
        extra_special_tokens=named,
    )


def _shown(template: str, video: str, image: str) -> str:
    """`template` with the tokens that stand for a video and for an image."""
    return template.replace("VIDEO", video).replace("IMAGE", image)


def _text(tokenizer: Any, **changed: Any) -> dict[str, Any]:
    return {
        **TEXT,
        "vocab_size": len(tokenizer),
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        **changed,
    }


def _qwen_ids(tokenizer: Any) -> dict[str, Any]:
    names = {"image_token_id": "image_pad", "video_token_id": "video_pad"}
    names |= {"vision_start_token_id": "vision_start", "vision_end_token_id": "vision_end"}
    ids = {key: tokenizer.convert_tokens_to_ids(f"<|{name}|>") for key, name in names.items()}
    return {**ids, "tie_word_embeddings": True}


def _qwen_processor(kind: Any, video: Any, tokenizer: Any, template: str) -> Any:
    cut = {"patch_size": PATCH, "merge_size": 2, "temporal_patch_size": 2, "size": {"shortest_edge": 64, "longest_edge": 4096}}
    return kind(
        image_processor=hf.Qwen2VLImageProcessor(**cut),
        tokenizer=tokenizer,
        video_processor=video(**cut, **SAMPLING, cap_pixels_per_frame=False),
        chat_template=template,
    )


def _mrope(**more: Any) -> dict[str, Any]:
    return {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 2, 2], **more}}


def qwen2_vl() -> tuple[Any, Any]:
    tokenizer = build_tokenizer(QWEN_TOKENS)
    vision = {"depth": 2, "embed_dim": VISION, "hidden_size": WIDTH, "mlp_ratio": 2, "num_heads": 2, "patch_size": PATCH}
    config = hf.Qwen2VLConfig(text_config=_text(tokenizer, **_mrope()), vision_config=vision, **_qwen_ids(tokenizer))
    template = _shown(CHATML, QWEN_VIDEO, QWEN_IMAGE)
    processor = _qwen_processor(hf.Qwen2VLProcessor, hf.Qwen2VLVideoProcessor, tokenizer, template)
    return hf.Qwen2VLForConditionalGeneration(config), processor


def qwen2_5_vl() -> tuple[Any, Any]:
    tokenizer = build_tokenizer(QWEN_TOKENS)
    vision = {
        "depth": 2,
        "hidden_size": VISION,
        "intermediate_size": 48,
        "num_heads": 2,
        "patch_size": PATCH,
        "tokens_per_second": 4,
        "window_size": 16,
        "fullatt_block_indexes": [1],
        "out_hidden_size": WIDTH,
    }
    config = hf.Qwen2_5_VLConfig(text_config=_text(tokenizer, **_mrope()), vision_config=vision, **_qwen_ids(tokenizer))
    template = _shown(CHATML, QWEN_VIDEO, QWEN_IMAGE)
    processor = _qwen_processor(hf.Qwen2_5_VLProcessor, hf.Qwen2VLVideoProcessor, tokenizer, template)
    return hf.Qwen2_5_VLForConditionalGeneration(config), processor


def _qwen3(config_kind: Any, model_kind: Any, **experts: Any) -> tuple[Any, Any]:
    tokenizer = build_tokenizer(QWEN_TOKENS)
    vision = {
        "depth": 2,
        "hidden_size": VISION,
        "intermediate_size": 48,
        "num_heads": 2,
        "patch_size": PATCH,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "out_hidden_size": WIDTH,
        "num_position_embeddings": 16,
        "deepstack_visual_indexes": [0],
    }
    text = _text(tokenizer, head_dim=16, **_mrope(mrope_interleaved=True), **experts)
    config = config_kind(text_config=text, vision_config=vision, **_qwen_ids(tokenizer))
    # this family's processor writes the tokens around a video itself
    template = _shown(CHATML, "<|video_pad|>", QWEN_IMAGE)
    processor = _qwen_processor(hf.Qwen3VLProcessor, hf.Qwen3VLVideoProcessor, tokenizer, template)
    return model_kind(config), processor


def qwen3_vl() -> tuple[Any, Any]:
    return _qwen3(hf.Qwen3VLConfig, hf.Qwen3VLForConditionalGeneration)


def qwen3_vl_moe() -> tuple[Any, Any]:
    experts = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "decoder_sparse_step": 1}
    return _qwen3(hf.Qwen3VLMoeConfig, hf.Qwen3VLMoeForConditionalGeneration, **experts)


def llava_onevision() -> tuple[Any, Any]:
    named = {"image_token": "<image>", "video_token": "<video>"}
    tokenizer = build_tokenizer(list(named.values()), **named)
    size = {"height": SIDE, "width": SIDE}
    processor = hf.LlavaOnevisionProcessor(
        image_processor=hf.LlavaOnevisionImageProcessor(size=size, image_grid_pinpoints=[[SIDE, SIDE]]),
        tokenizer=tokenizer,
        video_processor=hf.LlavaOnevisionVideoProcessor(size=size, **SAMPLING),
        num_image_tokens=(SIDE // PATCH) ** 2,
        vision_feature_select_strategy="full",
        chat_template=_shown(ONEVISION, "<video>\n", "<image>\n"),
    )
    config = hf.LlavaOnevisionConfig(
        text_config=_text(tokenizer, model_type="qwen2"),
        vision_config={**TOWER, "model_type": "siglip_vision_model", "vision_use_head": False},
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        video_token_index=tokenizer.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=[[SIDE, SIDE]],
        tie_word_embeddings=True,
    )
    return hf.LlavaOnevisionForConditionalGeneration(config), processor


def llava_next_video() -> tuple[Any, Any]:
    named = {"image_token": "<image>", "video_token": "<video>"}
    tokenizer = build_tokenizer([*named.values(), "<s>", "</s>"], bos="<s>", eos="</s>", **named)
    size = {"shortest_edge": SIDE}
    crop = {"height": SIDE, "width": SIDE}
    processor = hf.LlavaNextVideoProcessor(
        image_processor=hf.LlavaNextImageProcessor(size=size, crop_size=crop, image_grid_pinpoints=[[SIDE, SIDE]]),
        tokenizer=tokenizer,
        video_processor=hf.LlavaNextVideoVideoProcessor(size=size, crop_size=crop, **SAMPLING),
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=_shown(VICUNA, "<video>\n", "<image>\n"),
    )
    config = hf.LlavaNextVideoConfig(
        text_config=_text(tokenizer, model_type="llama"),
        vision_config={**TOWER, "model_type": "clip_vision_model", "projection_dim": VISION},
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        video_token_index=tokenizer.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=[[SIDE, SIDE]],
    )
    return hf.LlavaNextVideoForConditionalGeneration(config), processor


def smolvlm() -> tuple[Any, Any]:
    from transformers.models.smolvlm.processing_smolvlm import DEFAULT_CHAT_TEMPLATE

    named = {
        "image_token": "<image>",
        "fake_image_token": "<fake_token_around_image>",
        "global_image_token": "<global-img>",
        "end_of_utterance_token": "<end_of_utterance>",
    }
    tokenizer = build_tokenizer(list(named.values()), eos="<end_of_utterance>", **named)
    edge = {"size": {"longest_edge": SIDE}, "max_image_size": {"longest_edge": SIDE}}
    processor = hf.SmolVLMProcessor(
        image_processor=hf.SmolVLMImageProcessor(**edge, do_image_splitting=False),
        tokenizer=tokenizer,
        video_processor=hf.SmolVLMVideoProcessor(**edge, **SAMPLING, num_frames=8, fps=1),
        image_seq_len=(SIDE // PATCH) ** 2 // 4,
        chat_template=DEFAULT_CHAT_TEMPLATE,
    )
    config = hf.SmolVLMConfig(
        text_config=_text(tokenizer, model_type="llama"),
        vision_config=TOWER,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        tie_word_embeddings=True,
    )
    return hf.SmolVLMForConditionalGeneration(config), processor


def internvl() -> tuple[Any, Any]:
    named = {
        "start_image_token": "<img>",
        "end_image_token": "</img>",
        "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    }
    tokenizer = build_tokenizer(list(named.values()), **named)
    size, tokens = {"height": SIDE, "width": SIDE}, (SIDE // PATCH) ** 2 // 4
    processor = hf.InternVLProcessor(
        image_processor=hf.GotOcr2ImageProcessor(size=size, crop_to_patches=False),
        tokenizer=tokenizer,
        video_processor=hf.InternVLVideoProcessor(size=size, **SAMPLING),
        image_seq_length=tokens,
        chat_template=_shown(CHATML, "<video>\n", "<IMG_CONTEXT>\n"),
    )
    config = hf.InternVLConfig(
        text_config=_text(tokenizer, model_type="qwen2"),
        vision_config={**TOWER, "image_size": [SIDE, SIDE], "patch_size": [PATCH, PATCH]},
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=tokens,
        tie_word_embeddings=True,
    )
    return hf.InternVLForConditionalGeneration(config), processor


def video_llama_3() -> tuple[Any, Any]:
    named = {"image_token": "<image>", "video_token": "<video>"}
    tokenizer = build_tokenizer(list(named.values()), **named)
    cut = {"patch_size": PATCH, "temporal_patch_size": 1, "size": {"shortest_edge": 64, "longest_edge": 65536}}
    processor = hf.VideoLlama3Processor(
        image_processor=hf.VideoLlama3ImageProcessor(**cut, merge_size=1),
        tokenizer=tokenizer,
        video_processor=hf.VideoLlama3VideoProcessor(**cut, merge_size=2, **SAMPLING),
        chat_template=_shown(CHATML, "<video>\n", "<image>"),
    )
    vision = {key: value for key, value in TOWER.items() if key != "image_size"}
    config = hf.VideoLlama3Config(
        text_config=_text(tokenizer, model_type="qwen2"),
        vision_config=vision,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        video_token_id=tokenizer.convert_tokens_to_ids("<video>"),
        tie_word_embeddings=True,
    )
    return hf.VideoLlama3ForConditionalGeneration(config), processor


BUILDERS: dict[str, Callable[[], tuple[Any, Any]]] = {
    build.__name__: build
    for build in (
        qwen2_vl,
        qwen2_5_vl,
        qwen3_vl,
        qwen3_vl_moe,
        llava_onevision,
        llava_next_video,
        smolvlm,
        internvl,
        video_llama_3,
    )
}

# those whose tower reads frames of SIDE x SIDE pixels and no other
FIXED = frozenset({"llava_onevision", "llava_next_video", "smolvlm", "internvl"})


def write_checkpoint(family: str, folder: Path, scale: float = 0.25) -> Path:
    """The checkpoint of `family` in `folder`, weights drawn from a normal distribution of width `scale`."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, processor = BUILDERS[family]()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim >= 2:
                    parameter.normal_(0, scale)
    tokenizer = processor.tokenizer
    model.generation_config = hf.GenerationConfig(eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
