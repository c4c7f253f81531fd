"""Nothing is sent or fetched behind the user's back: set before any library that would do so is imported."""

import os

from vtalign.hub import is_hub_id

NO_TELEMETRY = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}
OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}


def silence_telemetry() -> None:
    """Turn off every usage report of the libraries underneath. What the user has set stays."""
    for name, value in NO_TELEMETRY.items():
        os.environ.setdefault(name, value)
    # One line per forked tokenizer process is noise: the pipeline and the data loader fork on purpose.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def forbid_network_except_for(*models: str) -> None:
    """Put the Hugging Face libraries offline unless one of `models` is a Hub id, which is the user's request for network.

    Must run before transformers, datasets or huggingface_hub are imported: they read these variables once.
    """
    if any(is_hub_id(model) for model in models):
        return
    for name, value in OFFLINE.items():
        os.environ.setdefault(name, value)
