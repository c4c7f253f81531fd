"""One measurement of `large.py`: a Qwen2.5-VL of random weights is made on the device and trained as a dpo stage trains it."""

from dataclasses import asdict
from typing import Any

import flops
import torch
from checkpoint import build_tokenizer, make_texts
from measure import matmul_rate, measuring_process
from noise import Noise
from training_ours import train
from transformers import (
    GenerationConfig,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
)

from vtalign.models.video_lm import VideoLM
from vtalign.video.sample import FramePolicy

PATCH, MERGE, TEMPORAL_PATCH = 14, 2, 2
SPECIAL = ("<|vision_start|>", "<|vision_end|>", "<|video_pad|>", "<|image_pad|>")
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% for part in message['content'] %}"
    "{% if part['type'] == 'video' %}<|vision_start|><|video_pad|><|vision_end|>{% else %}{{ part['text'] }}{% endif %}{% endfor %}"
    "<|im_end|>{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# (text config, vision config, pixels along a side of a frame)
SHAPES: dict[str, tuple[dict[str, Any], dict[str, Any], int]] = {
    "7b": (
        {
            "vocab_size": 152064,
            "hidden_size": 3584,
            "intermediate_size": 18944,
            "num_hidden_layers": 28,
            "num_attention_heads": 28,
            "num_key_value_heads": 4,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
        },
        {"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "fullatt_block_indexes": [7, 15, 23, 31]},
        448,
    ),
    "tiny": (
        {
            "vocab_size": 8448,
            "hidden_size": 128,
            "intermediate_size": 384,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [4, 6, 6]},
        },
        {"depth": 2, "hidden_size": 64, "intermediate_size": 128, "num_heads": 2, "fullatt_block_indexes": [1]},
        112,
    ),
}


def measure(job: dict[str, Any]) -> dict[str, Any]:
    text, vision, side = SHAPES[job["shape"]]
    tokens_per_grid = (side // PATCH // MERGE) ** 2
    if job["visual"] % tokens_per_grid:
        raise ValueError(f"visual tokens come in multiples of {tokens_per_grid}, not {job['visual']}")
    frames = job["visual"] // tokens_per_grid * TEMPORAL_PATCH
    device, dtype = job["device"], torch.bfloat16
    rate = matmul_rate(device, dtype, 8192 if device != "cpu" else 1024)
    lm = _video_lm(text, vision, side, frames, device, dtype)
    texts = make_texts(lm.tokenizer, 1 + job["k"], job["response"])
    source = Noise(range(job["steps"]), frames, side)
    measured = train(lm, source, {**job, "question": texts.question, "responses": texts.responses})
    costs = flops.costs_of(lm.model.config, patches_per_frame=(side // PATCH) ** 2)
    return {**measured, "matmul_rate": rate, "costs": asdict(costs), "side": job["side"]}


def _video_lm(text: dict[str, Any], vision: dict[str, Any], side: int, frames: int, device: str, dtype: torch.dtype) -> VideoLM:
    tokenizer = build_tokenizer(SPECIAL)
    start, end, video, image = tokenizer.convert_tokens_to_ids(list(SPECIAL))
    patches = {"patch_size": PATCH, "merge_size": MERGE, "temporal_patch_size": TEMPORAL_PATCH}
    size = {"shortest_edge": side * side, "longest_edge": side * side}
    processor = Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(**patches, size=size),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(**patches, size=size, do_sample_frames=False, cap_pixels_per_frame=False),
        chat_template=CHAT_TEMPLATE,
    )
    config = Qwen2_5_VLConfig(
        text_config={
            **text,
            "max_position_embeddings": 128000,
            "bos_token_id": None,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        },
        vision_config={
            **vision,
            "patch_size": PATCH,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": TEMPORAL_PATCH,
            "window_size": 112,
            "tokens_per_second": 2,
            "out_hidden_size": text["hidden_size"],
        },
        video_token_id=video,
        image_token_id=image,
        vision_start_token_id=start,
        vision_end_token_id=end,
        tie_word_embeddings=False,
    )
    torch.manual_seed(0)
    with torch.device(device):
        model = Qwen2_5_VLForConditionalGeneration._from_config(config, dtype=dtype, attn_implementation="sdpa")
    model.generation_config = GenerationConfig(eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    policy = FramePolicy(max_frames=max(frames, 2), max_pixels=side * side, multiple=PATCH * MERGE)
    return VideoLM(model.to(device).eval(), processor, policy)


if __name__ == "__main__":
    measuring_process(measure)
