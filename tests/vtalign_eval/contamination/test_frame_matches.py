from pathlib import Path

import av
import cv2
import numpy as np

from vtalign.video.frame_hashes import hash_videos
from vtalign.video.isolated import DecodeWorkers
from vtalign_eval.contamination.frame_matches import frame_matches


def scene(seed: int) -> np.ndarray:
    """A picture of soft patches, uint8 (120, 160, 3)."""
    rng = np.random.default_rng(seed)
    return cv2.resize(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8), (160, 120), interpolation=cv2.INTER_CUBIC)


def footage(seed: int) -> list[np.ndarray]:
    """Sixteen frames in which one scene dissolves into another."""
    first, last = scene(seed).astype(float), scene(seed + 100).astype(float)
    return [((1 - k / 15) * first + k / 15 * last).astype(np.uint8) for k in range(16)]


def write(path: Path, frames: list[np.ndarray], *, crf: int = 20, size: tuple[int, int] = (160, 120)) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=8, options={"crf": str(crf)})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(cv2.resize(image, size), format="rgb24")))
        container.mux(stream.encode())
    return path


def test_footage_is_found_resized_compressed_reversed_and_cut_and_other_footage_is_not(tmp_path: Path) -> None:
    original, other = footage(1), footage(2)
    ours = {
        "same": write(tmp_path / "same.mp4", original, crf=36, size=(96, 72)),
        "reversed": write(tmp_path / "reversed.mp4", original[::-1]),
        "cut": write(tmp_path / "cut.mp4", original[:8]),
        "joined": write(tmp_path / "joined.mp4", original[8:] + footage(3)),
        "black": write(tmp_path / "black.mp4", [np.zeros((120, 160, 3), np.uint8)] * 8),
        "apart": write(tmp_path / "apart.mp4", footage(4)),
        "broken": tmp_path / "broken.mp4",
    }
    ours["broken"].write_bytes(b"no video")
    with DecodeWorkers(1) as workers:
        hashes, failed = hash_videos(ours, 16, workers)
        theirs, _ = hash_videos({"t": write(tmp_path / "t.mp4", original), "u": write(tmp_path / "u.mp4", other)}, 16, workers)
    assert list(failed) == ["broken"] and len(hashes["black"]) == 0
    found = {(match.video, match.other) for match in frame_matches(hashes, theirs, max_distance=6, min_share=0.5)}
    assert found == {(name, "t") for name in ("same", "reversed", "cut", "joined")}


def test_a_single_shared_frame_is_no_common_footage() -> None:
    rng = np.random.default_rng(0)
    ours, theirs = (rng.integers(0, 2**63, 2, dtype=np.uint64) for _ in range(2))
    theirs[0] = ours[0]
    assert frame_matches({"a": ours}, {"b": theirs}, 6, 0.5) == []
    theirs[1] = ours[1] ^ np.uint64(0b111)
    assert [match.share for match in frame_matches({"a": ours}, {"b": theirs}, 3, 0.5)] == [1.0]
    assert frame_matches({"a": ours}, {"b": theirs}, 2, 0.5) == []
    assert frame_matches({"a": ours}, {}, 6, 0.5) == []


def test_different_real_clips_do_not_match(shared_data: Path) -> None:
    names = ["askany_yoga.mp4", "askany_playing_guitar.mp4", "imageio_cockatoo.mp4", "skv_bikes.mp4", "skv_carphone.mp4"]
    with DecodeWorkers(1) as workers:
        hashes, failed = hash_videos({name: shared_data / "clips" / name for name in names}, 8, workers)
    assert not failed
    found = {(match.video, match.other) for match in frame_matches(hashes, hashes, max_distance=6, min_share=0.5)}
    assert found == {(name, name) for name in names}
