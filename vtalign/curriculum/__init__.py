"""Curriculum: how hard a pair is, which stage it belongs to, and the order in which training meets it."""

from vtalign.curriculum.difficulty import difficulty_from_divergence, difficulty_from_scores, difficulty_from_strength
from vtalign.curriculum.sampler import CurriculumSampler
from vtalign.curriculum.stages import equal_stages, stages_by_value

__all__ = [
    "CurriculumSampler",
    "difficulty_from_divergence",
    "difficulty_from_scores",
    "difficulty_from_strength",
    "equal_stages",
    "stages_by_value",
]
