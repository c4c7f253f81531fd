"""The page of a comparison: what one side alone solves, with both replies."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from vtalign.artifacts import write_json
from vtalign_eval.benchmarks import find_benchmark
from vtalign_eval.compare import compare_pooled, compare_runs
from vtalign_eval.outcomes import Outcome, samples_file, write_samples
from vtalign_eval.results import results_of

BENCHMARK = find_benchmark("temporal-shapes")
Make = Callable[..., Outcome]


def save(folder: Path, outcomes: Sequence[Outcome], data: Path, **changes: Any) -> Path:
    """A finished run on the videos of `data`."""
    folder.mkdir()
    record = {
        "benchmark": "temporal-shapes",
        "config": {"model": f"models/{folder.name}", "seed": 0, "data": str(data)},
        "control": "none",
        "max_new_tokens": 32,
        "data": {"questions": len(outcomes), "question_files": {}, "videos": "v"},
        "frame_policy": {"fps": 4.0, "max_pixels": 2304, "multiple": 16},
        "model_fingerprint": folder.name,
    }
    write_json(folder / "results.json", results_of(outcomes, BENCHMARK, 0, record | changes))
    write_samples(folder / samples_file("temporal-shapes"), outcomes, BENCHMARK)
    return folder


@pytest.fixture
def sides(make_outcome: Make) -> tuple[list[Outcome], list[Outcome]]:
    """Four conflict groups of two videos: B alone solves f0, A alone solves f1, both f2, none f3."""
    solved = {"a": {"f1", "f2"}, "b": {"f0", "f2"}}

    def side(who: str) -> list[Outcome]:
        return [
            make_outcome(
                f"f{family}:{sibling}",
                right=sibling == "a" or f"f{family}" in solved[who],
                video=f"videos/f{family}-{sibling}.mp4",
                answer={"a": "left", "b": "right"}[sibling],
                group=f"f{family}",
                aspect=("order", "speed")[family % 2],
            )
            for family in range(4)
            for sibling in "ab"
        ]

    return side("a"), side("b")


def page(folder: Path) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")


def test_groups_that_one_side_alone_solves(sides: Any, shapes: Path, tmp_path: Path, quiet: Console) -> None:
    a, b = (save(tmp_path / name, side, shapes) for name, side in zip("ab", sides, strict=True))
    compare_runs(a, b, tmp_path / "out", console=quiet)
    text = page(tmp_path / "out")
    assert re.findall(r"<article.*?<h3>(.*?)</h3>", text, re.DOTALL) == [
        "order: solved by B and not by A",
        "speed: solved by A and not by B",
    ]
    assert "Of 4 groups: 1 solved by B and not by A, 1 solved by A and not by B." in text
    first = text[text.index("<article") : text.index("</article>")]
    assert first.count("<img") == 8, "of two videos of a second each, at four frames a second"
    assert re.findall(r"<dt>([AB])</dt><dd><b class=\"(\w+)\">", first) == [
        *(("A", "right"), ("B", "right"), ("A", "wrong"), ("B", "right")),
    ]
    assert "<summary>fixed, order: 1</summary>" in text and "<summary>broken, speed: 1</summary>" in text
    assert not re.search(r"https?://|<script", text)


def test_same_runs_same_bytes(sides: Any, shapes: Path, tmp_path: Path, quiet: Console) -> None:
    a, b = (save(tmp_path / name, side, shapes) for name, side in zip("ab", sides, strict=True))
    for out in ("one", "two"):
        compare_runs(a, b, tmp_path / out, console=quiet)
    assert page(tmp_path / "one") == page(tmp_path / "two")


def test_seeds_keep_their_own_groups_and_videos(
    sides: Any, shapes: Path, make_outcome: Make, tmp_path: Path, quiet: Console
) -> None:
    """The second seed has the same names, the sides the other way round, and its videos are gone."""
    gone = tmp_path / "gone"
    first = [save(tmp_path / name, side, shapes) for name, side in zip("ab", sides, strict=True)]
    second = [save(tmp_path / name, side, gone) for name, side in zip("cd", sides[::-1], strict=True)]
    compare_pooled([(first[0], first[1]), (second[0], second[1])], tmp_path / "out", console=quiet)
    text = page(tmp_path / "out")
    assert "Of 8 groups: 2 solved by B and not by A, 2 solved by A and not by B." in text
    assert text.count("<article") == 4 and f"no longer in {gone}" in text
    with_frames = [card for card in text.split("<article")[1:] if "<img" in card.split("</article>")[0]]
    assert len(with_frames) == 2 and "shared questions, pair 2" in text


def test_what_was_forced_is_said(sides: Any, shapes: Path, tmp_path: Path, quiet: Console) -> None:
    a = save(tmp_path / "a", sides[0], shapes)
    b = save(tmp_path / "b", sides[1][:6], shapes, max_new_tokens=64)
    compare_runs(a, b, tmp_path / "out", force=True, console=quiet)
    text = page(tmp_path / "out")
    assert "max new tokens is 32 in A, 64 in B" in text and "2 questions are only in A and 0 only in B" in text
    assert "shared questions</td><td>6<" in text


def test_runs_without_frames_or_groups(sides: Any, tmp_path: Path, make_outcome: Make, quiet: Console) -> None:
    a, b = (save(tmp_path / name, side, tmp_path, frame_policy=None) for name, side in zip("ab", sides, strict=True))
    compare_runs(a, b, tmp_path / "out", console=quiet)
    assert "stored or came from elsewhere" in page(tmp_path / "out") and "<img" not in page(tmp_path / "out")
    single = [make_outcome("f0:1", right=True)]
    c, d = (save(tmp_path / name, single, tmp_path) for name in "cd")
    compare_runs(c, d, tmp_path / "none", console=quiet)
    assert "There are none among the shared questions." in page(tmp_path / "none")


def test_without_a_folder_there_is_no_page(sides: Any, shapes: Path, tmp_path: Path, quiet: Console) -> None:
    a, b = (save(tmp_path / name, side, shapes) for name, side in zip("ab", sides, strict=True))
    compare_runs(a, b, console=quiet)
    assert not list(tmp_path.rglob("report.html"))


def test_the_numbers_are_there_when_the_page_fails(sides: Any, shapes: Path, tmp_path: Path, quiet: Console) -> None:
    a, b = (save(tmp_path / name, side, shapes) for name, side in zip("ab", sides, strict=True))
    compare_runs(a, b, tmp_path / "out", console=quiet)
    for name in ("report.html", "comparison.json"):
        (tmp_path / "out" / name).unlink()
    (tmp_path / "out" / "report.html").mkdir()
    comparison = compare_runs(a, b, tmp_path / "out", console=quiet)
    assert json.loads((tmp_path / "out" / "comparison.json").read_text()) == json.loads(json.dumps(comparison))
