"""Curriculum: how hard a pair is, which stage it belongs to, and the order in which training meets it."""

from vtalign.curriculum.difficulty import (
    blended_difficulty,
    difficulty_from_column,
    difficulty_from_divergence,
    difficulty_from_reward_gap,
    difficulty_from_scores,
    difficulty_from_strength,
    difficulty_from_text_length,
)
from vtalign.curriculum.pacing import open_share
from vtalign.curriculum.sampler import CurriculumSampler
from vtalign.curriculum.stages import equal_stages, stages_by_value

__all__ = [
    "CurriculumSampler",
    "blended_difficulty",
    "difficulty_from_column",
    "difficulty_from_divergence",
    "difficulty_from_reward_gap",
    "difficulty_from_scores",
    "difficulty_from_strength",
    "difficulty_from_text_length",
    "equal_stages",
    "open_share",
    "stages_by_value",
]
