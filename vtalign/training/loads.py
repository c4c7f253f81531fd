"""What an example costs in a forward, estimated before anything is decoded: devices are to wait for each other as little as possible.

Only ratios matter, so a guess will do: frames of one policy are taken to be as large as it allows, and text to have four
characters to a token.
"""

from collections.abc import Sequence

from vtalign.models.families import Geometry
from vtalign.models.prompt import Prompt
from vtalign.training.schedule import Load
from vtalign.video.sample import FramePolicy

_CHARACTERS_PER_TOKEN = 4


def tokens_per_slot(policy: FramePolicy, geometry: Geometry) -> float:
    """Visual tokens of one frame; at most, where frames keep their aspect."""
    if geometry.size is not None:
        return geometry.tokens_per_frame / geometry.temporal_patch
    height, width = policy.size or (policy.max_pixels, 1)
    return height * width / geometry.multiple**2 / geometry.temporal_patch


def estimated_load(prompts: Sequence[Prompt], responses: Sequence[str], per_slot: float) -> Load:
    """Of an example with these distinct prompts and responses. `per_slot`: see `tokens_per_slot`. Examples about the same views in
    the same order share their visual tokens."""
    characters = sum(len(prompt.text) for prompt in prompts) + sum(map(len, responses))
    views = [view for prompt in prompts for view in prompt.views]
    return Load(
        key=tuple(view.view_id for view in views),
        shared=per_slot * sum(map(len, views)),
        own=max(1.0, characters / _CHARACTERS_PER_TOKEN),
    )
