"""Every kind of preference stage runs as a recipe, and starts from no margin."""

import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from safetensors.torch import load_file

from vtalign.errors import InputError, RunFailed
from vtalign.preference.pair import PreferencePair
from vtalign.preference.schema import write_pairs
from vtalign.training.config import TrainConfig
from vtalign.training.logs import read_history
from vtalign.training.recipe import run_recipe
from vtalign.training.trainable import require_adaptable

Recipe = Callable[..., TrainConfig]
LORA = {"r": 4, "alpha": 8}

KINDS: dict[str, dict[str, Any]] = {
    **{loss: {"loss": loss, "beta": 0.5} for loss in ("hinge", "ipo", "sigmoid_norm", "simpo", "plackett_luce")},
    "robust": {"loss": "robust", "label_smoothing": 0.1},
    "rrpo": {"kind": "rrpo"},
    "rrpo lora": {"kind": "rrpo", "lora": LORA},
    "vdpo": {"kind": "vdpo", "anchor": 1.0, "lora": LORA},
    "mdpo": {"also": [{"kind": "vdpo", "anchor": 1.0}], "sft_weight": 0.1},
    "sum": {"kind": "rrpo", "also": [{"kind": "vdpo", "weight": 0.5}, {"kind": "dpo", "loss": "ipo", "weight": 0.1}]},
}


