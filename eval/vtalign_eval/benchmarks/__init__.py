"""Benchmarks: small declarations of what is asked and how replies are graded."""

from vtalign_eval.benchmarks.benchmark import Benchmark
from vtalign_eval.benchmarks.registry import find_benchmark

__all__ = ["Benchmark", "find_benchmark"]
