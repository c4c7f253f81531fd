from pathlib import Path

import pytest

from vtalign.errors import InputError
from vtalign_eval.benchmarks import find_benchmark


def install(folder: Path, name: str, source: str) -> None:
    """A package with a benchmark, as pip would leave it."""
    (folder / "their_benchmark.py").write_text(source)
    info = folder / "their_benchmark-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-benchmark\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[vtalign.benchmarks]\n{name} = their_benchmark:BENCHMARK\n")


def test_the_built_in_benchmark_is_found() -> None:
    assert find_benchmark("temporal-shapes").name == "temporal-shapes"


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"benchmark 'tempcompas': unknown \(known: temporal-shapes"):
        find_benchmark("tempcompas")


def test_a_benchmark_of_an_installed_package_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = """
from vtalign_eval.benchmarks import Benchmark
from vtalign_eval.grade import grade_options

BENCHMARK = Benchmark("theirs", lambda data: (), ("items.json",), grade_options, ("order",))
"""
    install(tmp_path, "theirs", source)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert find_benchmark("theirs").temporal_aspects == ("order",)


def test_an_entry_point_must_be_a_benchmark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "wrong", "BENCHMARK = 3\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(__import__("sys").modules, "their_benchmark", raising=False)
    with pytest.raises(InputError, match="their_benchmark:BENCHMARK is a int, not a Benchmark"):
        find_benchmark("wrong")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import nowhere_to_be_found\n", r"their_benchmark:BENCHMARK cannot be imported: No module named 'nowhere_to_be_found'"),
        ("", r"their_benchmark:BENCHMARK cannot be imported: .* no attribute 'BENCHMARK'"),
        (
            "from vtalign_eval.benchmarks import Benchmark, grade_options\n"
            "BENCHMARK = Benchmark('other', lambda data: (), (), grade_options, ('order',))\n",
            r"their_benchmark:BENCHMARK calls itself 'other'; give both one name",
        ),
    ],
)
def test_what_is_wrong_with_an_entry_point_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, message: str
) -> None:
    install(tmp_path, "broken", source)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(__import__("sys").modules, "their_benchmark", raising=False)
    with pytest.raises(InputError, match=message):
        find_benchmark("broken")
