"""The data build's page: what was kept, what was not, and why."""

from pathlib import Path

import pytest

from vtalign.report.build_report import BuildReport, duration, write_build_report
from vtalign.report.selection import RuleOutcome


def test_every_reason_and_every_bad_video_is_named(tmp_path: Path, build_data: BuildReport) -> None:
    write_build_report(tmp_path / "report.html", build_data)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    for expected in ("corrupt", "identical", "a&lt;b&gt;.mp4", "51.0 %", "shuffle 2", "1 min 15 s"):
        assert expected in text
    assert "<script" not in text


def test_scores_are_shown_with_how_many_were_measured(tmp_path: Path, build_data: BuildReport) -> None:
    write_build_report(tmp_path / "report.html", build_data)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    for expected in ("ches", ">88<", ">-1.25<", ">50 %<", ">divergence<"):
        assert expected in text


def test_what_each_rule_of_the_selection_removed(tmp_path: Path, build_data: BuildReport) -> None:
    rule: RuleOutcome = {
        "stage": "03c-shots",
        "rule": "low_contrast",
        "limit": "grey range of at least 10",
        "unit": "shots",
        "before": 1234,
        "after": 1222,
    }
    build_data["selection"] = {
        "rules": [rule],
        "shots": {"videos": 7, "found": 80, "dropped": {"shot_too_short": 3}, "clips": 61},
        "reversal": {"by": "divergence", "videos": 9, "same_backwards": 2, "quantiles": {"median": 0.01234}},
    }
    write_build_report(tmp_path / "report.html", build_data)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    for expected in (
        "low_contrast",
        "grey range of at least 10",
        "1,234",
        "1,222",
        "shot_too_short",
        "61",
        "0.0123",
        "divergence",
    ):
        assert expected in text


def test_a_length_confound_is_flagged(tmp_path: Path, build_data: BuildReport) -> None:
    build_data["lengths"]["after balancing"]["accuracy"] = 0.6
    write_build_report(tmp_path / "report.html", build_data)
    assert 'tile bad"' in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(("seconds", "words"), [(8.2, "8 s"), (75, "1 min 15 s"), (7322, "2 h 2 min")])
def test_duration(seconds: float, words: str) -> None:
    assert duration(seconds) == words
