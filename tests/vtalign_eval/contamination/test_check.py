import json
import random
import shutil
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from vtalign.errors import GateNotMet, InputError
from vtalign.ids import stable_id, video_id_of
from vtalign.preference.schema import PreferencePair, group_id_of, write_pairs
from vtalign.video.view import Slot, VideoView
from vtalign_eval.contamination import ContaminationConfig, check_contamination

LONG = "order of the red square , left or right ? and so on until there are enough words"


def make_pair(video: str, video_id: str = "video-elsewhere", **texts: str) -> PreferencePair:
    view = VideoView((Slot(video_id, 0, 0.0), Slot(video_id, 1, 0.5)), 2.0)
    sides = {"prompt": "What happens?", "chosen": "a then b", "rejected": "b then a", **texts}
    group_id = group_id_of(view.view_id, sides["prompt"], sides["chosen"])
    pair_id = stable_id("pair", group_id, video, sides["rejected"])
    return PreferencePair(pair_id, group_id, video_id, video, view.view_id, view, **sides, source="self")


@pytest.fixture
def check(shapes: Path, tmp_path: Path, quiet: Console) -> Callable[..., dict[str, Any]]:
    def run(trained: list[PreferencePair], console: Console = quiet, **settings: Any) -> dict[str, Any]:
        shutil.rmtree(tmp_path / "pairs", ignore_errors=True)
        write_pairs(tmp_path / "pairs", trained)
        fields = {"pairs": tmp_path / "pairs", "data": shapes, "out": tmp_path / "out", **settings}
        return check_contamination(ContaminationConfig(**fields), console)

    return run


def rows(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "matches.jsonl").read_text().splitlines()]


def test_clean_pairs_match_nothing(check: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    summary = check([make_pair("other/clip.mp4")], fail_on_match=True)
    assert {name: found["matches"] for name, found in summary["checks"].items()} == {"content": 0, "name": 0, "text": 0}
    assert summary["question_ids"] == [] and rows(tmp_path / "out") == []
    assert summary["counts"] == {"questions": 24, "videos": 8, "pairs": 1, "training_videos": 1}
    # nothing is taken for clean that was not looked at
    assert summary["not_checked"]["checks"] == ["frames"]


def test_every_kind_of_match_names_both_sides(check: Callable[..., dict[str, Any]], shapes: Path, tmp_path: Path) -> None:
    train = tmp_path / "train"
    train.mkdir()
    for name, source in (("copy", "f0-a"), ("f1-b", "f2-b"), ("gone", "f3-a")):
        shutil.copy(shapes / "videos" / f"{source}.mp4", train / f"{name}.mp4")
    (train / "gone.mp4").unlink()
    pairs = [make_pair("copy.mp4"), make_pair("f1-b.mp4"), make_pair("gone.mp4", chosen="they said: " + LONG)]
    text = StringIO()
    summary = check(pairs, Console(file=text, width=160), videos=train, shortest=5)
    found = rows(tmp_path / "out")
    content = {(row["benchmark"]["video"], row["training"]["video"]) for row in found if row["kind"] == "content"}
    assert content == {("videos/f0-a.mp4", "copy.mp4"), ("videos/f2-b.mp4", "f1-b.mp4")}
    frames = {(row["benchmark"]["video"], row["training"]["video"]) for row in found if row["kind"] == "frames"}
    assert content <= frames
    (name,) = [row for row in found if row["kind"] == "name"]
    assert (name["benchmark"]["video"], name["training"]["video"], name["overlap"]) == ("videos/f1-b.mp4", "f1-b.mp4", "f1-b")
    assert name["benchmark"]["question_ids"] == ["f1-b:direction", "f1-b:order", "f1-b:static"]
    (said,) = [row for row in found if row["kind"] == "text"]
    assert len(said["benchmark"]["question_ids"]) == 8 and said["training"]["field"] == "chosen"
    assert said["overlap"] == "order of the red square left or right" and said["training"]["pair_id"] == pairs[2].pair_id
    assert summary["not_checked"]["videos_unread"] == {"benchmark": {}, "training": {"gone.mp4": "missing"}}
    assert set(summary["question_ids"]) >= {"f0-a:order", "f1-b:static", "f3-b:order"}
    assert "1 training videos could not be read" in text.getvalue()


def test_without_the_training_files_the_ids_of_the_pairs_are_compared(
    check: Callable[..., dict[str, Any]], shapes: Path, tmp_path: Path
) -> None:
    check([make_pair("x.mp4", video_id_of(shapes / "videos" / "f3-a.mp4"))])
    (row,) = rows(tmp_path / "out")
    assert (row["kind"], row["benchmark"]["video"], row["training"]["video"]) == ("content", "videos/f3-a.mp4", "x.mp4")


def test_tempcompass_ids_are_found_in_training(check: Callable[..., dict[str, Any]], shared_data: Path) -> None:
    """A benchmark of two layouts, of which a folder holds one; a video of its source under another name."""
    data = shared_data / "tempcompass"
    first = json.loads((data / "questions" / "yes_no.json").read_text(encoding="utf-8"))
    name = next(video for video in first if video.isdigit())
    found = check([make_pair(f"clips/{name}.mp4"), make_pair("clips/other.mp4")], data=data, benchmark="tempcompass")
    assert found["checks"]["name"]["matches"] >= 1 and found["checks"]["text"]["matches"] == 0


def test_the_gate_closes_after_everything_is_written(check: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    with pytest.raises(GateNotMet, match="1 matches, 3 questions"):
        check([make_pair("f0-a.mp4")], fail_on_match=True)
    assert len(rows(tmp_path / "out")) == 1 and (tmp_path / "out" / "contamination.json").is_file()
    assert check([make_pair("f0-a.mp4")])["checks"]["name"] == {"matches": 1, "questions": 3}
    # another question to the same folder is refused, as everywhere
    with pytest.raises(InputError, match="holds another run"):
        check([make_pair("f0-a.mp4")], checks=("content", "text"), fail_on_match=True)
    check([make_pair("f0-a.mp4")], checks=("content", "text"), out=tmp_path / "files", fail_on_match=True)


def test_order_of_questions_and_pairs_changes_nothing(check: Callable[..., dict[str, Any]], shapes: Path, tmp_path: Path) -> None:
    pairs = [make_pair(f"f{n}-a.mp4", rejected=f"{LONG} {n}") for n in range(4)]
    first = check(pairs)
    data = tmp_path / "data"
    shutil.copytree(shapes, data)
    lines = (shapes / "questions.jsonl").read_text().splitlines(keepends=True)
    (data / "questions.jsonl").write_text("".join(random.Random(0).sample(lines, len(lines))))
    again = check(pairs[::-1], data=data, out=tmp_path / "again")
    assert (again["checks"], again["question_ids"]) == (first["checks"], first["question_ids"])
    assert rows(tmp_path / "again") == rows(tmp_path / "out")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"data": Path("nowhere")}, "nowhere: no such data folder"),
        ({"videos": Path("nowhere")}, "videos: nowhere: no such folder"),
        ({"pairs": Path("nowhere")}, "nowhere: no such file or folder of pairs"),
        ({"benchmark": "shapes"}, "benchmark 'shapes': unknown"),
    ],
)
def test_wrong_input_is_one_line(check: Callable[..., dict[str, Any]], settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        check([make_pair("a.mp4")], **settings)
    assert message in str(error.value) and "\n" not in str(error.value)
