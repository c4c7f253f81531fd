"""Where the numbers of a run come from, as lines of text: everything that its record holds beside the numbers."""

import json
from collections.abc import Mapping
from typing import Any

# Numbers, which the page shows elsewhere, and what stands in lines of its own.
_SHOWN = {
    "metrics",
    "aspects",
    "tasks",
    "events",
    "chance",
    "gains",
    "decode_failures",
    "tempcompass",
    "config",
    "benchmark_version",
}
_FIRST = ("benchmark", "control", "model_fingerprint", "frame_policy", "max_new_tokens", "data", "statistics", "versions")


def sources_of(record: Mapping[str, Any], figures: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str]]:
    """(what, value): the model first, then the rest of the record, then the settings. `figures`: TempCompass's, which name a judge."""
    rows = [("model", str(record["config"]["model"]))]
    names = [*(name for name in _FIRST if name in record), *(name for name in record if name not in (*_FIRST, *_SHOWN))]
    for name in names:
        value = f"{record[name]}, version {record['benchmark_version']}" if name == "benchmark" else spelt_out(record[name])
        rows.append((name.replace("_", " "), value))
    judges = {spelt_out(found["judge"]) for found in figures.values() if "judge" in found}
    rows += [("judge", judge) for judge in sorted(judges)]
    settings = {name: value for name, value in record["config"].items() if name != "model"}
    rows += [(f"setting {name}", spelt_out(value)) for name, value in settings.items()]
    return rows


def spelt_out(value: Any) -> str:
    """Plain data on one line for people: `fps 2.0, count none`."""
    if value is None:
        return "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {spelt_out(inner)}" for key, inner in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(spelt_out(inner) for inner in value) or "none"
    return value if isinstance(value, str) else json.dumps(value)
