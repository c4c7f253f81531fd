"""Stable ids: every record's id is a hash of its parent and its settings (design: ids)."""

import hashlib
import json
from pathlib import Path
from typing import Any


def stable_id(kind: str, *parts: Any) -> str:
    """`kind-` plus 16 hex digits of the SHA-256 of the parts as canonical JSON."""
    text = json.dumps([kind, *parts], sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, hex."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def video_id_of(path: Path) -> str:
    """The id of a video file: a hash of its bytes, whatever it is called."""
    return stable_id("video", file_hash(path))


def seed_from(*parts: Any) -> int:
    """A 63-bit seed from content, so that randomness depends on what is drawn for, not on when."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
