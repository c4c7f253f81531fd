"""The counted limits of the benchmarks: against torch's own counter and against the mask of a shared row."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import InternVLConfig, InternVLForConditionalGeneration, Qwen2_5_VLConfig

from vtalign.models.layout import tree_mask


def _load(name: str) -> ModuleType:
    file = Path(__file__).parents[2] / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"benchmarks_{name}", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


flops = _load("flops")


def _internvl() -> InternVLConfig:
    return InternVLConfig(
        text_config={
            "model_type": "qwen2",
            "vocab_size": 300,
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
        },
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": [32, 32],
            "patch_size": [8, 8],
        },
        image_token_id=299,
        image_seq_length=4,
    )


@torch.no_grad()
def test_macs_are_those_that_torch_counts() -> None:
    config = _internvl()
    model = InternVLForConditionalGeneration(config).eval()
    model.set_attn_implementation("sdpa")
    ids = torch.cat([torch.full((1, 8), 299), torch.arange(12)[None]], dim=1)
    with FlopCounterMode(display=False) as counter:
        model(input_ids=ids, pixel_values=torch.randn(2, 3, 32, 32), logits_to_keep=5, use_cache=False)
    costs = flops.costs_of(config)
    full = (20, 20 * 20, 5)  # torch counts attention as if every query saw every key
    assert 2 * (8 * costs.visual_token + flops.language_model(costs, full)) == counter.get_total_flops()


def test_pairs_of_a_shared_row_are_those_of_its_mask() -> None:
    nodes = np.array([0] * 7 + [1] * 3 + [2] * 5)
    tokens, pairs, kept = flops.shared_row(7, [3, 5])
    assert (tokens, pairs, kept) == (15, tree_mask(nodes, [-1, 0, 0]).sum(), 1 + 2 + 4)


def test_sharing_one_branch_saves_nothing_and_many_save_much() -> None:
    costs = flops.costs_of(_internvl())

    def ratio(k: int) -> float:
        peer, ours = (flops.training_step(costs, 64, 100, 10, kk, side) for kk, side in ((1, "trl"), (k, "shared")))
        return float(k * peer / ours)

    assert 1 < ratio(1) < ratio(3) < ratio(12)
    alone = [flops.generation(costs, 64, 90, [100], 8, shared=shared) for shared in (False, True)]
    assert alone[0] == pytest.approx(alone[1])


def test_the_vision_share_of_qwen25_vl_7b() -> None:
    config = Qwen2_5_VLConfig(
        text_config={
            "hidden_size": 3584,
            "intermediate_size": 18944,
            "num_hidden_layers": 28,
            "num_attention_heads": 28,
            "num_key_value_heads": 4,
            "vocab_size": 152064,
        },
        vision_config={"hidden_size": 1280, "out_hidden_size": 3584, "intermediate_size": 3420, "depth": 32, "num_heads": 16},
    )
    costs = flops.costs_of(config)
    assert costs.token == 28 * (3584 * (2 * 3584 + 2 * 512) + 3 * 3584 * 18944)
    assert flops.vision_to_language(costs, 2048) == pytest.approx(0.39, abs=0.01)
