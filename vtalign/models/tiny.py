"""A tiny video LLM: the Qwen3-VL architecture with a small config, and a tokenizer, processor and chat template of our own.

Built without network; saves and loads through AutoProcessor / AutoModelForImageTextToText like any other checkpoint.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GenerationConfig,
    PreTrainedTokenizerFast,
    Qwen2VLImageProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

from vtalign.artifacts import write_json
from vtalign.video.sample import FramePolicy

SIDE, PATCH, MERGE, TEMPORAL_PATCH, MAX_FRAMES = 48, 8, 2, 2, 64
POLICY = FramePolicy(fps=2.0, max_frames=MAX_FRAMES, max_pixels=SIDE * SIDE, multiple=PATCH * MERGE)
SPECIAL_TOKENS = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
]
# The processor writes <|vision_start|> and <|vision_end|> around every temporal patch of a video itself.
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif part['type'] == 'video' %}<|video_pad|>"
    "{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def build_tokenizer(sentences: Iterable[str], *, vocabulary: int = 640) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer trained on `sentences`; it can spell any text, and knows their words whole."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    frame_text = ["<0.1 seconds>", "user\n", "assistant\n", "system\n"] * 500
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=SPECIAL_TOKENS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([*sentences, *frame_text], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        padding_side="left",
        clean_up_tokenization_spaces=False,
        model_max_length=8192,
    )


def build_processor(tokenizer: PreTrainedTokenizerFast) -> Qwen3VLProcessor:
    """Image and video processors for SIDE x SIDE frames; a Qwen3-VL size counts the pixels of all frames together."""
    patches: dict[str, Any] = {"patch_size": PATCH, "merge_size": MERGE, "temporal_patch_size": TEMPORAL_PATCH}
    frame = SIDE * SIDE
    return Qwen3VLProcessor(
        image_processor=Qwen2VLImageProcessor(**patches, size={"shortest_edge": frame, "longest_edge": frame}),
        tokenizer=tokenizer,
        video_processor=Qwen3VLVideoProcessor(
            **patches,
            do_sample_frames=False,
            cap_pixels_per_frame=False,
            size={"shortest_edge": TEMPORAL_PATCH * frame, "longest_edge": MAX_FRAMES * frame},
        ),
        chat_template=CHAT_TEMPLATE,
    )


def build_tiny(
    sentences: Iterable[str],
    *,
    seed: int = 0,
    width: int = 128,
    layers: int = 4,
    heads: int = 4,
    key_value_heads: int = 2,
    mlp: int = 384,
    vision_width: int = 96,
    vision_layers: int = 3,
    vision_heads: int = 4,
    initializer_range: float = 0.07,
) -> tuple[Qwen3VLForConditionalGeneration, Qwen3VLProcessor]:
    """A randomly initialised model in float32 and its processor.

    `initializer_range` 0.07 instead of the usual 0.02: at this width a model started at 0.02 learns several times slower.
    """
    processor = build_processor(build_tokenizer(sentences))
    tokenizer = processor.tokenizer
    head = width // heads
    token = tokenizer.convert_tokens_to_ids
    config = Qwen3VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": width,
            "intermediate_size": mlp,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "num_key_value_heads": key_value_heads,
            "head_dim": head,
            "max_position_embeddings": 8192,
            "pad_token_id": tokenizer.pad_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "initializer_range": initializer_range,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": [head // 2 - 2 * (head // 6), head // 6, head // 6],
                "mrope_interleaved": True,
            },
        },
        vision_config={
            "depth": vision_layers,
            "hidden_size": vision_width,
            "intermediate_size": 2 * vision_width,
            "num_heads": vision_heads,
            "patch_size": PATCH,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": TEMPORAL_PATCH,
            "out_hidden_size": width,
            "num_position_embeddings": (SIDE // PATCH) ** 2,
            "deepstack_visual_indexes": [1],
            "initializer_range": initializer_range,
        },
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=True,
    )
    config.initializer_range = initializer_range
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Qwen3VLForConditionalGeneration(config)
    model.generation_config = GenerationConfig(eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    return model, processor


def save_tiny(model: Qwen3VLForConditionalGeneration, processor: Qwen3VLProcessor, folder: Path) -> None:
    """Write the checkpoint with the frame policy that it was made for."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    write_json(folder / "frame_policy.json", POLICY.model_dump(mode="json"))