@pytest.fixture(scope="session")
def viewed_pairs(example_pairs: list[PreferencePair], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example pairs, each with the view backwards as its perturbed one."""
    folder = tmp_path_factory.mktemp("viewed")
    backwards = [pair.view.with_contents(list(range(len(pair.view)))[::-1]) for pair in example_pairs]
    write_pairs(folder, [replace(pair, perturbed_view=view) for pair, view in zip(example_pairs, backwards, strict=True)])
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_a_stage_of_every_kind(recipe: Recipe, viewed_pairs: Path, tmp_path: Path, kind: str) -> None:
    settings = {"data": str(viewed_pairs), "max_steps": 3, "micro_batch": 3, **KINDS[kind]}
    summary = run_recipe(recipe(tmp_path / "run", dpo=settings, order=("dpo",)))
    rows = read_history(summary.history)
    if kind != "simpo":
        assert rows[0]["rewards/margins"] == pytest.approx(0, abs=1e-3)
        assert rows[2]["rewards/margins"] > rows[0]["rewards/margins"]
    for term in ("dpo", "rrpo", "vdpo"):
        used = any(term == part.get("kind", "dpo") for part in (KINDS[kind], *KINDS[kind].get("also", ())))
        assert all((f"loss/{term}" in row) == used for row in rows)
    if "rrpo" in str(KINDS[kind]):
        assert rows[0]["kl/chosen"] == pytest.approx(0, abs=1e-4) and rows[2]["kl/chosen"] > 1e-3
    assert summary.stages[0].scored_references == (0 if kind in ("simpo", "rrpo", "rrpo lora", "sum") else 24)
    assert load_file(summary.model / "model.safetensors")


def test_an_adapter_switched_off_is_the_model_it_started_from(recipe: Recipe, pairs_folder: Path, tmp_path: Path) -> None:
    """RRPO without its KL reads the reference from a file, with it (and almost no weight) beside the policy."""
    curves = []
    for alpha in (0.0, 1e-9):
        settings = {"kind": "rrpo", "alpha": alpha, "max_steps": 4, "lora": LORA}
        summary = run_recipe(recipe(tmp_path / str(alpha), dpo=settings, order=("dpo",)))
        curves.append([row["rewards/margins"] for row in read_history(summary.history)])
    assert curves[1] == pytest.approx(curves[0], abs=1e-3) and curves[0][3] > 0.01


def test_the_reference_of_a_later_rrpo_stage_is_the_recipes(recipe: Recipe, pairs_folder: Path, tmp_path: Path) -> None:
    first = {"kind": "dpo", "name": "a", "data": str(pairs_folder), "learning_rate": 1e-3, "pairs_per_step": 6, "max_steps": 4}
    starts = {}
    for scope in ("recipe", "stage"):
        stages = [first, {**first, "kind": "rrpo", "name": "b", "reference": scope, "max_steps": 1}]
        summary = run_recipe(recipe(tmp_path / scope, stages=stages))
        starts[scope] = next(row for row in read_history(summary.history) if row["stage"] == "b")
    assert starts["stage"]["kl/chosen"] == pytest.approx(0, abs=1e-4)
    assert starts["recipe"]["kl/chosen"] > 0.01 and starts["recipe"]["rewards/margins"] > 0.01


def test_a_reference_with_another_encoder_sees_with_its_own(recipe: Recipe, viewed_pairs: Path, tmp_path: Path) -> None:
    """Features that are kept are the policy's; the recipe's first model has not seen the first stage's training of its eyes."""
    first = {"kind": "dpo", "data": str(viewed_pairs), "learning_rate": 3e-3, "pairs_per_step": 6, "max_steps": 3}
    starts = []
    for trainable in (["language_model"], ["language_model", "vision"]):
        stages = [
            {**first, "name": "a", "trainable": ["vision", "projector"]},
            {**first, "name": "b", "kind": "rrpo", "max_steps": 1, "trainable": trainable},
        ]
        rows = read_history(run_recipe(recipe(tmp_path / str(len(trainable)), stages=stages)).history)
        starts.append(rows[-1])
    assert starts[0]["kl/chosen"] == pytest.approx(starts[1]["kl/chosen"], rel=1e-3) and starts[0]["kl/chosen"] > 0.01
    assert starts[0]["rewards/margins"] == pytest.approx(starts[1]["rewards/margins"], abs=1e-3)


@pytest.mark.parametrize("lora", [None, LORA])
def test_a_reference_that_follows_at_once_leaves_no_margin(recipe: Recipe, tmp_path: Path, lora: Any) -> None:
    """mix 1, every step: the reference is the policy before its step."""
    rows = {}
    for mix in (1.0, 0.5):
        moves = {"reference": "stage", "moving_reference": {"mix": mix, "every": 1}, "max_steps": 4, "lora": lora}
        rows[mix] = read_history(run_recipe(recipe(tmp_path / str(mix), dpo=moves, order=("dpo",))).history)
    assert all(abs(row["rewards/margins"]) < 1e-4 for row in rows[1.0])
    assert rows[1.0][3]["logps/chosen"] != pytest.approx(rows[1.0][0]["logps/chosen"], abs=0.01)
    assert rows[0.5][3]["rewards/margins"] > 0.01


def test_a_reference_that_moves_with_the_curriculum(recipe: Recipe, tmp_path: Path) -> None:
    """Curry-DPO: every stage of the curriculum starts from no margin, because the policy so far is its reference."""
    curriculum = {"order": "easy_to_hard", "stages": 3}
    moves = {"reference": "stage", "moving_reference": {"mix": 1.0, "every": "curriculum_stage"}, "curriculum": curriculum}
    settings = {**moves, "max_steps": 12, "pairs_per_step": 2, "warmup": 0}
    rows = read_history(run_recipe(recipe(tmp_path / "run", dpo=settings, order=("dpo",))).history)
    assert [row["curriculum/stage"] for row in rows] == [1] * 4 + [2] * 4 + [3] * 4
    for number, row in enumerate(rows):
        assert (abs(row["rewards/margins"]) < 1e-4) == (number % 4 == 0), number


def test_bfloat16_asks_the_reference_with_its_own_weights(recipe: Recipe, tmp_path: Path) -> None:
    settings = {"kind": "rrpo", "max_steps": 4}
    rows = read_history(run_recipe(recipe(tmp_path / "run", dpo=settings, order=("dpo",), dtype="bfloat16")).history)
    assert rows[0]["kl/chosen"] == 0 and rows[3]["kl/chosen"] > 0.01


@pytest.mark.parametrize(
    ("settings", "change", "said"),
    [
        ({"kind": "vdpo"}, {}, "no second view"),
        ({"also": [{"kind": "vdpo"}]}, {}, "no second view"),
        ({}, {"rejected_view": "view"}, "has a rejected_view"),
        ({"kind": "rrpo"}, {"chosen": "a red square moves .", "rejected": "a  red square moves ."}, "do not differ in any word"),
        ({"kind": "custom", "entry_point": "not_there"}, {}, "loss 'not_there': unknown"),
        ({"strengths": [3]}, {}, "no pair has a strength of 3"),
        ({"curriculum": {"by": "column:mine"}}, {}, "column mine is missing"),
        ({"curriculum": {"order": "easy_to_hard", "stages": 5}}, {}, "curriculum.stages 5 are more than its 1 pairs"),
    ],
)
def test_pairs_that_a_stage_cannot_compare(
    recipe: Recipe, tmp_path: Path, example_pairs: list[PreferencePair], settings: Any, change: dict[str, Any], said: str
) -> None:
    pair = example_pairs[0]
    if "rejected_view" in change:
        change = {"rejected_view": pair.view}
    write_pairs(tmp_path / "pairs", [replace(pair, **change)])
    with pytest.raises(InputError, match=said) as caught:
        run_recipe(recipe(tmp_path / "run", dpo={"data": str(tmp_path / "pairs"), **settings}, model=str(tmp_path / "no model")))
    assert "\n" not in str(caught.value) and not (tmp_path / "run").exists()


def test_an_exploding_margin_stops_with_the_pairs(recipe: Recipe, tmp_path: Path) -> None:
    settings = {"stop_at_margin": 0.05, "learning_rate": 1e-2, "max_steps": 8}
    with pytest.raises(RunFailed, match=r"a reward margin of -?\d.* at step \d, beyond stop_at_margin=0.05, in pair-") as caught:
        run_recipe(recipe(tmp_path / "run", dpo=settings, order=("dpo",)))
    assert "lower learning_rate" in str(caught.value)


@pytest.mark.parametrize("by", ["score", "divergence"])
def test_a_curriculum_by_the_stages_own_scores(recipe: Recipe, viewed_pairs: Path, tmp_path: Path, by: str) -> None:
    """The pairs come without divergences and with made-up scores; a second stage is ordered by what the first has learned."""
    stage = {"kind": "dpo", "data": str(viewed_pairs), "learning_rate": 3e-3, "pairs_per_step": 6, "max_steps": 4}
    curriculum = {"order": "easy_to_hard", "by": by, "rescore": True, "stages": 4, "window": 1}
    stages = [{**stage, "name": name, "curriculum": curriculum} for name in ("a", "b")]
    summary = run_recipe(recipe(tmp_path / "run", stages=stages))
    found = {}
    for number, name in enumerate(("a", "b"), 1):
        rows = pq.read_table(tmp_path / f"run/stages/{number:02d}-{name}/difficulty.parquet").to_pylist()
        found[name] = {row["pair_id"]: row["scores"] for row in rows}
        assert {row["fingerprint"] for row in rows} == {summary.stages[number - 1].start_fingerprint}
    margins = [[s["logp_chosen"] - s["logp_rejected"] for _, s in sorted(scores.items())] for scores in found.values()]
    assert np.mean(margins[1]) > np.mean(margins[0])
    assert all((scores["divergence"] is not None) == (by == "divergence") for scores in found["b"].values())


def test_a_loss_of_another_package(recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rows of entry points and a function, as `pip install` would leave them: the sum of both log-probs, pushed apart."""
    (tmp_path / "mine-1.0.dist-info").mkdir()
    (tmp_path / "mine-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (tmp_path / "mine-1.0.dist-info/entry_points.txt").write_text("[vtalign.losses]\napart = mine_of_a_test:apart\n")
    body = "    chosen, rejected = given.policy_sums()\n    return scale * (rejected - chosen)\n"
    (tmp_path / "mine_of_a_test.py").write_text(f"def apart(given, scale=1.0):\n{body}")
    monkeypatch.syspath_prepend(str(tmp_path))
    settings = {"kind": "custom", "entry_point": "apart", "settings": {"scale": 0.1}, "max_steps": 3, "stop_at_margin": 1e5}
    rows = read_history(run_recipe(recipe(tmp_path / "run", dpo=settings, order=("dpo",))).history)
    assert rows[0]["loss"] == pytest.approx(0.1 * (rows[0]["logps/rejected"] - rows[0]["logps/chosen"]), rel=1e-4)
    assert rows[2]["rewards/margins"] > rows[0]["rewards/margins"] == pytest.approx(0, abs=1e-3)
    (tmp_path / "mine-1.0.dist-info/entry_points.txt").write_text(
        "[vtalign.losses]\napart = mine_of_a_test:apart\ntorn = mine_of_a_test:torn\n"
    )
    with (tmp_path / "mine_of_a_test.py").open("a") as file:  # finite, and its gradient is not
        file.write("\ndef torn(given):\n    return (given.policy_sums()[0] * 0).sqrt()\n")
    sys.modules.pop("mine_of_a_test")
    with pytest.raises(RunFailed, match=r"the gradient is not finite at step 1, in pair-.*, pair-"):
        run_recipe(recipe(tmp_path / "torn", dpo={**settings, "entry_point": "torn", "settings": {}}, order=("dpo",)))
    with pytest.raises(InputError, match="cannot be called with settings"):
        run_recipe(recipe(tmp_path / "other", dpo={**settings, "settings": {"size": 1}}, order=("dpo",)))


@pytest.mark.parametrize(
    ("lora", "said"),
    [
        ({"target": "q_prj"}, "no linear layer named q_prj"),
        ({"target": "none.*"}, "matches no linear layer"),
        ({"parts": ["vision"]}, None),
    ],
)
def test_an_adapter_that_finds_no_layers_is_refused_before_anything_is_read(
    recipe: Recipe, tmp_path: Path, lora: dict[str, Any], said: str | None
) -> None:
    config = recipe(tmp_path / "run", dpo={"lora": lora, "trainable": ["language_model", "vision"]})
    if said is None:
        require_adaptable(config)
        return
    with pytest.raises(InputError, match=f"stage 'dpo': lora.target.*{said}"):
        run_recipe(config)
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(find_spec("bitsandbytes") is not None, reason="bitsandbytes is installed")
def test_four_bits_need_their_package(recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"stage 'dpo': lora\.quantize needs the package bitsandbytes"):
        run_recipe(recipe(tmp_path / "run", dpo={"lora": {**LORA, "quantize": "nf4"}}))
    assert not (tmp_path / "run").exists()
