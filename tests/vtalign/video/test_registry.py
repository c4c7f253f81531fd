"""One registry: built-in perturbations and transforms, and those of an installed package, real metadata and all."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vtalign.errors import InputError
from vtalign.video.perturb import PerturbationSpec, perturb
from vtalign.video.registry import FRAME_TRANSFORMS, PERTURBATIONS, find_perturbation, find_transform, perturbation_names
from vtalign.video.transforms import apply_transform
from vtalign.video.view import FrameTransform, Slot, VideoView

from .numbered_clips import numbered_frame

VIEW = VideoView(tuple(Slot("video-a", index, index / 2) for index in range(6)), 2.0)

MODULE = """
import numpy as np
def sepia(frame, strength, rng):
    return np.clip(frame * np.array([1.0, 1 - strength / 32, 1 - strength / 16]), 0, 255).astype(np.uint8)
def speckle(frame, strength, rng):
    return np.where(rng.random(frame.shape) < strength / 100, np.uint8(255), frame)
def smaller(frame, strength, rng):
    return frame[::2, ::2]
def nothing(frame, strength, rng):
    return None
word = "sepia"
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "toning_of_a_test.py").write_text(MODULE)
    info = tmp_path / "toning_of_a_test-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toning-of-a-test\nVersion: 1.0\n")
    names = "".join(f"{n} = toning_of_a_test:{n}\n" for n in ("sepia", "speckle", "smaller", "nothing", "word", "gone"))
    (info / "entry_points.txt").write_text(f"[vtalign.frame_transforms]\n{names}away = no_such_module_of_a_test:away\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    find_transform.cache_clear()


def test_every_transform_is_a_perturbation() -> None:
    assert {name for name, entry in PERTURBATIONS.items() if entry.image_space} == set(FRAME_TRANSFORMS)


def test_options_are_fields_of_the_spec() -> None:
    assert all(entry.options <= set(PerturbationSpec.model_fields) for entry in PERTURBATIONS.values())


@pytest.mark.usefixtures("installed")
def test_an_installed_transform_is_a_perturbation_too() -> None:
    result = perturb(VIEW, PerturbationSpec(name="sepia", strength=8), seed=0)
    (transform,) = {slot.transform for slot in result.view.slots}
    assert transform is not None and (transform.name, transform.strength) == ("sepia", 8)
    frame = np.full((4, 6, 3), 200, np.uint8)
    assert apply_transform(frame, transform)[0, 0].tolist() == [200, 150, 100]
    assert result.spec.registered.image_space and "sepia" in perturbation_names()
    assert VideoView.from_json(result.view.to_json()) == result.view


@pytest.mark.usefixtures("installed")
def test_an_installed_transform_draws_from_the_seed() -> None:
    frame = numbered_frame(7)
    once, again, other = (apply_transform(frame, FrameTransform("speckle", seed, 8)) for seed in (1, 1, 2))
    assert (once == again).all() and (once != other).any()


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("smaller", r"'smaller': returned uint8 \(.*expected uint8 \("),
        ("nothing", "'nothing': returned NoneType"),
        ("word", "'word' of vtalign.frame_transforms: toning_of_a_test:word is a str, not a function"),
        ("gone", "entry point toning_of_a_test:gone cannot be loaded: AttributeError"),
        ("away", "cannot be loaded: ModuleNotFoundError"),
    ],
)
def test_a_broken_transform_is_one_clear_line(name: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        apply_transform(numbered_frame(1), FrameTransform(name, 0, 2))


def test_what_is_not_installed_is_unknown(installed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = PerturbationSpec(name="sepia", strength=8)
    monkeypatch.undo()
    assert find_perturbation("sepia") is None
    with pytest.raises(InputError, match="perturbation 'sepia': no package"):
        perturb(VIEW, spec, segments=((0, 3), (3, 6)), seed=0)


def test_a_built_in_name_is_not_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "taker-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: taker\nVersion: 1.0\n")
    groups: dict[str, Callable[[str], object]] = {
        "vtalign.perturbations": find_perturbation,
        "vtalign.frame_transforms": find_transform,
    }
    (info / "entry_points.txt").write_text("".join(f"[{group}]\nblur = taker:blur\n" for group in groups))
    before = [find(name) for find in groups.values() for name in ["blur"]]
    monkeypatch.syspath_prepend(str(tmp_path))
    find_transform.cache_clear()
    assert [find(name) for find in groups.values() for name in ["blur"]] == before
