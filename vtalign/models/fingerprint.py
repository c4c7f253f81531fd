"""One hash for all that decides a model's numbers: weights, processor, chat template, frame policy, positions."""

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

import torch

from vtalign.ids import stable_id
from vtalign.models.positions import Positions
from vtalign.video.sample import FramePolicy

# where a processor was loaded from, by which release, and how it was last asked to pad
_TRACES = {"is_local", "local_files_only", "name_or_path", "transformers_version", "padding", "truncation"}


def fingerprint(model: torch.nn.Module, processor: Any, policy: FramePolicy, positions: Positions) -> str:
    """Stable id of weights (names, dtypes, shapes, bytes), processor files, policy and position rule.

    Hashes tensors and not weight files, so that sharding, a re-save or a trip through memory does not change it; the same weights
    in another dtype are another model, because their scores differ.
    """
    return stable_id("model", weights_hash(model), processor_hash(processor), policy.model_dump(mode="json"), positions)


def weights_hash(model: torch.nn.Module) -> str:
    """SHA-256 over the state dict in name order, hex."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        flat = tensor.detach().cpu().contiguous().view(-1)
        digest.update(memoryview(flat.view(torch.uint8).numpy()))
    return digest.hexdigest()


def processor_hash(processor: Any) -> str:
    """Over the files a processor saves: tokenizer, image and video processors, chat template."""
    digest = hashlib.sha256()
    with tempfile.TemporaryDirectory() as folder:
        processor.save_pretrained(folder)
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file():
                digest.update(f"{path.relative_to(folder)}|".encode() + _content(path))
    return digest.hexdigest()


def _content(path: Path) -> bytes:
    """The bytes of a file; of JSON, what it says without the traces that loading and use leave in it."""
    if path.suffix != ".json":
        return path.read_bytes()
    data = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(data, dict):
        data = {key: value for key, value in data.items() if key not in _TRACES}
    return json.dumps(data, sort_keys=True).encode()
