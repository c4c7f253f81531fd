import random
from collections.abc import Sequence
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtalign.video.isolated import DecodeWorkers
from vtalign_data.ingest import ingest
from vtalign_data.ingest_config import IngestConfig, NearDuplicateConfig
from vtalign_data.near_videos import Bands, NearDuplicates, distance, drop_near_duplicates, hash_frames
from vtalign_data.scan import scan
from vtalign_data.stage import Row

CONFIG = NearDuplicateConfig(max_distance=3)


def footage(seed: int) -> list[np.ndarray]:
    """24 frames of soft patches in which one scene dissolves into another."""

    def scene(seed: int) -> np.ndarray:
        small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        return cv2.resize(small, (160, 120), interpolation=cv2.INTER_CUBIC).astype(float)

    first, last = scene(seed), scene(seed + 100)
    return [((1 - k / 23) * first + k / 23 * last).astype(np.uint8) for k in range(24)]


def still_camera() -> list[np.ndarray]:
    """A dark square that crosses a scene which stands still."""
    frames = []
    for k in range(24):
        image = footage(7)[0].copy()
        image[55:67, 6 * k : 6 * k + 14] = 0
        frames.append(image)
    return frames


def write(path: Path, frames: Sequence[np.ndarray], *, rate: int = 8, crf: int = 20, size: tuple[int, int] = (160, 120)) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": str(crf)})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for image in frames:
            picture = np.ascontiguousarray(cv2.resize(image, size))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    """Signature rows of one footage in many forms, and of other footage."""
    folder = tmp_path_factory.mktemp("footage")
    original = footage(1)
    write(folder / "b_original.mp4", original)
    write(folder / "c_small.mp4", original, crf=36, size=(96, 72))
    write(folder / "d_rate.mp4", [image for image in original for _ in range(2)], rate=16, crf=30)
    write(folder / "a_reversed.mp4", original[::-1])
    write(folder / "e_mirrored.mp4", [image[:, ::-1] for image in original])
    write(folder / "f_faster.mp4", original, rate=16)
    write(folder / "g_cut.mp4", original[:12])
    write(folder / "h_other.mp4", footage(2))
    write(folder / "k_still.mp4", still_camera())
    write(folder / "l_still_small.mp4", still_camera(), crf=32, size=(96, 72))
    write(folder / "m_still_reversed.mp4", still_camera()[::-1])
    for name in ("i_black.mp4", "j_black.mp4"):
        write(folder / name, [np.zeros((120, 160, 3), np.uint8)] * 24, crf=20 if name < "j" else 36)
    scanned = scan(sorted(path.name for path in folder.iterdir()), folder)
    with DecodeWorkers(1) as workers:
        ingested = ingest([(row, []) for row in scanned.rows], folder, workers, "pyav", IngestConfig())
        hashed = hash_frames(ingested.rows, folder, workers, CONFIG.frames)
        (folder / "b_original.mp4").write_bytes(b"gone bad")
        lost = hash_frames(ingested.rows[1:2], folder, workers, CONFIG.frames).rejected
    assert not ingested.rejected and not hashed.rejected
    assert [(loss.id, loss.outcome) for loss in lost] == [("b_original.mp4", "failed")]
    return hashed.rows


def test_the_same_footage_encoded_otherwise_and_nothing_else(signed: list[Row], tmp_path: Path) -> None:
    near = NearDuplicates(signed, CONFIG, tmp_path)
    result = drop_near_duplicates(signed, near)
    assert [(loss.id, loss.detail.split(" (")[0]) for loss in result.rejected] == [
        ("c_small.mp4", "shows what b_original.mp4 shows"),
        ("d_rate.mp4", "shows what b_original.mp4 shows"),
        ("l_still_small.mp4", "shows what k_still.mp4 shows"),
    ]
    assert {(loss.outcome, loss.reason) for loss in result.rejected} == {("filtered", "near_duplicate")}
    assert len(result.rows) == 10 and "hashes" not in result.rows[0]
    assert [row["hashes"] for row in signed if "black" in row["video"]] == [[], []]


def test_a_reversed_copy_is_near_before_a_still_camera_and_yet_no_duplicate(signed: list[Row]) -> None:
    still, back = (
        np.array(row["hashes"], np.uint64) for row in signed if row["video"] in ("k_still.mp4", "m_still_reversed.mp4")
    )
    assert distance(still, back[::-1]) < distance(still, back) <= 3 * CONFIG.frames


def test_order_does_not_matter(signed: list[Row], tmp_path: Path) -> None:
    ids = [row["video_id"] for row in signed]
    found = [NearDuplicates(signed, CONFIG, tmp_path).of(name) for name in ids]
    for seed in range(3):
        near = NearDuplicates(random.Random(seed).sample(signed, len(signed)), CONFIG, tmp_path)
        assert [near.of(name) for name in ids] == found


def test_a_copy_of_a_copy_that_does_not_stay(tmp_path: Path) -> None:
    """a - b and b - c are near, a - c is not: b goes, c stays."""

    def row(name: str, bits: int) -> Row:
        hashes = [2**bits - 1] * 8
        return {"video": name, "video_id": name, "duration": 4.0, "hashes": hashes}

    near = NearDuplicates([row("a", 0), row("b", 3), row("c", 6)], CONFIG, tmp_path)
    assert [near.of(name) for name in "abc"] == [None, ("a", 3.0), None]


@given(
    seed=st.integers(0, 10**6),
    most=st.sampled_from([0.0, 0.5, 1.0, 3.0]),
    flips=st.lists(st.integers(0, 40), min_size=1, max_size=6),
)
def test_the_index_finds_what_comparing_all_finds(
    seed: int, most: float, flips: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    rng = np.random.default_rng(seed)
    config = NearDuplicateConfig(max_distance=most)
    base = rng.integers(0, 2, 512, dtype=np.uint8)
    rows: list[Row] = []
    for number, count in enumerate(flips):
        bits = base.copy()
        bits[rng.choice(512, count, replace=False)] ^= 1
        hashes = np.packbits(bits).view(np.uint64)
        rows.append({"video": f"{number}", "video_id": f"{number}", "duration": 4.0, "hashes": hashes.tolist()})
    staying: list[Row] = []
    expected: dict[str, str | None] = {}
    for row in rows:
        mine = np.array(row["hashes"], np.uint64)
        closest = (other for other in staying if distance(mine, np.array(other["hashes"], np.uint64)) <= int(most * 8))
        first = next(closest, None)
        expected[row["video"]] = first and first["video"]
        if first is None:
            staying.append(row)
    near = NearDuplicates(rows, config, tmp_path_factory.mktemp("near"))
    assert {name: (found := near.of(name)) and found[0] for name in expected} == expected


def test_bands_hold_every_bit_once() -> None:
    bands = Bands(8, 25)
    one, other = np.zeros(8, np.uint64), np.zeros(8, np.uint64)
    for place in range(512):
        other[:] = 0
        other[place // 64] = np.uint64(1) << np.uint64(place % 64)
        assert len(set(bands.keys(one)) ^ set(bands.keys(other))) == 2
