"""What the report of a recipe shows, from its output folder."""

import json
from pathlib import Path
from typing import Any

import yaml

from vtalign.artifacts import read_jsonl
from vtalign.report.training_report import StageReport, TrainingReport
from vtalign.training.card import base_name, portable_recipe
from vtalign.training.config import Stage, TrainConfig
from vtalign.training.gate import GateDecision
from vtalign.training.tables import describe_loss, describe_parts


def training_report(config: TrainConfig) -> TrainingReport:
    """The data of `report.html`, of a recipe that ended: at its last stage, or at a gate."""
    summary = json.loads((config.output / "summary.json").read_text(encoding="utf-8"))
    history = list(read_jsonl(Path(summary["history"])))
    gates = {name: GateDecision(**decision) for name, decision in summary["gates"].items()}
    stages = zip(config.stages, summary["stages"], strict=False)
    return {
        "model": base_name(config),
        "seconds": sum(stage["seconds"] for stage in summary["stages"]),
        "ended_by": summary["ended_by"] or "",
        "stages": [_stage(stage, done, gates.get(stage.name), history) for stage, done in stages],
        "data": [
            {"stage": stage.name, "file": stage.data.name, "hash": summary["data_hashes"][stage.name]} for stage in config.stages
        ],
        "recipe": yaml.safe_dump(portable_recipe(config), sort_keys=False, allow_unicode=True),
        "versions": summary["versions"],
    }


def _stage(stage: Stage, done: dict[str, Any], gate: GateDecision | None, history: list[dict[str, Any]]) -> StageReport:
    return {
        "name": stage.name,
        "kind": stage.kind,
        "loss": describe_loss(stage),
        "trains": describe_parts(stage),
        "learning_rate": f"{stage.learning_rate:g}",
        "steps": done["steps"],
        "seen": done["seen"],
        "skipped": done["skipped_examples"],
        "seconds": done["seconds"],
        "metrics": done["metrics"],
        "gate": "" if gate is None else f"{gate}: {gate.verdict}",
        "points": [row for row in history if row["stage"] == stage.name],
    }
