"""Keyframe seeks for long videos, every frame verified by its timestamp."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from av.packet import Packet
from av.video.frame import VideoFrame

from vtalign.video.container import OpenVideo, check_pixels
from vtalign.video.forward import Tally, note_packet

if TYPE_CHECKING:
    from vtalign.video.limits import DecodeLimits


class LandedWrong(Exception):
    """A seek did not lead to the frame it should have: this file has to be read forward."""


@dataclass(frozen=True)
class PacketIndex:
    """Presentation times (in time_base, rising) of all shown frames; `keys`: the ordinals of the keyframes among them, rising."""

    pts: list[int]
    keys: list[int]

    def key_before(self, ordinal: int, back: int = 0) -> int:
        """Ordinal of the keyframe from which `ordinal` can be decoded, or of the one `back` keyframes earlier."""
        return self.keys[max(0, bisect_right(self.keys, ordinal) - 1 - back)]


def is_long(video: OpenVideo, limits: "DecodeLimits") -> bool:
    """Whether seeks pay. A video that does not state its duration is read forward."""
    return (video.stated_duration or 0.0) > limits.seek_beyond_s


def packet_index(video: OpenVideo, tally: Tally, packets: Iterable[Packet] | None = None) -> PacketIndex | None:
    """Demux the whole file without decoding it; None where packets carry no usable times. Raises VideoError on damage.

    `packets`: all of the file, from the first on, where the caller demuxes it.
    """
    shown: list[int | None] = []
    keys: list[int] = []
    for packet in video.container.demux() if packets is None else packets:
        note_packet(video, packet, tally)
        if packet.stream.index != video.stream.index or not packet.size or packet.is_discard:
            continue
        shown.append(packet.pts)
        tally.clock.append((packet.pts, packet.duration))
        if packet.is_keyframe and packet.pts is not None:
            keys.append(packet.pts)
    times = sorted(pts for pts in shown if pts is not None)
    tally.decoded = len(shown)
    tally.clock.sort(key=lambda entry: entry[0] or 0)
    if not times or len(times) != len(shown) or len(set(times)) != len(times) or not keys or min(keys) != times[0]:
        return None
    return PacketIndex(times, sorted(bisect_left(times, pts) for pts in keys))


def decode_at(
    video: OpenVideo, index: PacketIndex, ordinals: Sequence[int], limits: "DecodeLimits"
) -> Iterator[tuple[int, VideoFrame]]:
    """(ordinal, frame) for strictly rising ordinals; raises LandedWrong where a frame cannot be verified."""
    frames: Iterator[VideoFrame] = iter(())
    at = -2  # the last decoded ordinal; no frame follows on from -2
    for ordinal in ordinals:
        key = index.key_before(ordinal)
        if at < key - 1:
            frames, at = _decode_from(video, index, key, limits), key - 1
        for between in range(at + 1, ordinal):
            _verified(next(frames, None), index.pts[between])
        at = ordinal
        yield ordinal, _verified(next(frames, None), index.pts[ordinal])


def _verified(frame: VideoFrame | None, pts: int) -> VideoFrame:
    """Every frame on the way is held against the index, so that none is lost or counted twice unseen."""
    if frame is None or frame.pts != pts:
        raise LandedWrong
    return frame


def _decode_from(video: OpenVideo, index: PacketIndex, key: int, limits: "DecodeLimits") -> Iterator[VideoFrame]:
    """Frames from keyframe `key` on. Leading frames of an open group, which lack their references after a seek, are left out:
    they are shown before their keyframe, so that an earlier keyframe is theirs."""
    for packet in _packets_from(video, index, key):
        if packet.is_corrupt and (packet.pts is None or packet.pts >= index.pts[key]):
            raise video.error("corrupt", "a packet is damaged or cut off")
        for frame in packet.decode():
            assert isinstance(frame, VideoFrame)
            if frame.pts is not None and frame.pts < index.pts[key]:
                continue
            if frame.is_corrupt:
                # damage, or a keyframe that the decoder does not begin at (an I frame that is neither IDR nor a recovery point marks
                # all that follows): a pass forward tells which
                raise LandedWrong
            check_pixels(video.path, frame.width, frame.height, limits)
            yield frame


def _packets_from(video: OpenVideo, index: PacketIndex, key: int) -> Iterator[Packet]:
    """Packets from keyframe `key`, or from somewhere before it, on."""
    if key == 0:
        video.rewind()
        yield from video.container.demux(video.stream)
        return
    # Containers seek by decoding time or by position and may land behind the keyframe asked for: then ask for an earlier one.
    for back in range(3):
        video.container.seek(index.pts[index.key_before(key, back)], stream=video.stream, backward=True)
        packets = video.container.demux(video.stream)
        first = next(packets, None)
        if first is not None and first.pts is not None and first.pts <= index.pts[key]:
            yield first
            yield from packets
            return
    raise LandedWrong
