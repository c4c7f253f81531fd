"""One build that has to leave a pair of every perturbation: what the tests run in part and `benchmarks/acceptance.py` in full.

Nothing is switched off for it: clips are the shots that the default `scenes` finds, and all filters have their default thresholds.
Random weights say nonsense, and now and then a special token, which costs every response that the caption is a part of: so captions
have three tokens.
"""

from collections import Counter
from pathlib import Path
from typing import Any

from vtalign.preference.schema import read_pairs
from vtalign.video.registry import PERTURBATIONS
from vtalign_data.config import BuildConfig
from vtalign_data.summary import BuildSummary

from ..vtalign.models.family_checkpoints import FIXED, SIDE

FAMILIES = (
    "qwen2_vl",
    "qwen2_5_vl",
    "qwen3_vl",
    "llava_onevision",
    "llava_next_video",
    "smolvlm",
    "internvl",
    "video_llama_3",
)
VIDEOS = 12

# where the least strength will not do: two groups in reversed order are two shuffled ones
_SETTINGS: dict[str, dict[str, Any]] = {
    "reverse": {"strength": 4},
    "compose": {"steps": [{"name": "shuffle", "strength": 2}, {"name": "mask", "strength": 8}]},
}
GRID = [{"name": name, "strength": 2, **_SETTINGS.get(name, {})} for name in PERTURBATIONS]


def acceptance_config(
    family: str, videos: Path, checkpoint: Path, out: Path, *, server: str | None = None, runner: str = "local"
) -> BuildConfig:
    """`server`: base URL of one that hosts `checkpoint`, which writes then; scores come from the weights at hand either way."""
    settings: dict[str, Any] = {
        "videos": videos,
        "model": str(checkpoint),
        "out": out,
        "perturbations": GRID,
        "captions": {"max_new_tokens": 3},
        "device": "cpu",
        "workers": 1,
        "runner": {"kind": runner},
    }
    if family not in FIXED:
        settings["frames"] = {"max_pixels": SIDE * SIDE}
    if server is not None:
        settings["server"] = {"url": server, "model": str(checkpoint), "images": "png", "concurrency": 2}
    return BuildConfig.model_validate(settings)


def pairs_by_perturbation(summary: BuildSummary) -> dict[str, int]:
    """Pairs of every perturbation of the registry, none included."""
    found = Counter(pair.perturbation.name for pair in read_pairs(summary.pairs_folder) if pair.perturbation)
    return {name: found[name] for name in PERTURBATIONS}
