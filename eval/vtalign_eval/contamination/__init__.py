"""Contamination: what of a benchmark was in the training pairs?"""

from vtalign_eval.contamination.check import check_contamination
from vtalign_eval.contamination.config import ContaminationConfig

__all__ = ["ContaminationConfig", "check_contamination"]
