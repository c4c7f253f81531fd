"""The demo's page: says what the numbers say, and shows text as text."""

import re
from pathlib import Path

from vtalign.report.demo_report import DemoReport, write_demo_report


def written(path: Path, data: DemoReport) -> str:
    write_demo_report(path, data)
    return path.read_text(encoding="utf-8")


def test_a_response_is_shown_never_run(tmp_path: Path, demo_data: DemoReport) -> None:
    text = written(tmp_path / "report.html", demo_data)
    assert "<script" not in text and not re.search(r"<img src=[^\"]", text) and "alert(1)" in text


def test_the_page_loads_nothing(tmp_path: Path, demo_data: DemoReport) -> None:
    text = written(tmp_path / "report.html", demo_data)
    assert not re.search(r"https?://|<link|@import|url\(", text)
    assert set(re.findall(r'src="([a-z:/]+)', text)) == {"data:image/png"}


def test_the_headline_is_the_first_gain(tmp_path: Path, demo_data: DemoReport) -> None:
    text = written(tmp_path / "report.html", demo_data)
    assert "+12.0" in text and "points [+9.0, +15.0], p &lt; 0.001" in text
    assert 'tile good"><div class="tile-label">temporal accuracy' in text and "within 2 points" in text


def test_a_gain_that_is_none_is_not_shown_as_one(tmp_path: Path, demo_data: DemoReport) -> None:
    gain = demo_data["gain"]["dpo_then_sft - sft_only"]
    gain.update({"temporal": -0.05, "ci95": [-0.08, -0.02], "static_ci95": [-0.04, 0.01]})
    text = written(tmp_path / "report.html", demo_data)
    assert 'tile good"' not in text and text.count('tile bad"') == 2 and "not within 2 points" in text


def test_a_gain_over_few_families_is_neither_good_nor_bad(tmp_path: Path, demo_data: DemoReport) -> None:
    gain = demo_data["gain"]["dpo_then_sft - sft_only"]
    gain.update({"ci95": None, "p_value": None, "static_ci95": None})
    text = written(tmp_path / "report.html", demo_data)
    assert 'tile good"' not in text and "+12.0" in text
    assert "points no interval</" in text and "points no interval, not known to be within 2 points" in text


def test_same_data_same_bytes(tmp_path: Path, demo_data: DemoReport) -> None:
    assert written(tmp_path / "one.html", demo_data) == written(tmp_path / "two.html", demo_data)
