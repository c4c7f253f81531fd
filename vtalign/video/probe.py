"""What a video file holds, counted rather than believed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from av.packet import Packet
from av.video.frame import VideoFrame

from vtalign.ids import video_id_of
from vtalign.video.container import OpenVideo, open_video, quarter_turns
from vtalign.video.forward import Tally, check_complete, decode_forward
from vtalign.video.readers import WantedFrames, converted
from vtalign.video.seeking import LandedWrong, decode_at, is_long, packet_index

if TYPE_CHECKING:
    from vtalign.video.limits import DecodeLimits


@dataclass(frozen=True)
class VideoInfo:
    """One readable video. `times[i]` is the presentation time of decoded frame i in seconds, from 0 at the first; it rises
    strictly. Pixels are taken as square. `access` says how frames are reached: one `pass` forward, or keyframe `seek`s."""

    video_id: str
    width: int  # as displayed, after rotation
    height: int
    rotation: int  # counter-clockwise degrees that were applied
    codec: str
    container_frames: int | None  # what the container states, for the record
    frames: int
    times: tuple[float, ...]
    duration: float  # seconds, the last frame's own included
    access: Literal["pass", "seek"]
    warnings: tuple[str, ...] = ()

    @property
    def fps(self) -> float:
        """Mean frames per second."""
        return self.frames / self.duration

    def to_dict(self) -> dict[str, Any]:
        return {**self.__dict__, "times": list(self.times), "warnings": list(self.warnings)}

    @staticmethod
    def from_dict(data: dict[str, Any]) -> "VideoInfo":
        return VideoInfo(**{**data, "times": tuple(data["times"]), "warnings": tuple(data["warnings"])})


def probe(path: str | Path, limits: "DecodeLimits") -> VideoInfo:
    """Decode the whole video once (a long one: its packets, and frames at three places) in this process.

    Raises VideoError. Files that may crash or hang the decoder belong into `isolated.DecodeWorkers.probe`.
    """
    path = Path(path)
    with open_video(path, limits) as video:
        info = _probe_packets(video, limits) if is_long(video, limits) else None
    if info is None:
        with open_video(path, limits) as video:
            info = _probe_frames(video, limits)
    return info


class CountedPass:
    """The frames of one whole pass forward, with their ordinals, and what `probe` says of them once it is over."""

    def __init__(self, video: OpenVideo, limits: "DecodeLimits") -> None:
        self._video, self._limits = video, limits
        self._tally, self._shape, self._sizes = Tally(), (0, 0, 0), set[tuple[int, int]]()

    def __iter__(self) -> Iterator[tuple[int, VideoFrame]]:
        for ordinal, frame in enumerate(decode_forward(self._video, self._limits, self._tally)):
            if ordinal == 0:
                self._shape = (frame.width, frame.height, quarter_turns(frame))
            self._sizes.add((frame.width, frame.height))
            yield ordinal, frame

    def info(self) -> VideoInfo:
        """Raises VideoError where frames are missing."""
        sizes = len(self._sizes)
        warnings = [f"frames come in {sizes} sizes; all are resized like the first"] if sizes > 1 else []
        return _info(self._video, self._tally, self._shape, "pass", warnings)


def survey(path: Path, limits: "DecodeLimits") -> VideoInfo | None:
    """What `probe` will most likely say, of all packets but only the first frame; None where a pass forward is not its way, or where
    packets do not tell. Raises VideoError."""
    with open_video(path, limits) as video:
        tally = Tally()
        first: list[VideoFrame] = []
        index = None if is_long(video, limits) else packet_index(video, tally, _decoding_one(video, first))
        if index is None or not first:
            return None
        [frame] = first
        tally.without_frame = tally.packets - tally.decoded
        return _info(video, tally, (frame.width, frame.height, quarter_turns(frame)), "pass", [])


def _decoding_one(video: OpenVideo, first: list[VideoFrame]) -> Iterator[Packet]:
    """All packets; the first frame that comes of them is put into `first`."""
    for packet in video.container.demux():
        if packet.is_corrupt:
            raise video.error("corrupt", "a packet is damaged or cut off")
        if not first and packet.stream.index == video.stream.index:
            first.extend(frame for frame in packet.decode()[:1] if isinstance(frame, VideoFrame))
        yield packet


def probe_reading(path: Path, sets: Sequence[WantedFrames], limits: "DecodeLimits") -> tuple[VideoInfo, list[np.ndarray]]:
    """`probe` of a video that `survey` knows, and `readers.read_sets` of it by the reader pyav, in one pass.

    No frames where the video has fewer than are asked for. Raises VideoError.
    """
    with open_video(path, limits) as video:
        counted = CountedPass(video, limits)
        gathered = converted(counted, sets)
        info = counted.info()
    if any(len(frames) < len(indices) for frames, (indices, _) in zip(gathered, sets, strict=True)):
        return info, []
    return info, [np.stack(frames) for frames in gathered]


def _probe_frames(video: OpenVideo, limits: "DecodeLimits") -> VideoInfo:
    video.decode_roughly()
    counted = CountedPass(video, limits)
    for _ in counted:
        pass
    return counted.info()


def _probe_packets(video: OpenVideo, limits: "DecodeLimits") -> VideoInfo | None:
    """None where seeks cannot be trusted on this file."""
    tally = Tally()
    index = packet_index(video, tally)
    if index is None:
        return None
    last = len(index.pts) - 1
    try:
        found = [frame for _, frame in decode_at(video, index, sorted({0, last // 2, last}), limits)]
    except LandedWrong:
        return None
    tally.without_frame = tally.packets - tally.decoded
    return _info(video, tally, (found[0].width, found[0].height, quarter_turns(found[0])), "seek", [])


def _info(
    video: OpenVideo, tally: Tally, shape: tuple[int, int, int], access: Literal["pass", "seek"], warnings: list[str]
) -> VideoInfo:
    times, last, interval, said = _presentation(video, tally)
    warnings = [*warnings, *said, *check_complete(video, tally, times[-1] + last if times else 0.0, interval)]
    width, height, turns = shape
    return VideoInfo(
        video_id=video_id_of(video.path),
        width=height if turns % 2 else width,
        height=width if turns % 2 else height,
        rotation=turns * 90,
        codec=video.stream.codec.canonical_name,
        container_frames=video.stated_frames,
        frames=tally.decoded,
        times=times,
        duration=times[-1] + last,
        access=access,
        warnings=tuple(warnings),
    )


def _presentation(video: OpenVideo, tally: Tally) -> tuple[tuple[float, ...], float, float, list[str]]:
    """Times from 0, duration of the last frame, time between frames (all seconds) and warnings."""
    base = video.stream.time_base or Fraction(1, 1000)
    rate = video.stream.average_rate or video.stream.base_rate
    stated = [pts for pts, _ in tally.clock if pts is not None]
    wrong = len(tally.clock) - len(stated) + sum(b <= a for a, b in pairwise(stated))
    if wrong and tally.clock:
        # Without pts that rise, the order of decoding is all that is certain: lay the frames evenly.
        interval = float(1 / rate) if rate else 0.04
        times = tuple(i * interval for i in range(len(tally.clock)))
        warning = f"presentation times do not rise at {wrong} of {len(tally.clock)} frames; taken as {1 / interval:g} fps instead"
        return times, interval, interval, [warning]
    times = tuple(float((pts - stated[0]) * base) for pts in stated)
    interval = median(b - a for a, b in pairwise(times)) if len(times) > 1 else 0.0
    last = float((tally.clock[-1][1] or 0) * base) if tally.clock else 0.0
    if last <= 0:
        last = interval or (float(1 / rate) if rate else 0.04)
    return times, last, interval or last, []
