"""Model names: a local path, or an id on the Hugging Face Hub. An id is the user's request for network; a mistyped path is not."""

import re
from pathlib import Path

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


def is_hub_id(name: str) -> bool:
    """`owner/name` where neither that path nor a folder `owner` exists here (`runs/sft` mistyped stays a missing path)."""
    return bool(HUB_ID.fullmatch(name)) and not Path(name).exists() and not Path(name).parent.is_dir()
