"""Videos of a realistic length for `pipeline.py`: many shots joined, 16 : 9 at 25 fps, H.264 at x264's own settings.

Shots come from a folder of clips, or, without one, from the synthetic corpus (`vtalign_data.synth`), drawn larger.
"""

import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from vtalign.errors import InputError, VideoError
from vtalign.video.isolated import DecodeWorkers
from vtalign_data.synth.render import draw_frame
from vtalign_data.synth.world import random_story

FPS = 25
_CLIP_SUFFIXES = (".mp4", ".mkv", ".avi", ".mov", ".webm")


@dataclass(frozen=True)
class Plan:
    """How many videos, and of how many shots of how many seconds each is joined; `height` in pixels."""

    videos: int
    shots: int
    seconds: float
    height: int

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.height * 16 // 9, self.height


@dataclass(frozen=True)
class Source:
    """One stretch that a shot may show: of a file, from `start` on, seconds."""

    path: Path
    start: float


def write_videos(folder: Path, plan: Plan, clips: Path | None) -> list[Path]:
    """The videos of `plan` in a folder of its name under `folder`, written where they are not there yet.

    Raises InputError where `clips` has too few stretches long enough.
    """
    kind = clips.name if clips else "synthetic"
    target = folder / f"{kind}-{plan.videos}x{plan.shots}x{plan.seconds:g}s-{plan.height}p"
    paths = [target / f"{number:03d}.mp4" for number in range(plan.videos)]
    sources = None
    for number, path in enumerate(paths):
        if path.is_file():
            continue
        target.mkdir(parents=True, exist_ok=True)
        if clips is None:
            frames = _synthetic(plan, number)
        else:
            sources = sources or stretches(clips, plan.seconds)
            frames = _joined(choose(sources, plan, number), plan)
        _write(path, frames, plan.size)
    return paths


def stretches(clips: Path, seconds: float) -> list[Source]:
    """All stretches of `seconds` that the readable videos in `clips` hold, one after the other."""
    found = []
    paths = sorted(path for path in clips.iterdir() if path.suffix in _CLIP_SUFFIXES)
    with DecodeWorkers(1) as workers:
        for path, info in zip(paths, workers.map_probe(paths), strict=True):
            if not isinstance(info, VideoError):
                found += [Source(path, number * seconds) for number in range(int(info.duration / seconds + 1e-6))]
    return found


def choose(sources: Sequence[Source], plan: Plan, number: int) -> list[Source]:
    """The stretches of video `number`, drawn by its number; neighbours come from different files, so that there is a cut."""
    if len({source.path for source in sources}) < 2 or len(sources) < plan.shots:
        raise InputError(
            f"--clips: {len(sources)} stretches of {plan.seconds:g} s, of two files at least; {plan.shots} are needed"
        )
    draw = random.Random(number)
    left = list(sources)
    chosen: list[Source] = []
    while len(chosen) < plan.shots:
        fitting = [source for source in left if not chosen or source.path != chosen[-1].path]
        if not fitting:  # only one file is left over: begin again with all
            left = list(sources)
            continue
        chosen.append(draw.choice(fitting))
        left.remove(chosen[-1])
    return chosen


def _joined(sources: Sequence[Source], plan: Plan) -> Iterator[NDArray[np.uint8]]:
    for source in sources:
        yield from islice(_resampled(source, plan.size), round(plan.seconds * FPS))


def _resampled(source: Source, size: tuple[int, int]) -> Iterator[NDArray[np.uint8]]:
    """Frames of a file from `start` on at FPS, each held until the next is due."""
    due = source.start
    held: NDArray[np.uint8] | None = None
    with av.open(str(source.path)) as container:
        for frame in container.decode(video=0):
            time = frame.time or 0.0
            while held is not None and due < time:
                yield held
                due += 1 / FPS
            held = cv2.resize(frame.to_ndarray(format="rgb24"), size, interpolation=cv2.INTER_AREA)
    while held is not None:  # the last frame has a duration too
        yield held


def _synthetic(plan: Plan, number: int) -> Iterator[NDArray[np.uint8]]:
    draw = random.Random(number)
    count = round(plan.seconds * FPS)
    width, height = plan.size
    margin = (width - height) // 2
    for shot in range(plan.shots):
        (event,) = random_story(draw, 1)
        border = draw.randrange(64) + 192 * (shot % 2)  # dark and bright in turn: a cut that a detector sees
        for index in range(count):
            image = draw_frame(event, index / count, side=height)
            sides = np.full((height, margin, 3), border, np.uint8)
            yield np.concatenate([sides, image, sides], axis=1)


def _write(path: Path, frames: Iterator[NDArray[np.uint8]], size: tuple[int, int]) -> None:
    partial = path.with_name(f".{path.name}.partial.mp4")
    with av.open(str(partial), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")))
        container.mux(stream.encode())
    os.replace(partial, path)
