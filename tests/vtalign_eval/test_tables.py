"""Tables in a terminal of 80 columns: nothing is cut, no cell is wrapped."""

from io import StringIO
from typing import Any

from rich.console import Console

from vtalign_eval.tables import print_comparison, print_results
from vtalign_eval.tempcompass.questions import ASPECTS, SUB_ASPECTS, TASKS
from vtalign_eval.tempcompass.table import print_figures

# as wide as numbers get
METRIC = {"value": 1.0, "ci95": [0.993, 1.0], "n": 7540}
NAMES = ("temporal_strict", "same_answer_rate", "temporal", "static", "temporal_lenient", "parse_rate")


def printed() -> tuple[Console, StringIO]:
    text = StringIO()
    return Console(file=text, width=80), text


def lines_of(text: StringIO) -> list[str]:
    assert "…" not in text.getvalue()
    return text.getvalue().splitlines()


def test_a_run_and_its_gains() -> None:
    console, text = printed()
    gain = {"control": 0.5, "gain": -0.421, "ci95": [-0.688, -0.174]}
    found: dict[str, Any] = {
        "benchmark": "temporal-shapes",
        "control": "none",
        "metrics": dict.fromkeys(NAMES, METRIC),
        "chance": {"static": 0.5, "attribute_change": 0.5},
        "aspects": {"attribute_change": {"accuracy": METRIC, "strict": METRIC}},
        "events": {"2": {"temporal": METRIC, "static": METRIC}},
        "gains": {"repeated-frame": {"metrics": {"temporal_strict": gain, "temporal": gain}}},
        "counts": {"unparsable": 0, "uncontrolled": 0},
        "decode_failures": {},
        "server_failures": {},
    }
    print_results(console, {"vtalign": found, "model_name": "m"})
    lines = lines_of(text)
    cells = [line.split() for line in lines]
    assert ["attribute", "change", "100.0", "99.3", "to", "100.0", "100.0", "50.0", "7540"] in cells
    assert ["repeated-frame", "50.0", "-42.1", "-68.8", "to", "-17.4", "50.0", "-42.1", "-68.8", "to", "-17.4"] in cells


def test_a_comparison() -> None:
    console, text = printed()
    entry = {
        "a": 1.0, "b": 0.5, "difference": -0.5, "ci95": [-0.688, -0.174], "minimum_detectable": 0.201, "p_value": 0.0001,
        "mcnemar": {"p_exact": 0.011, "fixed": 123, "broken": 145}, "n": 7540,
    }  # fmt: skip
    side = {"model": "m"}
    comparison = {
        "a": side,
        "b": side,
        "metrics": dict.fromkeys(NAMES, entry),
        "aspects": {"attribute_change": {"accuracy": entry}},
        "forced": [],
        "judge": {"a": None, "b": None},
        "flipped": {},
    }
    print_comparison(console, comparison)
    cells = ["100.0", "50.0", "-50.0", "-68.8", "to", "-17.4", "20.1", "<.001", ".011"]
    lines = [line.split() for line in lines_of(text)]
    assert ["attribute", "change", *cells, "123/145", "7540"] in lines
    assert ["same", "answer", *cells, "145/123", "7540"] in lines, "of the same answer to siblings, less is better"


def test_numbers_of_few_families_are_named_as_such() -> None:
    console, text = printed()
    few = {"value": 1.0, "ci95": None, "n": 4}
    found: dict[str, Any] = {
        "benchmark": "temporal-shapes",
        "control": "none",
        "metrics": {"temporal": METRIC, "static": few},
        "aspects": {"order": {"accuracy": few}},
        "chance": {},
        "counts": {"unparsable": 0, "uncontrolled": 0},
        "decode_failures": {},
        "server_failures": {},
    }
    print_results(console, {"vtalign": found, "model_name": "m"})
    assert "2 numbers (of all that were written) are of fewer than 15 families" in text.getvalue()


def test_tempcompass_with_three_readings() -> None:
    console, text = printed()
    figure = {"accuracy": 88.8}
    reading = {"avg": figure, "aspects": dict.fromkeys(ASPECTS, figure), "sub_aspects": dict.fromkeys(SUB_ASPECTS, figure)}
    task = {"rule": reading, "lenient": reading, "judged": reading, "match_rate": 100.0, "counts": {"questions": 2453}}
    print_figures(
        console,
        "TempCompass",
        {**dict.fromkeys(TASKS[:3], task), "captioning": {"judged": reading, "counts": {"questions": 2004}}},
    )
    lines = lines_of(text)
    assert any("multi-choice" in line for line in lines)
    assert [*["coarse-grained", "action"], *["88.8/88.8/88.8"] * 3, "88.8"] in [line.split() for line in lines]
