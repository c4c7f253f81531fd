"""Hold every frame that a build reads of real clips against a full in-order decode: exactly the same pixels, or the command fails.

    python benchmarks/frames.py ../shared/data/clips

The reference is plain PyAV: every frame of the file decoded in order, turned as its rotation says, and resized by OpenCV where the
build resizes, or by FFmpeg where the shot pass sketches. Of each clip that `probe` accepts, all frames are asked for in each of the
ways in which a build asks:

- `pass`: seeded sets of frames, two or more, in the video's own size, each by one pass forward.
- `seek`: runs of 32 frames, each from the keyframe before it. Clips are short, so that seeks have to be forced; a file whose times or
  keyframes cannot be trusted is read forward all the same, and is counted under `forward`.
- `view`: clean, reversed and shuffled views at a model's frame size, each through a fresh frame store; `cache`: the same views, when
  the file is gone and only the frame cache is left.
- `shots`: the frames that the shot pass looks at, at its size, and a view that it reads along in the same pass.
"""

import argparse
import hashlib
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
from measure import table, write_results
from numpy.typing import NDArray

from vtalign.errors import VideoError
from vtalign.video.frames import FrameStore
from vtalign.video.isolated import DecodeLimits, DecodeWorkers, FrameSet
from vtalign.video.pixels import Sketch
from vtalign.video.probe import VideoInfo
from vtalign.video.sample import FramePolicy, frame_size
from vtalign.video.view import Slot, VideoView
from vtalign_data.config import ClipConfig
from vtalign_data.embed import HistogramEncoder
from vtalign_data.shot_pass import make_shots

POLICY = FramePolicy(max_pixels=128 * 128, multiple=16)
WAYS = ("pass", "seek", "forward", "view", "cache", "shots")
_RUN = 32  # frames
_HELD_BYTES = 256 * 2**20  # of a set of frames

Size = tuple[int, int] | Sketch
Digests = list[bytes]


class Reference:
    """Digests of all frames of a file, in order, at any size."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[Size | None, Digests] = {}

    def digests(self, size: Size | None) -> Digests:
        """`size`: (width, height) as displayed, None: the video's own."""
        if size not in self._known:
            self._known[size] = [digest(frame) for frame in decode_in_order(self._path, size)]
        return self._known[size]

    def wrong(self, frames: Sequence[NDArray[np.uint8]], ordinals: Sequence[int], size: Size | None) -> int:
        known = self.digests(size)
        return sum(digest(frame) != known[ordinal] for frame, ordinal in zip(frames, ordinals, strict=True))


class Recorded(DecodeWorkers):
    """Decoder processes that keep what they read."""

    def __init__(self) -> None:
        super().__init__(1)
        self.made: list[tuple[FrameSet, NDArray[np.uint8]]] = []

    def read_sets(self, path: str | Path, sets: Sequence[FrameSet], reader: str = "pyav") -> list[NDArray[np.uint8]]:
        frames = super().read_sets(path, sets, reader)
        self.made += zip(sets, frames, strict=True)
        return frames


def decode_in_order(path: Path, size: Size | None) -> Iterator[NDArray[np.uint8]]:
    with av.open(str(path)) as container:
        stream = container.streams.best("video")
        for frame in container.decode(stream):
            turns = frame.rotation // 90 % 4
            if isinstance(size, Sketch):
                stored = (size.height, size.width) if turns % 2 else (size.width, size.height)
                small = frame.reformat(*stored, format="rgb24", interpolation="AREA", threads=1)
                yield np.rot90(small.to_ndarray(), turns)
                continue
            rgb = frame.to_ndarray(format="rgb24")
            if size is not None:
                stored = size[::-1] if turns % 2 else size
                rgb = rgb if rgb.shape[1::-1] == stored else cv2.resize(rgb, stored, interpolation=cv2.INTER_AREA)
            yield np.rot90(rgb, turns)


def digest(frame: NDArray[np.uint8]) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(frame).tobytes() + str(frame.shape).encode(), digest_size=16).digest()


def compare_clip(path: Path, info: VideoInfo, folder: Path, seed: int) -> dict[str, tuple[int, int]]:
    """(frames read, wrong ones) of each way."""
    reference, draw = Reference(path), random.Random(seed)
    if len(reference.digests(None)) != info.frames:
        raise RuntimeError(f"{path.name}: probe counts {info.frames} frames, in order there are {len(reference.digests(None))}")
    with DecodeWorkers(1) as workers:
        found = {"pass": read_each(path, seeded_sets(info, draw), reference, workers)}
    with DecodeWorkers(1, DecodeLimits(seek_beyond_s=1e-6)) as workers:
        way = "seek" if workers.probe(path).access == "seek" else "forward"
        runs = [range(start, min(start + _RUN, info.frames)) for start in range(0, info.frames, _RUN)]
        found[way] = read_each(path, runs, reference, workers)
    found["view"], found["cache"] = read_views(path, info, reference, draw, folder)
    found["shots"] = read_shots(path, info, reference)
    return found


