"""Multiply-accumulates of a step, counted from the config: what a ratio could be if nothing but matrix products took time.

Counted: vision encoder and projector, the linear layers of the language model, causal attention as (query, key) pairs that see each
other, the head at the positions whose logits are used. A backward pass is twice its forward pass; frozen parts have none. Not counted:
norms, activations, embeddings, the optimiser, preprocessing. One MAC is two FLOPs.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Costs:
    """MACs of one forward pass: `visual_token`, all of vision for one visual token; `token`, the linear layers of the language
    model for one token; `pair`, attention for one (query, key) pair; `logits`, the head at one position."""

    visual_token: float
    token: float
    pair: float
    logits: float


def costs_of(config: Any, patches_per_frame: int = 1024) -> Costs:
    """Costs from a transformers config. Raises ValueError for another model type than InternVL and Qwen2.5-VL.

    `patches_per_frame` is how many Qwen2.5-VL sees of one temporal patch (InternVL says it itself).
    """
    text = config.get_text_config()
    head = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    query, key_value = text.num_attention_heads * head, text.num_key_value_heads * head
    layer = text.hidden_size * (2 * query + 2 * key_value) + 3 * text.hidden_size * text.intermediate_size
    if config.model_type == "internvl":
        visual = _internvl(config)
    elif config.model_type == "qwen2_5_vl":
        visual = _qwen25(config, patches_per_frame)
    else:
        raise ValueError(f"no count for model type {config.model_type}")
    return Costs(
        visual_token=visual,
        token=text.num_hidden_layers * layer,
        pair=2.0 * text.num_hidden_layers * query,
        logits=text.hidden_size * text.vocab_size,
    )


def shared_row(prompt: int, branches: list[int]) -> tuple[int, int, int]:
    """(tokens, attention pairs, positions with logits) of `[prompt | branch_0 | branch_1 ..]`."""
    tokens = prompt + sum(branches)
    pairs = prompt * (prompt + 1) // 2 + sum(size * prompt + size * (size + 1) // 2 for size in branches)
    return tokens, pairs, 1 + sum(size - 1 for size in branches)


def language_model(costs: Costs, row: tuple[int, int, int]) -> float:
    """MACs of one forward pass over a row."""
    tokens, pairs, kept = row
    return tokens * costs.token + pairs * costs.pair + kept * costs.logits


def training_step(costs: Costs, visual: int, prompt: int, response: int, k: int, side: str) -> float:
    """MACs of one optimiser step over the `k` pairs of a group, vision frozen.

    `side`: `shared`, the group as one row; `shared+reference`, with the pass that scores it under the reference; `separate`, two rows
    for every pair, its video encoded once; `trl`, two rows and two encodings for every pair, for policy and reference alike;
    `trl-full-head`, as TRL 1.16 runs without Triton, on a CPU: its head at every position, and once more in the backward pass.
    """
    vision = visual * costs.visual_token
    one = language_model(costs, shared_row(prompt, [response]))
    group = language_model(costs, shared_row(prompt, [response] * (k + 1)))
    trl = 2 * (2 * vision + (3 + 1) * one)
    full_head = 2 * costs.logits * ((4 + 1) * (prompt + response - 1) - (3 + 1) * response)
    return {
        "shared": vision + 3 * group,
        "shared+reference": 2 * vision + 4 * group,
        "separate": k * (vision + 2 * 3 * one),
        "trl": k * trl,
        "trl-full-head": k * (trl + full_head),
    }[side]


def generation(costs: Costs, visual: int, common: int, prompts: list[int], new_tokens: int, *, shared: bool) -> float:
    """MACs of answers of `new_tokens` to prompts of so many tokens, the first `common` of them the same in all."""
    vision, total = visual * costs.visual_token, 0.0
    if shared:
        total += vision + language_model(costs, (common, common * (common + 1) // 2, 0))
    for prompt in prompts:
        own = prompt - common if shared else prompt
        before = common if shared else 0
        total += 0 if shared else vision
        total += language_model(costs, (own, own * before + own * (own + 1) // 2, 1))
        steps = new_tokens - 1
        total += language_model(costs, (steps, steps * prompt + steps * (steps + 1) // 2, steps))
    return total


def vision_to_language(costs: Costs, tokens: int) -> float:
    """MACs of vision for each MAC of the language model, forward, per visual token of a prompt of `tokens`."""
    return costs.visual_token / (costs.token + costs.pair * (tokens + 1) / 2)


def _internvl(config: Any) -> float:
    vision = config.vision_config
    patches = (vision.image_size[0] // vision.patch_size[0]) * (vision.image_size[1] // vision.patch_size[1])
    width = vision.hidden_size
    layer = 4 * width**2 + 2 * width * vision.intermediate_size
    states = patches + 1  # the class token
    encoder = vision.num_hidden_layers * states * (layer + 2 * states * width)
    embedding = patches * width * vision.num_channels * vision.patch_size[0] * vision.patch_size[1]
    tokens = patches * config.downsample_ratio**2
    joined = width / config.downsample_ratio**2
    hidden = config.get_text_config().hidden_size
    return (encoder + embedding) / tokens + joined * hidden + hidden**2


def _qwen25(config: Any, patches_per_frame: int) -> float:
    vision = config.vision_config
    width, group = vision.hidden_size, vision.spatial_merge_size**2
    layer = 4 * width**2 + 3 * width * vision.intermediate_size
    window = (vision.window_size // vision.patch_size) ** 2
    full = len(vision.fullatt_block_indexes)
    pairs = full * patches_per_frame + (vision.depth - full) * min(window, patches_per_frame)
    embedding = width * vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
    merger = (width * group) ** 2 + width * group * vision.out_hidden_size
    return group * (vision.depth * layer + 2 * width * pairs + embedding) + merger
