"""Where the numbers come from: everything in the record but the numbers."""

from vtalign_eval.report.sources import sources_of, spelt_out


def test_the_record_is_told_in_full_also_what_this_release_does_not_know() -> None:
    record = {
        "benchmark": "temporal-shapes",
        "benchmark_version": 3,
        "control": "none",
        "metrics": {"temporal": {"value": 0.5}},
        "frame_policy": {"fps": 2.0, "count": None},
        "server": {"url": "http://127.0.0.1", "model": "m"},
        "config": {"model": "runs/model", "seed": 0, "controls": []},
    }
    judge = {"judge": {"name": "a-judge", "prompt_hash": "hash"}}
    assert sources_of(record, {"yes_no": judge, "captioning": judge, "multi-choice": {}}) == [
        ("model", "runs/model"),
        ("benchmark", "temporal-shapes, version 3"),
        ("control", "none"),
        ("frame policy", "fps 2.0, count none"),
        ("server", "url http://127.0.0.1, model m"),
        ("judge", "name a-judge, prompt_hash hash"),
        ("setting seed", "0"),
        ("setting controls", "none"),
    ]


def test_plain_data_on_one_line() -> None:
    assert spelt_out({"a": [1, True, None], "b": {}}) == "a 1, true, none, b none"
