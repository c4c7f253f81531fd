"""Golden positions, written out by hand: what every rule gives for small prompts, and the example of transformers#45381."""

import numpy as np
import pytest

from vtalign.errors import InputError
from vtalign.models.families import FAMILIES
from vtalign.models.positions import (
    Grid,
    PositionRule,
    counted,
    one_grid_per_frame,
    one_grid_per_video,
    one_grid_per_video_in_library,
)

# two texts, a video of 2 frames x 1 row x 2 columns, two texts
SMALL = np.array([0, 0, 2, 2, 2, 2, 0, 0])
PER_VIDEO = {"qwen2_vl", "qwen2_5_vl"}
PER_FRAME = {"qwen3_vl", "qwen3_vl_moe"}


def test_which_family_has_which_rule() -> None:
    for name, family in FAMILIES.items():
        trained = one_grid_per_video if name in PER_VIDEO else one_grid_per_frame if name in PER_FRAME else counted
        library = one_grid_per_video_in_library if name in PER_VIDEO else trained
        assert family.positions == {"trained": trained, "library": library}


@pytest.mark.parametrize("rule", [one_grid_per_video, one_grid_per_video_in_library])
def test_a_short_video_is_the_same_by_either_rule(rule: PositionRule) -> None:
    """Qwen2-VL: one position from frame to frame; the video's largest position is that of its frames and of its columns."""
    assert rule(SMALL, [Grid(2, 1, 2)]).tolist() == [
        [0, 1, 2, 2, 3, 3, 4, 5],
        [0, 1, 2, 2, 2, 2, 4, 5],
        [0, 1, 2, 3, 2, 3, 4, 5],
    ]


def test_text_behind_a_long_video_as_trained() -> None:
    """Qwen2.5-VL, 2.5 positions between frames, rounded down: frames at 2, 4 and 7; the text goes on at 8."""
    types = np.array([0, 0, 2, 2, 2, 0, 0])
    assert one_grid_per_video(types, [Grid(3, 1, 1, 2.5)]).tolist() == [
        [0, 1, 2, 4, 7, 8, 9],
        [0, 1, 2, 2, 2, 8, 9],
        [0, 1, 2, 2, 2, 8, 9],
    ]


def test_text_behind_a_long_video_by_the_library() -> None:
    """The same video: the text goes on at 3, one row behind the start, and its positions meet those of the frames again."""
    types = np.array([0, 0, 2, 2, 2, 0, 0])
    assert one_grid_per_video_in_library(types, [Grid(3, 1, 1, 2.5)]).tolist() == [
        [0, 1, 2, 4, 7, 3, 4],
        [0, 1, 2, 2, 2, 3, 4],
        [0, 1, 2, 2, 2, 3, 4],
    ]


def test_a_grid_per_frame() -> None:
    """Qwen3-VL: a text (the timestamp) before each frame of 2 rows x 1 column; the text behind a frame goes on 2 further."""
    types = np.array([0, 0, 2, 2, 0, 2, 2, 0])
    assert one_grid_per_frame(types, [Grid(2, 2, 1)]).tolist() == [
        [0, 1, 2, 2, 4, 5, 5, 7],
        [0, 1, 2, 3, 4, 5, 6, 7],
        [0, 1, 2, 2, 4, 5, 5, 7],
    ]


def test_two_videos() -> None:
    types = np.array([2, 2, 0, 2, 2, 0])
    grids = [Grid(1, 1, 2), Grid(2, 1, 1, 4.0)]
    assert one_grid_per_video(types, grids)[0].tolist() == [0, 0, 2, 3, 7, 8]
    assert one_grid_per_video_in_library(types, grids)[0].tolist() == [0, 0, 2, 3, 7, 4]


def test_other_families_count() -> None:
    assert counted(SMALL, [Grid(2, 1, 2)]).tolist() == [[0, 1, 2, 3, 4, 5, 6, 7]]


@pytest.mark.parametrize(("rule", "after"), [(one_grid_per_video, 348), (one_grid_per_video_in_library, 31)])
def test_the_example_of_transformers_45381(rule: PositionRule, after: int) -> None:
    """84 temporal patches of 24 x 32 patches, 2 seconds apart at 2 positions a second, behind 15 text tokens."""
    types = np.array([0] * 15 + [2] * (84 * 12 * 16) + [0] * 10)
    positions = rule(types, [Grid(84, 12, 16, 4.0)])
    video = positions[:, types == 2]
    assert video.min(axis=1).tolist() == [15, 15, 15] and video.max(axis=1).tolist() == [347, 26, 30]
    assert positions[:, -10:].tolist() == [list(range(after, after + 10))] * 3


def test_prompts_that_do_not_show_their_views() -> None:
    for types, grids in (([0, 2, 2], [Grid(1, 1, 1)]), ([0, 0], [Grid(1, 1, 1)]), ([2, 0, 2], [Grid(1, 1, 1)])):
        for rule in (one_grid_per_video, one_grid_per_frame):
            with pytest.raises(InputError, match="placeholder run"):
                rule(np.array(types), grids)
