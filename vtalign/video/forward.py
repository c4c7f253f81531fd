"""One pass forward through a video with integrity checks (the default way of reading: right on every file it accepts)."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from av.packet import Packet
from av.video.frame import VideoFrame

from vtalign.video.container import OpenVideo, check_pixels

if TYPE_CHECKING:
    from vtalign.video.limits import DecodeLimits


@dataclass
class Tally:
    """What a pass met. `reached` is the latest end of any packet of any stream, seconds on the container's clock."""

    packets: int = 0
    without_frame: int = 0  # discarded by an edit list, or never shown (VP8 golden frames)
    decoded: int = 0
    reached: float = 0.0
    clock: list[tuple[int | None, int | None]] = field(default_factory=list)  # (pts, duration) of each frame, in time_base


def decode_forward(video: OpenVideo, limits: "DecodeLimits", tally: Tally | None = None) -> Iterator[VideoFrame]:
    """Frames in presentation order; raises VideoError `corrupt` at the first packet or frame that is flagged so.

    Given a tally, the packets of all streams are looked at (for `check_complete`), else only those of the video stream.
    """
    stream = video.stream
    for packet in video.container.demux(stream) if tally is None else video.container.demux():
        if tally is not None:
            note_packet(video, packet, tally)
        if packet.stream.index != stream.index:
            continue
        if packet.is_corrupt:
            raise video.error("corrupt", f"a packet is damaged or cut off (at {_seconds(packet)})")
        for frame in packet.decode():
            assert isinstance(frame, VideoFrame)
            if frame.is_corrupt:
                raise video.error("corrupt", f"a frame is damaged (at {_seconds(packet)})")
            check_pixels(video.path, frame.width, frame.height, limits)
            if tally is not None:
                tally.decoded += 1
                tally.clock.append((frame.pts, frame.duration))
            yield frame


def check_complete(video: OpenVideo, tally: Tally, video_end: float, interval: float) -> list[str]:
    """After a whole pass: warnings; raises VideoError where frames are missing.

    `video_end` and `interval`: end of the last frame after the first one's start, and time between frames (seconds).
    """
    if not tally.decoded:
        raise video.error("no_frames", "not one frame can be decoded")
    expected = tally.packets - tally.without_frame
    if tally.decoded != expected:
        raise video.error("corrupt", f"{tally.decoded} frames decoded from {expected} packets")
    stated = video.stated_duration
    # Sound may end later than pictures, so the latest end of all streams is what the stated duration is held against.
    if stated is not None and tally.reached < stated - max(0.1, 1.5 * interval):
        raise video.error("truncated", f"states {stated:.2f} s and ends at {tally.reached:.2f} s")
    return _compare_count(video, tally, video_end, interval)


def _compare_count(video: OpenVideo, tally: Tally, video_end: float, interval: float) -> list[str]:
    """A stated frame count that disagrees is a lie to be warned of, unless the pictures also stop early: then they are lost."""
    count, stream = video.stated_frames, video.stream
    if count is None or count == tally.packets:
        return []
    if count > tally.packets and stream.duration and stream.time_base:
        stated = float(stream.duration * stream.time_base)
        if video_end < stated - 1.5 * interval:
            detail = f"states {count} frames in {stated:.2f} s, holds {tally.packets} in {video_end:.2f} s"
            raise video.error("truncated", detail)
    return [f"container states {count} frames, {tally.decoded} were decoded"]


def note_packet(video: OpenVideo, packet: Packet, tally: Tally) -> None:
    """Count one demuxed packet of any stream (the empty ones that end a stream do not count)."""
    if not packet.size:
        return
    if packet.pts is not None and packet.time_base:
        tally.reached = max(tally.reached, float((packet.pts + (packet.duration or 0)) * packet.time_base))
    if packet.stream.index == video.stream.index:
        tally.packets += 1
        tally.without_frame += packet.is_discard or _never_shown(packet, video.stream.codec_context.name)


def _never_shown(packet: Packet, codec: str) -> bool:
    """VP8 stores reference frames that are never shown as packets of their own (RFC 6386, 9.1: the show_frame bit)."""
    return codec in ("vp8", "libvpx") and not bytes(packet)[0] & 0x10


def _seconds(packet: Packet) -> str:
    if packet.pts is None or not packet.time_base:
        return "an unknown time"
    return f"{float(packet.pts * packet.time_base):.2f} s"
