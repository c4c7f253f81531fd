from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vtalign.errors import VideoError
from vtalign.video.limits import DecodeLimits
from vtalign.video.probe import probe
from vtalign.video.readers import read_frames
from vtalign.video.render import check_video, image_name, write_images, write_video

from .numbered_clips import number_of, numbered_frame

SHUFFLED = [5, 3, 3, 9, 0, 300, 4]


def pixels(numbers: list[int]) -> np.ndarray:
    return np.stack([numbered_frame(number) for number in numbers])


@pytest.mark.parametrize("reader", ["pyav", "opencv", "decord"])
def test_every_reader_finds_the_frames_in_their_order(tmp_path: Path, reader: str) -> None:
    write_video(tmp_path / "v.mp4", pixels(SHUFFLED), 2.0)
    read = read_frames(tmp_path / "v.mp4", range(len(SHUFFLED)), None, DecodeLimits(), reader)
    assert [number_of(frame) for frame in read] == SHUFFLED
    assert np.abs(read.astype(int) - pixels(SHUFFLED)).mean() < 4


@pytest.mark.parametrize("fps", [2.0, 0.25, 0.31746, 29.97003])
def test_the_clock_is_the_views(tmp_path: Path, fps: float) -> None:
    write_video(tmp_path / "v.mp4", pixels(SHUFFLED), fps)
    info = probe(tmp_path / "v.mp4", DecodeLimits())
    assert info.frames == len(SHUFFLED) and info.warnings == ()
    assert info.times == pytest.approx([slot / fps for slot in range(len(SHUFFLED))], rel=1e-3)


def test_one_frame_and_noise(tmp_path: Path) -> None:
    write_video(tmp_path / "one.mp4", pixels([7]), 1.0)
    noise = np.random.default_rng(0).integers(0, 256, (3, 64, 96, 3), dtype=np.uint8)
    write_video(tmp_path / "noise.mp4", noise, 1.0)
    assert probe(tmp_path / "one.mp4", DecodeLimits()).frames == 1
    assert probe(tmp_path / "noise.mp4", DecodeLimits()).frames == 3


@pytest.mark.parametrize(
    ("numbers", "fps"),
    [(SHUFFLED[::-1], 2.0), (SHUFFLED[:-1], 2.0), ([*SHUFFLED, 4], 2.0), (SHUFFLED, 1.0), ([3, 5, *SHUFFLED[2:]], 2.0)],
)
def test_another_order_count_or_clock_is_noticed(tmp_path: Path, numbers: list[int], fps: float) -> None:
    write_video(tmp_path / "v.mp4", pixels(SHUFFLED), 2.0)
    check_video(tmp_path / "v.mp4", pixels(SHUFFLED), 2.0)
    with pytest.raises(VideoError, match="render_differs"):
        check_video(tmp_path / "v.mp4", pixels(numbers), fps)
    assert [entry.name for entry in tmp_path.iterdir()] == ["v.mp4"]


def test_images_in_the_order_of_the_slots(tmp_path: Path) -> None:
    write_images(tmp_path / "view", pixels(SHUFFLED))
    files = sorted((tmp_path / "view").iterdir())
    assert [file.name for file in files] == [image_name(slot) for slot in range(len(SHUFFLED))]
    assert [number_of(np.asarray(Image.open(file))) for file in files] == SHUFFLED
    assert [entry.name for entry in tmp_path.iterdir()] == ["view"]
