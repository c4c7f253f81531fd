"""Encoders of single frames, for telling which shots look alike. Legend: N images, D features."""

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from transformers import AutoImageProcessor, AutoModel

from vtalign.errors import InputError
from vtalign.hub import is_hub_id
from vtalign.ids import stable_id
from vtalign.models.encode import encode_videos
from vtalign.models.features import encoder_outputs, feature_tensors, transformers_model, visual_inputs
from vtalign.models.fingerprint import processor_hash, weights_hash
from vtalign.models.load import pick_device
from vtalign.models.video_lm import VideoLM
from vtalign.video.pixels import resized
from vtalign.video.sample import frame_size
from vtalign.video.view import Slot, VideoView
from vtalign_data.video_selection_config import GroupConfig

_BINS = (8, 4, 4)  # hue, saturation, value
_BATCH = 32  # images per forward pass


class FrameEncoder(Protocol):
    """Makes one vector of each image; alike images have vectors of a high cosine similarity."""

    def embed(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """float32 (N, D) of uint8 RGB images (H, W, 3). An image's vector does not depend on the others."""
        ...


class HistogramEncoder:
    """Square roots of a joint HSV histogram, so that the cosine is the Bhattacharyya coefficient. No weights, and colours only."""

    def embed(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        return np.stack([self._histogram(image) for image in images])

    def _histogram(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
        counts = cv2.calcHist([hsv], [0, 1, 2], None, list(_BINS), [0, 180, 0, 256, 0, 256]).ravel()
        return np.sqrt(counts / counts.sum()).astype(np.float32)


class CheckpointEncoder:
    """An image model in transformers' form: SigLIP, CLIP, or any other whose output is pooled (DINOv2, ViT)."""

    def __init__(self, checkpoint: str, *, device: str = "auto", trust_remote_code: bool = False) -> None:
        """Raises InputError where the checkpoint cannot be loaded."""
        auto: Any = AutoModel
        try:
            self._processor = AutoImageProcessor.from_pretrained(checkpoint, trust_remote_code=trust_remote_code)
            model = auto.from_pretrained(
                checkpoint, dtype=torch.float32, use_safetensors=True, trust_remote_code=trust_remote_code
            )
        except (OSError, ValueError, KeyError, RuntimeError, TypeError, ImportError, SafetensorError) as error:
            said = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise InputError(f"clips.groups.checkpoint: {checkpoint}: cannot load this image model: {said}") from None
        self._model = model.to(pick_device(device)).eval()

    @cached_property
    def fingerprint(self) -> str:
        """Stable id of weights and image processor, wherever they were loaded from."""
        return stable_id("image-model", weights_hash(self._model), processor_hash(self._processor))

    @torch.no_grad()
    def embed(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        made = [self._pooled(images[start : start + _BATCH]) for start in range(0, len(images), _BATCH)]
        return np.concatenate(made)

    def _pooled(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        inputs = self._processor(images=list(images), input_data_format="channels_last", return_tensors="pt")
        pixels = inputs["pixel_values"].to(self._model.device)
        if hasattr(self._model, "get_image_features"):
            outputs = self._model.get_image_features(pixel_values=pixels, return_dict=True)
        else:
            outputs = self._model(pixel_values=pixels, return_dict=True)
        pooled = getattr(outputs, "pooler_output", None)
        if pooled is None:
            pooled = outputs.last_hidden_state.mean(1)
        return np.asarray(pooled.float().cpu().numpy(), np.float32)


class VisionTowerEncoder:
    """The mean visual feature that the video LLM makes of a frame held still. Images get the size of the model's frame policy."""

    def __init__(self, video_lm: VideoLM) -> None:
        self._lm = video_lm
        self._inner = transformers_model(video_lm.model)
        if self._inner is None:
            raise InputError("clips.groups.encoder: model: its vision tower cannot be called by itself; choose histogram or clip")

    @torch.no_grad()
    def embed(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        # one by one: views of several shapes cannot be stacked, and a batch would move the last bits
        return np.stack([self._mean_feature(image) for image in images])

    def _mean_feature(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        parts = self._lm.parts
        count = max(parts.min_frames, parts.geometry.temporal_patch)
        view = VideoView(tuple(Slot("shot", 0, float(time)) for time in range(count)), 1.0)
        encoded = encode_videos(parts, [view], _Still(resized(image, *frame_size(image.shape[1], image.shape[0], parts.policy))))
        visual = visual_inputs(parts.family, encoded, [view])
        assert visual is not None
        [outputs] = encoder_outputs(self._inner, visual.to(self._lm.device), [0])
        features = feature_tensors(outputs)[0]
        return np.asarray(features.float().mean(0).cpu().numpy(), np.float32)


class _Still:
    """A frame source that shows one image in every slot."""

    def __init__(self, image: NDArray[np.uint8]) -> None:
        self._image = image

    def frames(self, view: VideoView) -> NDArray[np.uint8]:
        return np.stack([self._image] * len(view))


def make_encoder(config: GroupConfig, video_lm: Callable[[], VideoLM], device: str, trust_remote_code: bool) -> FrameEncoder:
    """The encoder that `config` names; `video_lm` is called only where it is the video LLM's own. Raises InputError."""
    if config.encoder == "histogram":
        return HistogramEncoder()
    if config.encoder == "model":
        return VisionTowerEncoder(video_lm())
    assert config.checkpoint is not None
    return CheckpointEncoder(config.checkpoint, device=device, trust_remote_code=trust_remote_code)


def check_encoder(config: GroupConfig) -> None:
    """Raises InputError, before anything is read, for a checkpoint that is neither a folder nor a Hub id."""
    name = config.checkpoint
    if name is not None and not Path(name).is_dir() and not is_hub_id(name):
        raise InputError(f"clips.groups.checkpoint: {name}: no such folder, and no Hub id (owner/name)")
