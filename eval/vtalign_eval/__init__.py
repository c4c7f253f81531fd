"""Benchmarks, prediction, grading, controls, statistics and comparison of video LLMs."""
