"""The page of a comparison: differences with their tests, both sides' replies, and counts of all flips."""

import re
from pathlib import Path

from vtalign.report.comparison_report import ComparisonReport, write_comparison_report


def page(tmp_path: Path, data: ComparisonReport) -> str:
    write_comparison_report(tmp_path / "report.html", data)
    return (tmp_path / "report.html").read_text(encoding="utf-8")


def test_nothing_a_user_or_model_wrote_is_markup(tmp_path: Path, comparison_data: ComparisonReport) -> None:
    text = page(tmp_path, comparison_data)
    assert "<script" not in text and not re.search(r"<img src=[^\"]", text) and "alert(1)" in text
    assert not re.search(r"https?://|<link|@import|url\(", text)


def test_tiles_say_which_side_is_better(tmp_path: Path, comparison_data: ComparisonReport) -> None:
    text = page(tmp_path, comparison_data)
    tones = re.findall(r'tile (\w+)"><div class="tile-label">(\w+).*?tile-value">(.*?)</div>', text)
    assert tones[:3] == [("bad", "strict", "−30.0"), ("good", "temporal", "+20.0"), ("plain", "static", "+0.0")]
    assert "points [+10.0, +30.0], p &lt; 0.001, n = 400" in text
    assert '<div class="tile-value">41 / 1</div>' in text


def test_a_row_has_the_difference_and_its_tests(tmp_path: Path, comparison_data: ComparisonReport) -> None:
    text = page(tmp_path, comparison_data)
    row = re.search(r"<td>Temporal questions</td>(.*?)</tr>", text)
    assert row and re.findall(r">([^<]+)</td>", row[1]) == [
        *("50.0 %", "70.0 %", "+20.0", "[+10.0, +30.0]", "&lt; 0.001", "0.250", "3", "9", "12.0 %", "400")
    ]
    assert "by likelihood" in text and text.count("difference-dot") == 3  # two aspects, and the style


def test_flips_are_counted_all_and_listed_in_part(tmp_path: Path, comparison_data: ComparisonReport) -> None:
    text = page(tmp_path, comparison_data)
    assert "<summary>fixed, order: 41, the first 20 are listed</summary>" in text
    assert "<summary>broken, order: 1</summary>" in text
    assert "<td>no reply</td>" in text and "(900 characters)" in text


def test_what_was_forced_comes_first(tmp_path: Path, comparison_data: ComparisonReport) -> None:
    text = page(tmp_path, comparison_data)
    assert text.index("Compared although") < text.index("What changed") and "frame policy fps is 2.0 in A" in text
    comparison_data["forced"] = []
    assert "Compared although" not in page(tmp_path, comparison_data)


def test_a_comparison_of_nothing_that_differs(tmp_path: Path, comparison_data: ComparisonReport) -> None:
    for name in ("metrics", "aspects", "flips"):
        comparison_data[name] = {}  # type: ignore[literal-required]
    comparison_data["groups"] = {"cards": [], "text": "There are none among the shared questions."}
    text = page(tmp_path, comparison_data)
    assert "0 / 0" in text and "0 questions are right in B only" in text and "<article" not in text