def seeded_sets(info: VideoInfo, draw: random.Random) -> list[list[int]]:
    """All ordinals, in sets that fit into memory."""
    ordinals = list(range(info.frames))
    draw.shuffle(ordinals)
    size = max(1, min(info.frames // 2, _HELD_BYTES // (3 * info.width * info.height)))
    return [sorted(ordinals[start : start + size]) for start in range(0, info.frames, size)]


def read_each(path: Path, sets: Sequence[Sequence[int]], reference: Reference, workers: DecodeWorkers) -> tuple[int, int]:
    wrong = sum(reference.wrong(workers.read(path, ordinals), ordinals, None) for ordinals in sets)
    return sum(map(len, sets)), wrong


def read_views(path: Path, info: VideoInfo, reference: Reference, draw: random.Random, folder: Path) -> list[tuple[int, int]]:
    """Through the frame store, and from its cache alone."""
    size = frame_size(info.width, info.height, POLICY)
    shuffled = list(range(info.frames))
    draw.shuffle(shuffled)
    orders = [list(range(info.frames)), list(range(info.frames))[::-1], shuffled]
    found = []
    for root in (path.parent, folder / "nothing"):
        wrong = 0
        for number, order in enumerate(orders):
            view = VideoView(tuple(Slot(info.video_id, ordinal, float(slot)) for slot, ordinal in enumerate(order)), 1.0)
            with FrameStore(root, {info.video_id: path.name}, POLICY, cache=folder / f"cache-{number}") as store:
                wrong += reference.wrong(list(store.frames(view)), order, size)
        found.append((len(orders) * info.frames, wrong))
    return found


def read_shots(path: Path, info: VideoInfo, reference: Reference) -> tuple[int, int]:
    shown = list(range(0, info.frames, 5))
    view = VideoView(tuple(Slot(info.video_id, ordinal, float(slot)) for slot, ordinal in enumerate(shown)), 1.0)
    row = {**info.to_dict(), "video": path.name, "view": view.to_json()}
    paths, frames_of = {info.video_id: path.name}, {info.video_id: shown}
    with (
        tempfile.TemporaryDirectory() as cache,
        Recorded() as workers,
        FrameStore(path.parent, paths, POLICY, workers=workers, cache=Path(cache), shown=frames_of) as store,
    ):
        result = make_shots([row], ClipConfig(), store, HistogramEncoder())
        if any(lost.outcome == "failed" for lost in result.rejected):
            raise RuntimeError(f"{path.name}: the shot pass failed: {result.rejected}")
        (looked_at, sketches), (along, frames) = workers.made
    size = frame_size(info.width, info.height, POLICY)
    wrong = reference.wrong(list(sketches), looked_at.indices, looked_at.size)
    return len(sketches) + len(frames), wrong + reference.wrong(list(frames), along.indices, size)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("clips", type=Path, help="folder of videos")
    parser.add_argument("--only", nargs="+", help="names of files; default: all")
    parser.add_argument("--seed", type=int, default=0, help="of the sets and of the shuffled view")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks"))
    given = parser.parse_args(arguments)
    paths = sorted(path for path in given.clips.iterdir() if path.suffix != ".json" and path.name in (given.only or [path.name]))
    rows, refused, read, wrong = [], [], Counter[str](), Counter[str]()
    with DecodeWorkers(1) as workers, tempfile.TemporaryDirectory(prefix="vtalign-frames-") as folder:
        for path in paths:
            try:
                info = replace(workers.probe(path), video_id=path.stem)
            except VideoError as error:
                refused.append((path.name, error.reason, error.detail))
                continue
            found = compare_clip(path, info, Path(folder), given.seed)
            rows.append((path.name, info.frames, *(cell(found.get(way)) for way in WAYS)))
            for way, (count, differing) in found.items():
                read[way] += count
                wrong[way] += differing
    rows.append((f"{len(rows)} clips", "", *(cell((read[way], wrong[way])) for way in WAYS)))
    text = table(("clip", "frames", *(f"{way}: read (wrong)" for way in WAYS)), rows)
    text += "".join(f"\n\nrefused: {name}: {reason}: {detail}" for name, reason, detail in refused)
    text += f"\n\n{wrong.total()} wrong of {read.total()} frames read of {len(rows) - 1} clips; {len(refused)} refused"
    write_results(given.out, "frames", {"read": read, "wrong": wrong, "refused": refused, "rows": rows}, text)
    print(text)
    return 1 if wrong.total() or not read else 0


def cell(counts: tuple[int, int] | None) -> str:
    return "" if counts is None else f"{counts[0]} ({counts[1]})"


if __name__ == "__main__":
    sys.exit(main())
