"""Videos of noise that are in memory already, so that no benchmark times decoding."""

from collections.abc import Sequence

import numpy as np
from checkpoint import FPS, make_frames
from numpy.typing import NDArray

from vtalign.video.view import Slot, VideoView


class Noise:
    """A FrameSource of one video per seed, `count` frames of `side` x `side` pixels each. `views`: all of each, by video id."""

    def __init__(self, seeds: Sequence[int], count: int, side: int) -> None:
        self._frames = {str(seed): make_frames(count, side, seed) for seed in seeds}
        self.views = {
            video: VideoView(tuple(Slot(video, number, number / FPS) for number in range(count)), FPS) for video in self._frames
        }

    def frames(self, view: VideoView) -> NDArray[np.uint8]:
        return self._frames[view.slots[0].video_id]
