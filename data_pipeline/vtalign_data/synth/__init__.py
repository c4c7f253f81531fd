"""A synthetic corpus with known answers: rendered shapes whose order, direction, speed and change are told apart only by time."""

from vtalign_data.synth.corpus import write_corpus

__all__ = ["write_corpus"]
