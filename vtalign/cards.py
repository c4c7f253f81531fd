"""What model cards and dataset cards share: tables in Markdown, and settings without folders of the machine."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vtalign.hub import is_hub_id

CARD = "README.md"
"""The file that the Hub shows."""


def markdown_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; bars and line ends in its cells do not break it."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


_MODELS = ("model", "checkpoint")


def portable(value: Any) -> Any:
    """Plain data, of every path its last name, and of every model (by its key) `portable_model`."""
    if isinstance(value, Path):
        return value.name
    if isinstance(value, dict):
        return {
            key: portable_model(inner) if key in _MODELS and isinstance(inner, str) else portable(inner)
            for key, inner in value.items()
        }
    return [portable(inner) for inner in value] if isinstance(value, list | tuple) else value


def portable_model(name: str) -> str:
    """A Hub id as it is, of a folder its last name."""
    return name if is_hub_id(name) else Path(name).name


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
