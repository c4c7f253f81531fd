"""`check_eval`: what a run would measure, without a model: what is wrong with benchmark, data or gate is said before it costs anything."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from vtalign.errors import InputError
from vtalign.ids import stable_id
from vtalign_eval.benchmarks import find_benchmark
from vtalign_eval.config import EvalConfig
from vtalign_eval.fail_under import require_measured
from vtalign_eval.items import take
from vtalign_eval.judging.judge import open_judge

_NAMED = 3  # files of many that a line names


class CheckConfig(EvalConfig):
    """What a run would need, without the two things that a check does not."""

    model: str = Field("", description="not read")
    out: Path = Field(Path(), description="not written")


def check_eval(config: EvalConfig) -> str:
    """Lines for people: what is measured, the data hash, what is missing. Raises InputError for what a run would stop at: an
    unknown benchmark, unusable data (with how to lay it out), a `fail_on` that is not measured there, a judge that cannot be asked."""
    benchmark = find_benchmark(config.benchmark)
    if not config.data.is_dir():
        layout = f"; {benchmark.layout}" if benchmark.layout else ""
        raise InputError(f"{config.data}: no such data folder{layout}")
    items = take(benchmark.items(config.data), config.limit)
    metrics = require_measured(config, benchmark, items)
    if (judge := open_judge(config.judge, benchmark)) is not None:
        judge.check()
    videos = list(dict.fromkeys(item.video for item in items))
    lines = [f"{benchmark.name}: {len(items):,} questions about {len(videos):,} videos, which measure {', '.join(metrics)}"]
    judged = [item for item in items if item.task in benchmark.judged_tasks]
    if judged:
        by = "only a judge can grade" if judge is None else f"judge {judge.name} grades"
        lines.append(f"{by} {len(judged):,} of them ({', '.join(benchmark.judged_tasks)})")
    missing = [*benchmark.missing(config.data), *(_missing_videos(config.data, videos) if config.control != "text" else [])]
    lines += [f"missing: {line}" for line in missing]
    if missing and benchmark.layout:
        lines.append(f"layout: {benchmark.layout}")
    return "\n".join([*lines, f"hash of the question files: {stable_id('data', benchmark.file_hashes(config.data))}"])


def _missing_videos(data: Path, videos: Sequence[str]) -> list[str]:
    """One line where any of `videos` (paths relative to `data`) is not there; a run counts its questions as wrong."""
    lacking = [video for video in videos if not (data / video).is_file()]
    if not lacking:
        return []
    named = ", ".join(lacking[:_NAMED]) + (", .." if len(lacking) > _NAMED else "")
    return [f"{len(lacking):,} of {len(videos):,} videos ({named}); questions about them count as wrong"]
