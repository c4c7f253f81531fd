"""Files that come with the package."""

from pathlib import Path


def tiny_checkpoint() -> Path:
    """The folder of the tiny base video LLM."""
    return Path(__file__).resolve().parent / "tiny"
