import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText, AutoProcessor

from vtalign.errors import InputError, RunFailed
from vtalign.models.load import load_video_lm
from vtalign.models.requests import Row
from vtalign.models.video_lm import VideoLM
from vtalign.preference.pair import PreferencePair, Scores, TokenLogps
from vtalign.preference.schema import write_pairs
from vtalign.training.config import TrainConfig
from vtalign.training.data import PairExample
from vtalign.training.logs import read_history
from vtalign.training.recipe import run_recipe
from vtalign.video.frames import FrameStore

Recipe = Callable[..., TrainConfig]
USUAL_NAMES = {
    "loss",
    "rewards/chosen",
    "rewards/rejected",
    "rewards/margins",
    "rewards/accuracies",
    "logps/chosen",
    "logps/rejected",
    "sft_loss",
    "curriculum/stage",
    "mean_group_size",
    "grad_norm",
    "learning_rate",
}


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_pre_sft(recipe: Recipe, tmp_path: Path, tiny_checkpoint: Path) -> None:
    config = recipe(tmp_path / "run", dpo={"max_steps": 5, "lora": {"r": 4, "alpha": 8}}, sft={"max_steps": 2})
    summary = run_recipe(config)

    assert [(s.name, s.steps) for s in summary.stages] == [("dpo", 5), ("sft", 2)]
    rows = read_history(summary.history)
    dpo = [row for row in rows if row["stage"] == "dpo"]
    assert [row["step"] for row in dpo] == [1, 2, 3, 4, 5] and dpo[0].keys() >= USUAL_NAMES
    assert dpo[0]["loss"] == pytest.approx(0.6931, abs=1e-3) and dpo[0]["rewards/margins"] == pytest.approx(0, abs=1e-3)
    assert dpo[-1]["rewards/margins"] > 0.1 and dpo[-1]["epoch"] == pytest.approx(30 / 24)

    model = AutoModelForImageTextToText.from_pretrained(summary.model)
    AutoProcessor.from_pretrained(summary.model)
    assert not any("lora" in name for name in model.state_dict())
    assert load_video_lm(summary.model, device="cpu").policy == load_video_lm(tiny_checkpoint, device="cpu").policy
    start, end = (json.loads((folder / "config.json").read_text()) for folder in (tiny_checkpoint, summary.model))
    assert start.keys() == end.keys(), "Trainer's `use_cache` must not stay in the checkpoint"
    assert (config.output / "stages/01-dpo/adapter/adapter_model.safetensors").is_file()
    assert list((config.output / "tensorboard/01-dpo").glob("events.out.tfevents.*"))
    assert files(config.output / "stages/02-sft/model") == files(summary.model)

    before = files(summary.model)
    again = run_recipe(config)
    assert files(again.model) == before and again.stages == summary.stages


def test_the_same_seed_gives_the_same_bytes_in_the_other_order_too(recipe: Recipe, tmp_path: Path) -> None:
    one = run_recipe(recipe(tmp_path / "one", dpo={"max_steps": 2}, sft={"max_steps": 2}, order=("sft", "dpo")))
    two = run_recipe(recipe(tmp_path / "two", dpo={"max_steps": 2}, sft={"max_steps": 2}, order=("sft", "dpo")))
    other = run_recipe(recipe(tmp_path / "other", dpo={"max_steps": 2}, sft={"max_steps": 2}, order=("sft", "dpo"), seed=1))
    assert files(one.model) == files(two.model)
    assert one.history.read_bytes() == two.history.read_bytes() != other.history.read_bytes()
    rows = read_history(one.history)
    assert [row["stage"] for row in rows] == ["sft", "sft", "dpo", "dpo"]
    # the reference of a post-SFT recipe is the fine-tuned model: its margin starts at zero too
    assert rows[2]["rewards/margins"] == pytest.approx(0, abs=1e-3)


def test_only_what_is_trainable_changes(recipe: Recipe, tmp_path: Path, tiny_checkpoint: Path) -> None:
    summary = run_recipe(recipe(tmp_path / "run", sft={"max_steps": 2, "trainable": ["projector"]}, order=("sft",)))
    before, after = (load_file(folder / "model.safetensors") for folder in (tiny_checkpoint, summary.model))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and all("merger" in name for name in changed)


