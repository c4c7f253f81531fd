"""Temporal alignment for Video LLMs. The public Python API is what `__all__` names.

Names are imported when they are first used: a decoder process imports this package too, and must not load torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vtalign.config import load_config as load_config
    from vtalign.errors import VTAlignError as VTAlignError
    from vtalign.losses.dpo import dpo_loss as dpo_loss
    from vtalign.losses.inputs import PreferenceLogps as PreferenceLogps
    from vtalign.models.load import load_video_lm as load_video_lm
    from vtalign.models.prompt import Prompt as Prompt
    from vtalign.models.requests import Request as Request
    from vtalign.models.requests import Row as Row
    from vtalign.models.video_lm import VideoLM as VideoLM
    from vtalign.preference.schema import PreferencePair as PreferencePair
    from vtalign.preference.schema import read_pairs as read_pairs
    from vtalign.training.config import TrainConfig as TrainConfig
    from vtalign.training.recipe import run_recipe as run_recipe
    from vtalign.video.frames import FrameStore as FrameStore
    from vtalign.video.isolated import DecodeWorkers as DecodeWorkers
    from vtalign.video.perturb import PerturbationSpec as PerturbationSpec
    from vtalign.video.perturb import perturb as perturb
    from vtalign.video.sample import FramePolicy as FramePolicy
    from vtalign.video.sample import sample as sample
    from vtalign.video.view import VideoView as VideoView

_HOMES = {
    "DecodeWorkers": "vtalign.video.isolated",
    "FramePolicy": "vtalign.video.sample",
    "FrameStore": "vtalign.video.frames",
    "PerturbationSpec": "vtalign.video.perturb",
    "PreferenceLogps": "vtalign.losses.inputs",
    "PreferencePair": "vtalign.preference.schema",
    "Prompt": "vtalign.models.prompt",
    "Request": "vtalign.models.requests",
    "Row": "vtalign.models.requests",
    "TrainConfig": "vtalign.training.config",
    "VTAlignError": "vtalign.errors",
    "VideoLM": "vtalign.models.video_lm",
    "VideoView": "vtalign.video.view",
    "dpo_loss": "vtalign.losses.dpo",
    "load_config": "vtalign.config",
    "load_video_lm": "vtalign.models.load",
    "perturb": "vtalign.video.perturb",
    "read_pairs": "vtalign.preference.schema",
    "run_recipe": "vtalign.training.recipe",
    "sample": "vtalign.video.sample",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'vtalign' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
