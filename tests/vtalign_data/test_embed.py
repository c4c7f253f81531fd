from pathlib import Path

import cv2
import numpy as np
import pytest
from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    Dinov2Config,
    Dinov2Model,
    SiglipImageProcessor,
    SiglipVisionConfig,
    SiglipVisionModel,
)

from vtalign.errors import InputError
from vtalign.models.load import load_video_lm
from vtalign_data.embed import CheckpointEncoder, FrameEncoder, HistogramEncoder, VisionTowerEncoder, check_encoder, make_encoder
from vtalign_data.groups import similarity_matrix
from vtalign_data.video_selection_config import GroupConfig


def pictures() -> list[np.ndarray]:
    """A picture, the same one a little brighter and shifted, and another one."""
    rng = np.random.default_rng(3)
    one, other = (cv2.resize(rng.integers(0, 255, (5, 6, 3)).astype(np.uint8), (96, 80)) for _ in range(2))
    return [one, np.roll(one, 4, axis=1), np.full_like(other, 30) + other // 8]


def test_a_histogram_knows_colours() -> None:
    found = similarity_matrix(HistogramEncoder().embed(pictures()))
    assert found[0, 1] > 0.99 and found[0, 2] < 0.5
    black, white = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)
    assert similarity_matrix(HistogramEncoder().embed([black, white]))[0, 1] == 0


SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 32, "patch_size": 8}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Image models in three forms, with random weights."""
    folder = tmp_path_factory.mktemp("image-models")
    vision = {**SMALL, "intermediate_size": 32}
    text = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32, "vocab_size": 50}
    size = {"height": 32, "width": 32}
    made = {
        "clip": (CLIPModel(CLIPConfig(vision_config=vision, text_config=text, projection_dim=12)), CLIPImageProcessor),
        "siglip": (SiglipVisionModel(SiglipVisionConfig(**vision)), SiglipImageProcessor),
        "dino": (Dinov2Model(Dinov2Config(**SMALL)), CLIPImageProcessor),
    }
    for name, (model, processor) in made.items():
        model.save_pretrained(folder / name)
        processor(size=size, crop_size=size).save_pretrained(folder / name)
    return {name: folder / name for name in made}


@pytest.mark.parametrize(("name", "features"), [("clip", 12), ("siglip", 16), ("dino", 16)])
def test_image_models_of_several_forms(checkpoints: dict[str, Path], name: str, features: int) -> None:
    encoder = CheckpointEncoder(str(checkpoints[name]), device="cpu")
    together = encoder.embed(pictures())
    assert together.shape == (3, features) and together.dtype == np.float32
    alone = np.concatenate([encoder.embed([picture]) for picture in pictures()])
    assert together == pytest.approx(alone, abs=1e-5)
    cosines = similarity_matrix(together)
    assert cosines[0, 1] > cosines[0, 2]


def test_the_video_llms_own_vision_tower(tiny_checkpoint: Path) -> None:
    encoder = VisionTowerEncoder(load_video_lm(tiny_checkpoint, device="cpu"))
    found = encoder.embed(pictures())
    assert np.array_equal(found[1:2], encoder.embed(pictures()[1:2]))
    cosines = similarity_matrix(found)
    assert cosines[0, 1] > cosines[0, 2]


def test_the_config_chooses(checkpoints: dict[str, Path], tiny_checkpoint: Path) -> None:
    def chosen(**settings: str) -> FrameEncoder:
        return make_encoder(GroupConfig(**settings), lambda: load_video_lm(tiny_checkpoint, device="cpu"), "cpu", False)

    assert isinstance(chosen(), HistogramEncoder)
    assert isinstance(chosen(encoder="model"), VisionTowerEncoder)
    assert isinstance(chosen(encoder="clip", checkpoint=str(checkpoints["clip"])), CheckpointEncoder)


def test_checkpoints_that_are_not_there(tmp_path: Path) -> None:
    missing = GroupConfig(encoder="clip", checkpoint=str(tmp_path / "none"))
    with pytest.raises(InputError, match="no such folder, and no Hub id"):
        check_encoder(missing)
    check_encoder(GroupConfig(encoder="clip", checkpoint="google/siglip-so400m-patch14-384"))
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="cannot load this image model") as error:
        CheckpointEncoder(str(tmp_path / "none"), device="cpu")
    assert "\n" not in str(error.value)