def test_the_reference_of_the_recipe_and_of_the_stage(recipe: Recipe, tmp_path: Path) -> None:
    """Two dpo stages: tied to the first model the second starts at a margin, refreshed it starts at none."""
    first = recipe(tmp_path / "x", dpo={"max_steps": 3, "warmup": 0}).stages[0].model_dump(mode="json")
    starts = {}
    for scope in ("recipe", "stage"):
        stages = [first, {**first, "name": "dpo2", "reference": scope}]
        summary = run_recipe(recipe(tmp_path / scope, stages=stages))
        starts[scope] = next(row for row in read_history(summary.history) if row["stage"] == "dpo2")["rewards/margins"]
        assert summary.stages[1].scored_references == 24
    assert starts["stage"] == pytest.approx(0, abs=1e-3) and starts["recipe"] > 0.05


def scored_pairs(lm: VideoLM, store: FrameStore, examples: list[PairExample], error: float) -> list[PreferencePair]:
    """The example pairs with the fingerprint of `lm` and its scores, the first token of the chosen side off by `error`."""
    scores = lm.score([Row(e.prompt, (e.chosen, e.rejected)) for e in examples], store)
    pairs = []
    for example, (c, r) in zip(examples, scores, strict=True):
        first, *others = c.token_logps.tolist()
        tokens = TokenLogps((first + error, *others), tuple(r.token_logps.tolist()))
        sums = Scores(c.total + error, r.total, c.count, r.count)
        pairs.append(replace(example.pair, fingerprint=lm.fingerprint, scores=sums, token_logps=tokens))
    return pairs


def test_scores_of_the_same_model_are_the_reference(
    recipe: Recipe, tmp_path: Path, lm: VideoLM, store: FrameStore, examples: list[PairExample]
) -> None:
    write_pairs(tmp_path / "pairs", scored_pairs(lm, store, examples, error=0.0))
    summary = run_recipe(recipe(tmp_path / "run", dpo={"data": str(tmp_path / "pairs"), "max_steps": 1}, order=("dpo",)))
    assert summary.stages[0].scored_references == 0


def test_a_margin_at_step_zero_stops_the_stage(
    recipe: Recipe, tmp_path: Path, lm: VideoLM, store: FrameStore, examples: list[PairExample]
) -> None:
    """The pairs claim to be scored by this model, and were not."""
    write_pairs(tmp_path / "pairs", scored_pairs(lm, store, examples, error=1.0))
    with pytest.raises(RunFailed, match="margin is not zero at step 0: the chosen side of pair pair-"):
        run_recipe(recipe(tmp_path / "run", dpo={"data": str(tmp_path / "pairs"), "max_steps": 1}, order=("dpo",)))


def test_random_labels_swap_the_reference_too(recipe: Recipe, tmp_path: Path) -> None:
    first = {}
    for labels in ("as_is", "random"):
        settings = {"epochs": 1, "pairs_per_step": 24, "warmup": 0, "labels": labels}
        summary = run_recipe(recipe(tmp_path / labels, dpo=settings, order=("dpo",)))
        first[labels] = read_history(summary.history)[0]
        assert first[labels]["rewards/margins"] == pytest.approx(0, abs=1e-3)
    both = [row["logps/chosen"] + row["logps/rejected"] for row in first.values()]
    assert both[0] == pytest.approx(both[1], rel=1e-4)
    assert first["as_is"]["logps/chosen"] != pytest.approx(first["random"]["logps/chosen"], abs=1)


