"""Benchmarks: small declarations of what is asked and how replies are graded.

What a package with a benchmark of its own imports is all here; `Benchmark` says how to declare one.
"""

from vtalign_eval.benchmarks.benchmark import Benchmark
from vtalign_eval.benchmarks.registry import find_benchmark
from vtalign_eval.grade import Grade, grade_options
from vtalign_eval.items import Item, read_lines

__all__ = ["Benchmark", "Grade", "Item", "find_benchmark", "grade_options", "read_lines"]
