"""Peers of the benchmarks, each in an environment of its own, with torch and transformers at the versions of ours.

`python benchmarks/peers.py` makes `benchmarks/.venv-trl`. The commands call it themselves where it is missing: once, some minutes.
"""

import importlib.metadata
import json
import os
import subprocess
import sys
import venv
from pathlib import Path

TRL = "1.16.0"
FOLDER = Path(__file__).parent
# What decides the speed of both sides alike; the rest of TRL's dependencies follow from it.
PINNED = ("torch", "torchvision", "transformers", "accelerate", "numpy", "safetensors", "tokenizers", "datasets", "pillow")
# Nothing is fetched or sent while a benchmark runs.
QUIET = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
    "TRL_EXPERIMENTAL_SILENCE": "1",
}


def trl_python() -> Path:
    """The Python of TRL's environment, which is made or brought up to date first. Raises CalledProcessError."""
    folder = FOLDER / ".venv-trl"
    python = folder / "bin" / "python"
    record = folder / "wanted.json"
    wanted = [f"trl=={TRL}", *(f"{name}=={importlib.metadata.version(name)}" for name in PINNED)]
    if record.is_file() and json.loads(record.read_text(encoding="utf-8")) == wanted:
        return python
    print(f"making {folder} ({', '.join(wanted[:3])}, ..): once, some minutes", file=sys.stderr)
    venv.create(folder, with_pip=True, clear=True)
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted]
    subprocess.run(command, check=True)
    record.write_text(json.dumps(wanted), encoding="utf-8")
    return python


def peer_environment(threads: int) -> dict[str, str]:
    """Of a peer's process: offline, no telemetry, so many threads for every library, nothing of ours to import."""
    counts = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return {**kept, **QUIET, **counts}


def our_environment(threads: int) -> dict[str, str]:
    """The same, and `vtalign` and `vtalign_data` are those that these benchmarks lie beside, whatever else is installed."""
    root = FOLDER.parent
    return {**peer_environment(threads), "PYTHONPATH": os.pathsep.join(map(str, (root, root / "data_pipeline")))}


if __name__ == "__main__":
    print(trl_python())