def test_a_bad_video_costs_its_rows_and_a_line(
    recipe: Recipe, tmp_path: Path, train_split: Path, example_pairs: list[PreferencePair], capsys: pytest.CaptureFixture[str]
) -> None:
    videos = tmp_path / "videos_root"
    shutil.copytree(train_split, videos)
    broken, missing = sorted({pair.video for pair in example_pairs})[:2]
    (videos / broken).write_bytes(b"no video at all")
    (videos / missing).unlink()
    config = recipe(
        tmp_path / "run", dpo={"max_steps": 2}, sft={"max_steps": 1}, videos=str(videos), frame_cache=str(tmp_path / "cache")
    )
    summary = run_recipe(config)
    assert (summary.stages[0].skipped_videos, summary.stages[0].skipped_examples) == (2, 6)
    assert summary.stages[0].examples == len(example_pairs) - 6
    printed = "".join(capsys.readouterr().out.split())
    assert f"skipped{broken}(3pairs)" in printed and f"skipped{missing}(3pairs):missing" in printed
    skipped = [json.loads(line) for line in (config.output / "stages/01-dpo/skipped.jsonl").read_text().splitlines()]
    assert {row["video"] for row in skipped} == {broken, missing}


def test_all_videos_bad_is_a_failed_run(recipe: Recipe, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(RunFailed, match="none of its 8 videos can be read"):
        run_recipe(recipe(tmp_path / "run", videos=str(empty), frame_cache=str(tmp_path / "cache")))


def test_bad_input_is_refused_before_a_model_is_read(recipe: Recipe, tmp_path: Path, pairs_folder: Path) -> None:
    for change, said in (
        ({"dpo": {"data": str(tmp_path / "none")}}, "none"),
        ({"sft": {"data": str(tmp_path / "none.jsonl")}}, "no such file"),
        ({"videos": str(tmp_path / "nowhere")}, "no such videos folder"),
        ({"videos": None}, "its data shows videos; say where they are"),
    ):
        with pytest.raises(InputError, match=said):
            run_recipe(recipe(tmp_path / "run", model=str(tmp_path / "no-model"), **change))
    assert not (tmp_path / "run").exists()
    with pytest.raises(InputError, match="no-model"):
        run_recipe(recipe(tmp_path / "run", model=str(tmp_path / "no-model")))


def test_the_folder_of_another_run_is_refused(recipe: Recipe, tmp_path: Path) -> None:
    run_recipe(recipe(tmp_path / "run", sft={"max_steps": 1}, order=("sft",)))
    with pytest.raises(InputError, match="holds another run"):
        run_recipe(recipe(tmp_path / "run", sft={"max_steps": 1}, order=("sft",), seed=1))
    run_recipe(recipe(tmp_path / "run", sft={"max_steps": 1}, order=("sft",), save_every=7))


@pytest.mark.parametrize("lora", [None, {"r": 4, "alpha": 8}])
def test_bfloat16(recipe: Recipe, tmp_path: Path, lora: dict[str, int] | None) -> None:
    config = recipe(tmp_path / "run", dpo={"max_steps": 4, "lora": lora}, sft={"max_steps": 1}, dtype="bfloat16")
    summary = run_recipe(config)
    assert {weight.dtype for weight in load_file(summary.model / "model.safetensors").values()} == {torch.bfloat16}
    rows = read_history(summary.history)
    assert abs(rows[0]["rewards/margins"]) < 0.2 < rows[3]["rewards/margins"]


@pytest.mark.slow
def test_real_clips(recipe: Recipe, tmp_path: Path, shared_data: Path) -> None:
    """Many codecs and containers, a corrupted file among them; the words are nonsense to this model."""
    clips = shared_data / "clips"
    names = sorted(path.name for path in clips.iterdir() if path.suffix != ".json")
    turns = [{"from": "human", "value": "<video>\nWhat happens?"}, {"from": "gpt", "value": "a red circle moves right"}]
    data = tmp_path / "clips.jsonl"
    data.write_text("".join(json.dumps({"id": name, "video": name, "conversations": turns}) + "\n" for name in names))
    sft = {"data": str(data), "rows_per_step": 8, "micro_batch": 2}
    summary = run_recipe(
        recipe(tmp_path / "run", sft=sft, order=("sft",), videos=str(clips), frame_cache=str(tmp_path / "cache"))
    )
    stage = summary.stages[0]
    assert stage.examples + stage.skipped_examples == len(names) and 1 <= stage.skipped_videos <= 5
