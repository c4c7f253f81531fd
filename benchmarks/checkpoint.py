"""Checkpoints and data of the benchmarks, made here, without network: random weights of a stated shape, noise as frames.

InternVL, because its video is its frames one by one: a trainer that knows images alone gets the identical prompt.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GenerationConfig,
    GotOcr2ImageProcessor,
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLProcessor,
    InternVLVideoProcessor,
    PreTrainedTokenizerFast,
)

VOCABULARY = 8192
MAX_POSITIONS = 32768
SIDE, PATCH = 128, 8  # pixels: 16 x 16 patches a frame, joined by four
FRAME_TOKENS = (SIDE // PATCH // 2) ** 2
FPS = 2.0  # of the noise; InternVL is not told
_SPECIAL = {
    "start_image_token": "<img>",
    "end_image_token": "</img>",
    "context_image_token": "<IMG_CONTEXT>",
    "video_token": "<video>",
}
_MESSAGE = (
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}<IMG_CONTEXT>"
    "{% elif part['type'] == 'video' %}<video>{% else %}{{ part['text'] }}{% endif %}{% endfor %}"
)
# Nothing stands behind a closed turn: all sides then have the same response tokens.
_CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}" + _MESSAGE + "{% endif %}<|im_end|>{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@dataclass(frozen=True)
class Size:
    """Widths and depths of the language model and of the vision encoder."""

    width: int
    layers: int
    heads: int
    key_value_heads: int
    mlp: int
    vision_width: int
    vision_layers: int
    vision_heads: int


SIZES = {
    "tiny": Size(128, 2, 4, 2, 512, 64, 2, 2),
    # Qwen2-0.5B's width, four layers of it; the encoder costs what Qwen2.5-VL-7B's does beside its language model (see flops.py)
    "medium": Size(896, 4, 14, 2, 4864, 448, 2, 7),
}


@dataclass(frozen=True)
class Texts:
    """A question and responses of exactly so many tokens, end of turn included."""

    question: str
    responses: tuple[str, ...]


def build_checkpoint(size: str, folder: Path, seed: int = 0) -> Path:
    """Write the checkpoint `size` into `folder` where it is not there yet; its folder."""
    target = folder / f"internvl-{size}"
    if (target / "model.safetensors").is_file():
        return target
    processor = _processor(build_tokenizer(list(_SPECIAL.values()), extra_special_tokens=_SPECIAL))
    config = _config(SIZES[size], processor.tokenizer)
    torch.manual_seed(seed)
    model = InternVLForConditionalGeneration(config)
    _scale(model)
    end, pad = processor.tokenizer.eos_token_id, processor.tokenizer.pad_token_id
    model.generation_config = GenerationConfig(eos_token_id=end, pad_token_id=pad)
    target.mkdir(parents=True, exist_ok=True)
    processor.save_pretrained(target)
    model.save_pretrained(target)
    return target


def build_endless_checkpoint(size: str, folder: Path, seed: int = 0) -> Path:
    """As `build_checkpoint`, but the logit of every special token is 0: greedy texts run to their limits, and sampled ones nearly all."""
    target = folder / f"internvl-{size}-endless"
    if (target / "model.safetensors").is_file():
        return target
    plain = build_checkpoint(size, folder, seed)
    processor = InternVLProcessor.from_pretrained(plain)
    model = InternVLForConditionalGeneration.from_pretrained(plain)
    special = [*processor.tokenizer.all_special_ids, *processor.tokenizer.added_tokens_decoder]
    with torch.no_grad():
        model.get_input_embeddings().weight[special] = 0  # and so their logits: the largest of thousands is far above
    target.mkdir(parents=True, exist_ok=True)
    processor.save_pretrained(target)
    model.save_pretrained(target)
    return target


def make_texts(tokenizer: Any, responses: int, tokens: int, seed: int = 0) -> Texts:
    """A question and `responses` different responses of `tokens` tokens each, the end of turn counted."""
    words = _words(tokenizer)
    draw = random.Random(seed)
    question = "".join(draw.choices(words, k=24)) + " ?"
    made = []
    for _ in range(responses):
        text = "".join(draw.choices(words, k=tokens - 1))
        if len(tokenizer(text, add_special_tokens=False)["input_ids"]) != tokens - 1:
            raise ValueError(f"a response of {tokens - 1} words is not of as many tokens")
        made.append(text)
    return Texts(question, tuple(made))


def make_questions(tokenizer: Any, count: int, tokens: int = 24, seed: int = 1) -> tuple[str, ...]:
    """Different questions of about `tokens` tokens."""
    words = _words(tokenizer)
    draw = random.Random(seed)
    return tuple("".join(draw.choices(words, k=tokens)) + " ?" for _ in range(count))


def frame_count(visual_tokens: int) -> int:
    """How many frames make so many visual tokens. Raises ValueError where no whole number does."""
    count, rest = divmod(visual_tokens, FRAME_TOKENS)
    if rest or not count:
        raise ValueError(f"visual tokens come in multiples of {FRAME_TOKENS}, not {visual_tokens}")
    return count


def make_frames(count: int, side: int, seed: int) -> NDArray[np.uint8]:
    """Noise, uint8 (count, side, side, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def image_content(frames: int, question: str) -> list[dict[str, Any]]:
    """The user turn of a video prompt, with its frames as images: what InternVL's processor writes for a video."""
    content: list[dict[str, Any]] = []
    for number in range(1, frames + 1):
        content += [{"type": "text", "text": f"{'' if number == 1 else chr(10)}Frame{number}: "}, {"type": "image", "text": None}]
    return [*content, {"type": "text", "text": question}]


def _words(tokenizer: Any) -> list[str]:
    """Words with the space before them that are one token, whatever stands beside them."""
    return sorted(
        " " + token[1:] for token in tokenizer.get_vocab() if len(token) == 5 and token[0] == "Ġ" and token[1:].isalpha()
    )


def build_tokenizer(special: Sequence[str], **named: Any) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer that knows thousands of words of two syllables whole, and the tokens `special`."""
    syllables = [consonant + vowel for consonant in "bcdfghjklmnpqrstvwxz" for vowel in "aeiou"]
    words = [first + second for first in syllables for second in syllables]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>", *special],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    text = [" ".join(["", *words[at:], *words[:at]]) for at in (0, 17)]
    tokenizer.train_from_iterator([*text, *["Frame1: user\nassistant\n"] * 8], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        padding_side="left",
        clean_up_tokenization_spaces=False,
        model_max_length=MAX_POSITIONS,
        **named,
    )


def _processor(tokenizer: PreTrainedTokenizerFast) -> InternVLProcessor:
    frame = {"height": SIDE, "width": SIDE}
    return InternVLProcessor(
        image_processor=GotOcr2ImageProcessor(size=frame, crop_to_patches=False),
        tokenizer=tokenizer,
        video_processor=InternVLVideoProcessor(size=frame, do_sample_frames=False),
        image_seq_length=FRAME_TOKENS,
        chat_template=_CHAT_TEMPLATE,
    )


def _config(size: Size, tokenizer: PreTrainedTokenizerFast) -> InternVLConfig:
    return InternVLConfig(
        text_config={
            "model_type": "qwen2",
            "vocab_size": len(tokenizer),
            "hidden_size": size.width,
            "intermediate_size": size.mlp,
            "num_hidden_layers": size.layers,
            "num_attention_heads": size.heads,
            "num_key_value_heads": size.key_value_heads,
            "max_position_embeddings": MAX_POSITIONS,
            "bos_token_id": None,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
            "tie_word_embeddings": True,
        },
        vision_config={
            "hidden_size": size.vision_width,
            "intermediate_size": 4 * size.vision_width,
            "num_hidden_layers": size.vision_layers,
            "num_attention_heads": size.vision_heads,
            "image_size": [SIDE, SIDE],
            "patch_size": [PATCH, PATCH],
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=FRAME_TOKENS,
        tie_word_embeddings=True,
    )


@torch.no_grad()
def _scale(model: torch.nn.Module) -> None:
    """Weights at which logits are far from uniform and every layer counts: default initialisation would hide a wrong position."""
    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            module.weight.normal_(0, module.in_features**-0.5)
        elif isinstance(module, torch.nn.Embedding):
            module.weight.normal_(0, 2 * module.embedding_dim**-0.5)
