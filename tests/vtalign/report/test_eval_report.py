"""The page of an evaluation: every number that there is, and texts as texts."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from vtalign.report.eval_report import EvalReport, write_eval_report


def page(tmp_path: Path, data: EvalReport) -> str:
    write_eval_report(tmp_path / "report.html", data)
    return (tmp_path / "report.html").read_text(encoding="utf-8")


def plain(**changes: Any) -> EvalReport:
    """A run about which there is as little to say as possible."""
    empty: Mapping[str, Any] = {name: {} for name in ("metrics", "aspects", "tasks", "events", "controls")}
    rest = {
        "tables": [],
        "groups": {"cards": [], "text": "There are none."},
        "unread": {"counts": {}, "videos": {}, "replies": []},
    }
    return {"model": "m", "benchmark": "b", "control": "none", "sources": [], **empty, **rest, **changes}  # type: ignore[typeddict-item]


def test_nothing_a_user_or_model_wrote_is_markup(tmp_path: Path, eval_data: EvalReport) -> None:
    text = page(tmp_path, eval_data)
    assert "<script" not in text and not re.search(r"<img src=[^\"]", text) and "alert(1)" in text
    assert not re.search(r"https?://|<link|@import|url\(", text)
    assert set(re.findall(r'src="([a-z:]+)', text)) == {"data:image"}


def test_headline_tiles_have_interval_count_and_chance(tmp_path: Path, eval_data: EvalReport) -> None:
    text = page(tmp_path, eval_data)
    tiles = re.findall(
        r'tile (\w+)"><div class="tile-label">(.*?)</div><div class="tile-value">(.*?)</div>.*?note">(.*?)</div>', text
    )
    assert tiles[0] == (
        "bad",
        "strict: all siblings of a conflict group right",
        "40.0 %",
        "37.0 to 43.0; n = 400; below chance, 50.0 %",
    )
    assert tiles[2] == ("good", "temporal accuracy", "75.0 %", "72.0 to 78.0; n = 400; above chance, 50.0 %")
    eval_data["metrics"]["temporal"].update({"low": 0.45, "high": 0.8})  # type: ignore[attr-defined]
    assert "n = 400; chance is 50.0 %" in page(tmp_path, eval_data)


def test_controls_stand_beside_the_score(tmp_path: Path, eval_data: EvalReport) -> None:
    text = page(tmp_path, eval_data)
    order = text[text.index("<figcaption>order") : text.index("<figcaption>attribute change")]
    assert re.findall(r'bar-label">(.*?)</div>', order) == ["the run", "shuffled", "text"]
    assert "How much of it needs time" in text and "+25.0" in text and "[+20.0, +30.0]" in text
    assert "Gains by aspect" in text and "stills" in text


def test_every_column_is_shown_also_one_of_a_name_never_heard_of(tmp_path: Path, eval_data: EvalReport) -> None:
    text = page(tmp_path, eval_data)
    table = text[text.index('number">accuracy %') : text.index("As published")]
    assert "by likelihood %" in table and "by moonlight" in table and "33.0 (30.0 to 36.0)" in table
    assert '<td class="number"></td>' in table, "attribute change has accuracy alone"


def test_what_could_not_be_read_is_counted_and_named(tmp_path: Path, eval_data: EvalReport) -> None:
    text = page(tmp_path, eval_data)
    assert "videos/9.mp4 and 2 more" in text and "videos/10.mp4" not in text
    assert "characters)" in text


def test_without_conflict_groups_the_headline_says_so(tmp_path: Path) -> None:
    text = page(tmp_path, plain())
    assert "there are no conflict groups among the questions" in text and "There are none." in text
    assert 'class="bar-row"' not in text and "How much of it needs time" not in text


def test_a_single_family_has_values_without_intervals(tmp_path: Path) -> None:
    alone = {"value": 0.5, "low": None, "high": None, "n": 2, "chance": None, "minimum_detectable": None}
    text = page(tmp_path, plain(metrics={"temporal": alone}, aspects={"order": {"accuracy": alone}}))
    assert "50.0 %" in text and 'class="bar-whisker"' not in text and "None" not in text


@pytest.mark.parametrize("count", [1, 100])
def test_any_number_of_aspects_is_drawn(tmp_path: Path, count: int) -> None:
    one = {"value": 1.0, "low": 1.0, "high": 1.0, "n": 3, "chance": 0.5}
    text = page(tmp_path, plain(aspects={f"aspect_{k}": {"accuracy": one} for k in range(count)}))
    assert text.count('class="bar-row"') == count


def test_same_data_same_bytes(tmp_path: Path, eval_data: EvalReport) -> None:
    assert page(tmp_path, eval_data) == page(tmp_path, eval_data)
