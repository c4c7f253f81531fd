import json
from collections.abc import Callable
from pathlib import Path

import pytest

from vtalign.errors import InputError
from vtalign_eval.benchmarks import find_benchmark
from vtalign_eval.outcomes import Outcome, failures_by_reason, read_samples, write_samples

BENCHMARK = find_benchmark("temporal-shapes")
LOST = {"reply": None, "choice": None, "correct": False, "lenient_choice": None, "lenient_correct": False}


def test_samples_come_back_as_they_were(tmp_path: Path, make_outcome: Callable[..., Outcome]) -> None:
    outcomes = [
        make_outcome("f:a", right=True, group="x"),
        make_outcome("f:b", right=False, reply="zwölf \n Punkte", cut=True, uncontrolled=True),
        make_outcome("f:c", right=False, failure="corrupt", events=None, **LOST),
    ]
    write_samples(tmp_path / "s.jsonl", outcomes, BENCHMARK)
    assert read_samples(tmp_path / "s.jsonl") == outcomes


def test_rows_have_the_fields_that_lmms_eval_writes(tmp_path: Path, make_outcome: Callable[..., Outcome]) -> None:
    write_samples(tmp_path / "s.jsonl", [make_outcome("f:a", right=True), make_outcome("f:b", right=False)], BENCHMARK)
    first, second = (json.loads(line) for line in (tmp_path / "s.jsonl").read_text().splitlines())
    assert (first["doc_id"], second["doc_id"]) == (0, 1)
    assert (first["target"], first["filtered_resps"], first["resps"]) == ("left", ["left"], [["left"]])
    assert {"input", "doc_hash"} <= first.keys()
    # its loader takes the first field with "score" in the name
    assert [key for key in first if "score" in key] == ["score"]
    assert (first["score"], second["score"]) == (1.0, 0.0)


def test_a_broken_samples_file_is_named(tmp_path: Path, make_outcome: Callable[..., Outcome]) -> None:
    path = tmp_path / "s.jsonl"
    write_samples(path, [make_outcome("f:a", right=True)], BENCHMARK)
    path.write_text(path.read_text() + '{"question_id": "f:b"}\n')
    with pytest.raises(InputError, match=r"s\.jsonl:2: video: is required"):
        read_samples(path)


def test_failures_are_counted_by_reason(make_outcome: Callable[..., Outcome]) -> None:
    lost = [
        make_outcome(f"f:{i}", right=False, video=v, failure=r, **LOST)
        for i, (v, r) in enumerate([("b", "x"), ("a", "x"), ("a", "x")])
    ]
    assert failures_by_reason([make_outcome("f:ok", right=True), *lost]) == {"x": {"questions": 3, "videos": ["a", "b"]}}
