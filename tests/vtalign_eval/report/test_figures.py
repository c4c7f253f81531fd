"""TempCompass's figures as tables: what `tempcompass.json` says, nothing rounded again."""

from typing import Any

from vtalign_eval.report.figures import figure_tables


def reading(action: float, order: float, avg: float) -> dict[str, Any]:
    return {
        "avg": {"accuracy": avg},
        "aspects": {"action": {"accuracy": action}, "order": {"accuracy": order}},
        "sub_aspects": {"order": {"accuracy": order}, "a newer one": {"accuracy": 1.0}},
    }


FIGURES: dict[str, dict[str, Any]] = {
    "yes_no": {
        "match_rate": 99.5,
        "rule": reading(74.3, 49.2, 56.4),
        "lenient": reading(75.0, 49.2, 57.0),
        "counts": {"questions": 2453, "null": 0, "unmatched": 7},
        "replies": {"rule": {"no": 245, "none": 7, "yes": 2201}, "lenient": {"no": 245, "yes": 2208}, "yes_rate_rule": 90.0},
    },
    "captioning": {"needs_judge": True, "counts": {"questions": 2004, "null": 1}},
}


def rows(title: str, figures: dict[str, dict[str, Any]] = FIGURES) -> list[list[object]]:
    return next([list(row) for row in own["rows"]] for own in figure_tables(figures) if title in own["title"])


def test_every_reading_is_a_line_and_a_missing_judge_is_said() -> None:
    assert rows("as published") == [
        ["yes no", "rules alone", "74.3", "", "", "49.2", "", "56.4", "99.5", 2453],
        ["yes no", "lenient", "75.0", "", "", "49.2", "", "57.0", "", 2453],
        ["captioning", "needs a judge", "", "", "", "", "", "", "", 2004],
    ]


def test_a_judge_adds_its_line() -> None:
    judged = {"captioning": {"judged": reading(50.8, 38.2, 34.8), "counts": {"questions": 2004}}}
    assert rows("as published", judged) == [["captioning", "with judge", "50.8", "", "", "38.2", "", "34.8", "", 2004]]


def test_sub_aspects_are_lines_in_the_published_order_then_newer_ones() -> None:
    assert rows("sub-aspects") == [["order", "49.2 / 49.2", ""], ["a newer one", "1.0 / 1.0", ""]]


def test_what_was_chosen_and_what_was_wrong_with_the_file() -> None:
    assert rows("what was chosen") == [
        ["yes no", "rules alone", "no: 245, none: 7, yes: 2,201", "90.0"],
        ["yes no", "lenient", "no: 245, yes: 2,208", ""],
    ]
    assert rows("counts") == [["yes no", 2453, 0, 7], ["captioning", 2004, 1, ""]]


def test_other_benchmarks_have_no_such_tables() -> None:
    assert figure_tables({}) == []
