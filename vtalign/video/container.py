"""Opening one video file with PyAV: only regular files, only video formats, nothing fetched, sizes bounded."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vtalign.errors import VideoError

if TYPE_CHECKING:
    from vtalign.video.limits import DecodeLimits

# Playlists (hls, dash, concat) and image patterns open other files and URLs, so they are not among these.
_FORMATS = (
    "mov,matroska,webm,avi,mpegts,mpeg,mpegvideo,h264,hevc,m4v,gif,apng,flv,asf,ogg,ivf,mxf,nut,rm,dv,wtv,yuv4mpegpipe,mjpeg"
)

# libav reports damage as text on stderr, hundreds of lines a file; what matters is raised or checked here.
av.logging.set_level(None)


class OpenVideo:
    """An open container and its video stream, set up for one decoding thread (workers are processes)."""

    def __init__(self, path: Path, limits: "DecodeLimits") -> None:
        self.path, self._limits = path, limits
        self.container, self.stream = _open(path, limits)

    @property
    def stated_duration(self) -> float | None:
        """Seconds, as the container states them."""
        return self.container.duration / av.time_base if self.container.duration else None

    @property
    def stated_frames(self) -> int | None:
        return self.stream.frames or None

    def decode_roughly(self) -> None:
        """From the first frame on, without the loop filter of the codec: for whoever looks at no pixels.

        It smooths what is decoded, so that packets, times, counts and signs of damage are the same. Call it before decoding.
        """
        self.stream.codec_context.options = {**self.stream.codec_context.options, "skip_loop_filter": "all"}

    def rewind(self) -> None:
        """Back to the first packet. Opens the file again: a seek to the start loses packets of transport streams."""
        self.container.close()
        self.container, self.stream = _open(self.path, self._limits)

    def error(self, reason: str, detail: str) -> VideoError:
        return VideoError(str(self.path), reason, detail)


@contextmanager
def open_video(path: Path, limits: "DecodeLimits") -> Iterator[OpenVideo]:
    """Open `path` for decoding; every libav error inside the block is raised as VideoError."""
    check_regular(path)
    video = OpenVideo(path, limits)
    try:
        yield video
    except FFmpegError as error:
        raise VideoError(str(path), "corrupt", f"decoding fails: {_said(error)}") from None
    finally:
        video.container.close()


def _open(path: Path, limits: "DecodeLimits") -> tuple[InputContainer, VideoStream]:
    options = {"format_whitelist": _FORMATS, "protocol_whitelist": "file"}
    try:
        container = av.open(f"file:{os.path.abspath(path)}", options=options, metadata_errors="replace")
    except (FFmpegError, ValueError) as error:
        raise VideoError(str(path), "not_a_video", f"no video format is recognised in it ({_said(error)})") from None
    try:
        stream = _video_stream(path, container)
        check_pixels(path, stream.codec_context.width, stream.codec_context.height, limits)
        if container.format.name == "gif":
            check_gif_ends(path)
    except VideoError:
        container.close()
        raise
    stream.codec_context.thread_count = 1
    # The stream may grow past what the header declared; the decoder then refuses before it allocates. It counts the padding of
    # its buffers too; frames are held against the exact bound when they come out.
    stream.codec_context.options = {"max_pixels": str(limits.max_pixels * 5 // 4 + 65536)}
    return container, stream


def check_regular(path: Path) -> None:
    """Raises VideoError for what would hang (a pipe, a device) or cannot be opened."""
    try:
        status = path.stat()
    except OSError as error:
        raise VideoError(str(path), "missing", error.strerror or str(error)) from None
    if not stat.S_ISREG(status.st_mode):
        raise VideoError(str(path), "not_a_file", "a folder, pipe or device, not a regular file")
    if status.st_size == 0:
        raise VideoError(str(path), "empty", "zero bytes")
    if not os.access(path, os.R_OK):
        raise VideoError(str(path), "unreadable", "no permission to read it")


def check_gif_ends(path: Path) -> None:
    """A GIF states neither length nor frame count, and half a frame decodes without complaint: the trailer must be there."""
    with path.open("rb") as handle:
        handle.seek(-min(path.stat().st_size, 64), os.SEEK_END)
        if not handle.read().rstrip(b"\0\r\n").endswith(b";"):
            raise VideoError(str(path), "truncated", "the end mark of the GIF is missing")


def check_pixels(path: Path, width: int, height: int, limits: "DecodeLimits") -> None:
    if width * height > limits.max_pixels:
        raise VideoError(str(path), "too_large", f"{width}x{height} px a frame, above max_pixels {limits.max_pixels}")


def quarter_turns(frame: VideoFrame) -> int:
    """Counter-clockwise quarter turns that show `frame` upright; PyAV hands frames out as stored."""
    return round(frame.rotation / 90) % 4


def _video_stream(path: Path, container: InputContainer) -> VideoStream:
    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream) or stream.disposition & Disposition.attached_pic:
        raise VideoError(str(path), "no_video_stream", "holds no video (only sound, or a cover picture)")
    if stream.codec_context is None:
        raise VideoError(str(path), "unsupported", "its video codec has no decoder here")
    return stream


def _said(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
