"""`Usage`: what a batch cost, so that speeds can be compared by work done and not by the clock alone."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields

DECODING = ("decodes", "probes", "reads", "frames")
"""Counts that depend on who had which frames at hand: two runs of one build need not have them in common."""


@dataclass(frozen=True)
class Usage:
    """Counts of one batch, or of several.

    model_calls: responses and a judge's verdicts that were asked for, and rows that were scored. prompt_tokens: of the prompts that
    were answered, each counted whole, however many share a row (a server's prompts are not counted: it does not say).
    generated_tokens: of the responses, with their ends of turn. decodes: passes over video files, of which `probes` counted their
    frames and `reads` only gave some (others compared readers); both gave `frames`; they depend on what is still in memory or in the frame
    cache, so that a run that was stopped may count more of them.
    """

    model_calls: int = 0
    prompt_tokens: int = 0
    generated_tokens: int = 0
    decodes: int = 0
    probes: int = 0
    reads: int = 0
    frames: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    def __sub__(self, other: "Usage") -> "Usage":
        return Usage(*(getattr(self, field.name) - getattr(other, field.name) for field in fields(self)))

    def to_dict(self) -> dict[str, int]:
        return asdict(self)


def total(usages: Iterable[Usage]) -> Usage:
    return sum(usages, Usage())
