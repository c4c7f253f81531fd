"""What a build made: counts by stage and reason, pairs by kind and perturbation, their lengths; data for tables and reports."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from rich.table import Table

from vtalign.errors import RunFailed
from vtalign.video.perturbation_spec import PerturbationSpec
from vtalign_data.stage import Row, Stage, StageCounts
from vtalign_data.usage import Usage, total


@dataclass(frozen=True)
class BuildSummary:
    """`lengths`: level of balancing and `LengthReport` before and after, the latter of the pairs that are left at last; `select`: the
    same of the balancing after the last filters. `statistics`: `PairStatistics` of the pairs; `selection`: what each rule on videos
    and shots removed (`video_selection_report.selection_record`); `warnings`: video warnings by text; `writer`: the model that wrote, where
    that is not `model`, which scored; `caption_requests`, `response_requests`: distinct clips and views that were described;
    `truncated`: how many of these descriptions ran into their `max_new_tokens`."""

    out: Path
    model: str
    writer: str
    fingerprint: str
    seed: int
    seconds: float
    pairs: int
    groups: int
    by_kind: dict[str, int]
    by_perturbation: dict[str, int]
    caption_requests: int
    response_requests: int
    truncated: int
    warnings: dict[str, int]
    lengths: dict[str, Any]
    statistics: dict[str, Any]
    selection: dict[str, Any]
    stages: tuple[StageCounts, ...]

    @property
    def usage(self) -> Usage:
        """What all stages cost together, runs that were stopped included."""
        return total(stage.usage for stage in self.stages)

    @property
    def decodes(self) -> dict[str, int]:
        """Passes over videos: `probe` (ingest), `read`, and `compare` (another reader with PyAV); `frames` that the reads gave."""
        used = self.usage
        compared = used.decodes - used.probes - used.reads
        return {"probe": used.probes, "read": used.reads, "compare": compared, "frames": used.frames}

    @property
    def pairs_folder(self) -> Path:
        return self.out / "pairs"

    def to_dict(self) -> dict[str, Any]:
        stages = [asdict(stage) for stage in self.stages]
        return {**asdict(self), "out": str(self.out), "usage": self.usage.to_dict(), "decodes": self.decodes, "stages": stages}

    def table(self) -> Table:
        """What was kept, filtered and failed, by stage and reason."""
        table = Table(title=f"{self.pairs} pairs in {self.groups} groups, {self.seconds:.0f} s", title_justify="left")
        for column in ("stage", "of"):
            table.add_column(column)
        for column in ("kept", "filtered", "failed"):
            table.add_column(column, justify="right")
        table.add_column("reason")
        for stage in self.stages:
            table.add_row(stage.name, f"{stage.unit}s", str(stage.kept), *_cells(stage))
            losses = [(str(count), "", reason) for reason, count in stage.filtered.items()]
            losses += [("", str(count), reason) for reason, count in stage.failed.items()]
            for filtered, failed, reason in losses if len(losses) > 1 else ():
                table.add_row("", "", "", filtered, failed, reason)
        used = self.usage
        table.caption = (
            f"{used.model_calls} model calls, {used.prompt_tokens} prompt and {used.generated_tokens} generated tokens, "
            f"{used.decodes} passes over videos"
        )
        table.caption_justify = "left"
        return table


def _cells(stage: StageCounts) -> tuple[str, str, str]:
    reasons = [*stage.filtered, *stage.failed]
    numbers = (sum(counts.values()) for counts in (stage.filtered, stage.failed))
    filtered, failed = (str(number) if number else "" for number in numbers)
    return filtered, failed, reasons[0] if len(reasons) == 1 else ""


@lru_cache(maxsize=1024)
def _label(parameters: str) -> str:
    """`shuffle-4`, `reverse-2[frames=reversed]`, ..."""
    return PerturbationSpec.model_validate(json.loads(parameters)["spec"]).label


def count_pairs(rows: Iterable[Row], scored: Mapping[str, Row]) -> dict[str, Any]:
    """Fields of the summary that are counted over the candidates that are left."""
    kinds: Counter[str] = Counter()
    perturbations: Counter[str] = Counter()
    for row in rows:
        if row["pair_id"] in scored:
            kinds[row["kind"]] += 1
            perturbations[_label(row["parameters"])] += 1
    return {
        "pairs": len(scored),
        "groups": len({row["group_id"] for row in scored.values()}),
        "by_kind": dict(sorted(kinds.items())),
        "by_perturbation": dict(sorted(perturbations.items())),
    }


def read_lengths(stages: Path) -> dict[str, Any]:
    """`BuildSummary.lengths`, from what the two stages wrote that balance lengths."""
    first, last = (
        json.loads((stages / name / "lengths.json").read_text(encoding="utf-8")) for name in ("09-balance", "11-select")
    )
    return {**first, "after": last["after"], "select": last}


def length_states(lengths: Mapping[str, Any]) -> dict[str, Any]:
    """`BuildSummary.lengths` as state -> `LengthReport`, in order (summaries of earlier releases have no `select`)."""
    last = lengths.get("select")
    between = {"after the last filters": last["before"]} if last and last["level"] != "none" else {}
    return {"before balancing": lengths["before"], **between, "after balancing": lengths["after"]}


def require_some(stages: list[StageCounts], out: Path) -> None:
    """Raise RunFailed where the last of `stages` kept nothing, naming the rule that removed most of what it counts."""
    last = stages[-1]
    if last.kept:
        return
    removed: Counter[tuple[str, str]] = Counter()
    for stage in stages:
        if stage.unit == last.unit:
            for counts in (stage.filtered, stage.failed):
                removed.update({(stage.name, reason): count for reason, count in counts.items()})
    if not removed:
        raise RunFailed(f"{out}: no pairs: {last.name} had nothing to make a {last.unit} of")
    (name, reason), most = removed.most_common(1)[0]
    lost = Stage(out / "stages" / name, None, last.unit).rejected()
    example = next(f"{loss.id}: {loss.detail}" for loss in lost if loss.reason == reason)
    raise RunFailed(
        f"{out}: no pairs left: {name} lost {most} of {sum(removed.values())} {last.unit}s to '{reason}', such as {example} "
        f"(all are in {out / 'stages' / name / 'rejected.jsonl'})"
    )
