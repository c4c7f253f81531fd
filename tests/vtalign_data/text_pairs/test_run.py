import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from vtalign.artifacts import hold_run_folder, read_jsonl
from vtalign.config import validate_config
from vtalign.errors import ConfigError, InputError, RunFailed
from vtalign.preference.schema import read_pairs
from vtalign.training.config import TrainConfig
from vtalign.training.logs import read_history
from vtalign.training.recipe import run_recipe
from vtalign_data.text_pairs.config import TextRunConfig
from vtalign_data.text_pairs.run import run_text

ROOM = ["A man opens a door.", "He sits down on a red chair.", "A dog runs in.", "He sits down on a blue chair.", "They leave."]
GARDEN = ["A girl plants a tree.", "It rains.", "The tree grows.", "Birds build a nest."]


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def config(tmp_path: Path, file: Path, **changes: Any) -> TextRunConfig:
    return validate_config(TextRunConfig, {"captions": file, "out": tmp_path / "run", **changes}, "test")


def test_pairs_and_rows_say_the_same(tmp_path: Path) -> None:
    file = write(tmp_path / "c.jsonl", {"captions": ROOM, "video": "a/room.mp4"}, {"id": "g", "captions": GARDEN})
    summary = run_text(config(tmp_path, file, questions={"per_kind": 2}))
    pairs = read_pairs(summary.out / "pairs")
    rows = {row["id"]: row["conversations"] for row in read_jsonl(summary.out / "sft.jsonl")}
    assert len(pairs) == summary.pairs > len(rows) == summary.sft_rows > 30
    said = {(asked["value"], told["value"]) for asked, told in rows.values()}
    assert len(said) == len(rows), "one row for several wrong answers to a question"
    for pair in pairs:
        assert pair.view is None and pair.source == "text" and pair.scores is None and pair.paths == {}
        assert pair.clean_prompt.views == () and pair.clean_prompt.text == pair.prompt
        assert (pair.prompt, pair.chosen) in said
    assert {(pair.video_id, pair.video) for pair in pairs} >= {("g", "")}
    assert {pair.video for pair in pairs} == {"a/room.mp4", ""}


def test_one_run_at_a_time_in_a_folder(tmp_path: Path) -> None:
    asked = config(tmp_path, write(tmp_path / "c.jsonl", {"captions": ROOM}))
    run_text(asked)
    with hold_run_folder(asked.out), pytest.raises(InputError, match="another process works in this folder"):
        run_text(asked)
    run_text(asked)


def test_nothing_but_the_list_tells_which_side_is_right(tmp_path: Path) -> None:
    """Every answer is chosen as often as it is rejected: lengths and words are balanced to the last character."""
    summary = run_text(config(tmp_path, write(tmp_path / "c.jsonl", {"captions": ROOM}, {"captions": GARDEN})))
    pairs = read_pairs(summary.out / "pairs")
    for kind in summary.by_kind:
        chosen, rejected = (Counter(getattr(p, side) for p in pairs if p.kind == kind) for side in ("chosen", "rejected"))
        assert chosen == rejected


def test_what_cannot_be_used_costs_its_line(tmp_path: Path) -> None:
    file = write(
        tmp_path / "c.jsonl",
        {"captions": ROOM},
        "no json",
        {"captions": "a text"},
        {"captions": ROOM},
        {"captions": ["alone"]},
        {"captions": ["one", " . "]},
        {"captions": ["<video>", "two"]},
        {"captions": ["the same", "The same."]},
        {"id": "x", "captions": GARDEN},
        {"id": "x", "captions": ROOM},
        {"id": "\ud83d", "captions": ROOM},
        {"video": "\ud83d", "captions": ROOM},
    )
    summary = run_text(config(tmp_path, file))
    assert summary.lost == {
        "bad_line": 4, "duplicate": 1, "empty_caption": 1, "id_twice": 1, "no_question": 1, "placeholder": 1, "too_few_captions": 1
    }  # fmt: skip
    lost = {row["id"]: row["reason"] for row in read_jsonl(summary.out / "rejected.jsonl")}
    assert lost["c.jsonl:2"] == lost["c.jsonl:3"] == "bad_line" and lost["c.jsonl:10"] == "id_twice"
    with pytest.raises(InputError, match=r"c\.jsonl:2: not valid JSON"):
        run_text(config(tmp_path, file, strict=True))


def test_it_is_the_same_again_and_in_any_order(tmp_path: Path) -> None:
    rows = [{"captions": ROOM}, {"captions": GARDEN}]
    one = run_text(config(tmp_path, write(tmp_path / "c.jsonl", *rows)))
    before = {path.name: path.read_bytes() for path in one.out.rglob("*") if path.is_file()}
    (one.out / ".sft.jsonl.4567.partial").touch()  # torn by a kill
    assert run_text(config(tmp_path, tmp_path / "c.jsonl")) == one
    assert {path.name: path.read_bytes() for path in one.out.rglob("*") if path.is_file()} == before
    other = run_text(config(tmp_path, write(tmp_path / "d.jsonl", *rows[::-1]), out=tmp_path / "other", batch_size=1))
    assert read_pairs(other.out / "pairs") == read_pairs(one.out / "pairs")
    seeded = run_text(config(tmp_path, tmp_path / "c.jsonl", out=tmp_path / "seeded", seed=1))
    assert read_pairs(seeded.out / "pairs") != read_pairs(one.out / "pairs")


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        run_text(config(tmp_path, tmp_path / "nowhere.jsonl"))
    with pytest.raises(InputError, match="holds no lists"):
        run_text(config(tmp_path, write(tmp_path / "empty.jsonl")))
    with pytest.raises(RunFailed, match=r"no questions left of 1 lists \(1 too_few_captions\)"):
        run_text(config(tmp_path, write(tmp_path / "short.jsonl", {"captions": ["x"]})))
    with pytest.raises(ConfigError, match=r"after: .* must have the fields \{a\}"):
        config(tmp_path, tmp_path, questions={"wording": {"after": "What is next?"}})


@pytest.mark.slow
def test_they_are_trained_on_without_any_video(tmp_path: Path, tiny_checkpoint: Path) -> None:
    summary = run_text(config(tmp_path, write(tmp_path / "c.jsonl", {"captions": ROOM}, {"captions": GARDEN})))
    dpo = {"kind": "dpo", "name": "dpo", "data": str(summary.out / "pairs"), "pairs_per_step": 4}
    sft = {"kind": "sft", "name": "sft", "data": str(summary.out / "sft.jsonl"), "rows_per_step": 4}
    stages = [{**stage, "learning_rate": 1e-3, "max_steps": 2} for stage in (dpo, {**dpo, "kind": "rrpo", "name": "rrpo"}, sft)]
    top = {"model": str(tiny_checkpoint), "output": str(tmp_path / "trained"), "device": "cpu", "threads": 1, "stages": stages}
    trained = run_recipe(validate_config(TrainConfig, top, "test"))
    rows = read_history(trained.history)
    assert rows[0]["rewards/margins"] == pytest.approx(0, abs=1e-3) and rows[0]["loss/dpo"] == pytest.approx(0.693, abs=1e-3)
    assert [row["stage"] for row in rows] == ["dpo", "dpo", "rrpo", "rrpo", "sft", "sft"]
    assert not any(stage.skipped_examples for stage in trained.stages)
