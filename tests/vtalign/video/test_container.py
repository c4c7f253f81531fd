"""What is no video, would hang, or points elsewhere costs one clear VideoError."""

import os
from pathlib import Path

import av
import numpy as np
import pytest

from vtalign.errors import VideoError
from vtalign.video.limits import DecodeLimits
from vtalign.video.probe import probe

LIMITS = DecodeLimits()


def reason(path: Path, limits: DecodeLimits = LIMITS) -> str:
    with pytest.raises(VideoError) as raised:
        probe(path, limits)
    assert raised.value.path == str(path) and "\n" not in str(raised.value)
    return raised.value.reason


def sound(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        for _ in range(10):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.rate = 16000
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_what_is_not_a_video_file(tmp_path: Path) -> None:
    assert reason(tmp_path / "absent.mp4") == "missing"
    assert reason(tmp_path) == "not_a_file"
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    assert reason(pipe) == "not_a_file"
    (tmp_path / "zero.mp4").touch()
    assert reason(tmp_path / "zero.mp4") == "empty"


@pytest.mark.parametrize(
    "content",
    [
        b"just words, " * 500,
        b"<!doctype html><html><body>404</body></html>",
        bytes(5000),
        b"\x00\x00\x00\x20ftypisom",
        os.urandom(9000),
    ],
    ids=["text", "html", "zeros", "header_only", "noise"],
)
def test_other_content_under_a_video_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "video.mp4"
    path.write_bytes(content)
    assert reason(path) in ("not_a_video", "no_video_stream", "no_frames", "corrupt")


def test_sound_alone(tmp_path: Path) -> None:
    assert reason(sound(tmp_path / "sound.mp4")) == "no_video_stream"


@pytest.mark.parametrize("name", ["list.mp4", "list.m3u8", "list.txt"])
def test_playlists_do_not_open_what_they_name(clips: dict[str, Path], tmp_path: Path, name: str) -> None:
    other = clips["h264.ts"]
    (tmp_path / "other.ts").write_bytes(other.read_bytes())
    for content in (
        "ffconcat version 1.0\nfile other.ts\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\nother.ts\n#EXT-X-ENDLIST\n",
    ):
        (tmp_path / name).write_text(content)
        assert reason(tmp_path / name) == "not_a_video"


def test_a_name_that_looks_like_an_address_is_a_file(
    clips: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("concat:a|b.mp4")
    path.write_bytes(clips["closed_gop.mp4"].read_bytes())
    assert probe(path, LIMITS).frames == 60


def test_pixels_are_bounded(clips: dict[str, Path]) -> None:
    assert reason(clips["closed_gop.mp4"], DecodeLimits(max_pixels=96 * 64 - 1)) == "too_large"
    assert probe(clips["closed_gop.mp4"], DecodeLimits(max_pixels=96 * 64)).width == 96


def test_an_8k_file_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "8k.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=1, options={"threads": "1"})
        stream.width, stream.height, stream.pix_fmt = 8192, 4320, "yuvj420p"
        container.mux(stream.encode(av.VideoFrame(8192, 4320, "yuvj420p")))
        container.mux(stream.encode())
    assert reason(path) == "too_large"


def test_two_by_two_pixels(tmp_path: Path) -> None:
    path = tmp_path / "small.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=5)
        stream.width, stream.height, stream.pix_fmt = 2, 2, "yuv420p"
        for _ in range(4):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((2, 2, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode())
    info = probe(path, LIMITS)
    assert (info.width, info.height, info.frames) == (2, 2, 4)
