"""Judges: who is asked where the rules of a benchmark end. Rules come first, and their figures stay what they are."""

from vtalign_eval.judging.config import JudgeConfig
from vtalign_eval.judging.question import Judged, JudgeQuestion, Judging, Verdict

__all__ = ["JudgeConfig", "JudgeQuestion", "Judged", "Judging", "Verdict"]
