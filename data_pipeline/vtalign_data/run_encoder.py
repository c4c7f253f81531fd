"""The image model of a build that tells which shots look alike (`clips.groups.checkpoint`): the same one when the run goes on."""

import json

from vtalign.artifacts import write_json
from vtalign.errors import InputError
from vtalign_data.config import BuildConfig
from vtalign_data.embed import CheckpointEncoder, FrameEncoder


def run_encoder(config: BuildConfig) -> str | None:
    """Fingerprint of the image model, from `encoder.json` of the run folder once it was loaded there; for the process that runs the
    build. None where there is no such model.

    Raises InputError where the model cannot be loaded.
    """
    record = config.out / "encoder.json"
    checkpoint = config.clips.groups.checkpoint
    if checkpoint is None or not config.clips.groups.merges:
        return None
    if record.is_file():
        return str(json.loads(record.read_text(encoding="utf-8"))["fingerprint"])
    # only to know it, as workers load their own
    encoder = CheckpointEncoder(checkpoint, device="cpu", trust_remote_code=config.trust_remote_code)
    write_json(record, {"fingerprint": encoder.fingerprint})
    return encoder.fingerprint


def check_same_encoder(config: BuildConfig, encoder: FrameEncoder, known: str | None) -> None:
    """Raises InputError where a checkpoint's fingerprint is not `known`, of `run_encoder`: embeddings of two models do not compare."""
    if known is not None and isinstance(encoder, CheckpointEncoder) and encoder.fingerprint != known:
        raise InputError(
            f"{config.out}: was begun with other weights or another image processor in clips.groups.checkpoint "
            f"{config.clips.groups.checkpoint} ({known} then, {encoder.fingerprint} now); choose another output folder"
        )
