"""Numbered clips in the codecs and containers that readers get wrong, written once per session."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vtalign.video.isolated import DecodeLimits, DecodeWorkers

from .numbered_clips import write_numbered

_OPEN_GOP = {"x264-params": "keyint=12:open-gop=1:bframes=3:b-adapt=0:scenecut=0:log-level=none"}

KINDS: dict[str, dict[str, Any]] = {
    "closed_gop.mp4": {"options": {"g": "12", "bf": "2"}},
    "one_gop.mp4": {"options": {"g": "600"}},
    "fragmented.mp4": {"options": {"g": "12"}, "muxing": {"movflags": "frag_keyframe+empty_moov"}},
    "open_gop.mp4": {"options": _OPEN_GOP},
    "open_gop.mkv": {"options": _OPEN_GOP},
    "hevc.mp4": {"codec": "libx265", "options": {"x265-params": "keyint=12:log-level=none"}},
    "mpeg4.avi": {"codec": "mpeg4", "options": {"bf": "2", "g": "12"}},
    "h264.avi": {"options": {"g": "12"}},
    "h264.ts": {"options": {"g": "12"}},
    "mpeg2.mpg": {"codec": "mpeg2video", "rate": 25, "options": {"bf": "2", "g": "12"}},
    "vp8.webm": {"codec": "libvpx", "options": {"deadline": "realtime", "cpu-used": "8", "g": "12"}},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"deadline": "realtime", "cpu-used": "8", "g": "12"}},
    "vfr.mp4": {"times": [0.1 * i if i < 20 else 4.0 + 0.3 * (i - 20) for i in range(60)]},
    "still.gif": {"codec": "gif", "pixel_format": "rgb8"},
}


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Sixty numbered frames each, by file name (see KINDS)."""
    folder = tmp_path_factory.mktemp("clips")
    return {name: write_numbered(folder / name, **kind) for name, kind in KINDS.items()}


@pytest.fixture(scope="session")
def workers() -> Iterator[DecodeWorkers]:
    """Two decoder processes for tests that do not kill them."""
    with DecodeWorkers(2, DecodeLimits(timeout_s=60)) as pool:
        yield pool
