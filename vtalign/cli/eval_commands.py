"""`vtalign eval run`, `eval score`, `eval check`, `eval compare`, `eval export` and `eval contamination`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

from vtalign.cli.arguments import split_arguments
from vtalign.cli.environment import forbid_network_except_for

if TYPE_CHECKING:
    from vtalign_eval.config import EvalConfig

app = typer.Typer(help="Measure: run a benchmark, compare two runs.", rich_markup_mode=None)

Arguments = Annotated[list[str] | None, typer.Argument(metavar="[CONFIG] [key=value ...]", help="Config file, then overrides.")]
Model = Annotated[str | None, typer.Option(help="Model folder or Hub id.")]
BenchmarkName = Annotated[str | None, typer.Option(help="Benchmark, e.g. temporal-shapes.")]
Control = Annotated[str | None, typer.Option(help="Shown instead: text, one-frame, repeated-frame, shuffled or reversed.")]
Data = Annotated[Path | None, typer.Option(help="Folder of the benchmark's questions and videos.")]
Out = Annotated[Path | None, typer.Option(help="Folder for the results; run the same command again to resume.")]
FailUnder = Annotated[float | None, typer.Option(help="Exit with 3 where the score is below this fraction.")]


@app.command()
def run(
    arguments: Arguments = None,
    model: Model = None,
    benchmark: BenchmarkName = None,
    control: Control = None,
    data: Data = None,
    out: Out = None,
    fail_under: FailUnder = None,
) -> None:
    """Run a benchmark on a model: accuracy per aspect with intervals. `controls=[text,shuffled]` adds the gain over these."""
    flags = {"model": model, "benchmark": benchmark, "control": control, "data": data, "out": out, "fail_under": fail_under}
    config = _config(arguments, flags)
    forbid_network_except_for(config.model)
    from vtalign_eval.run import run_eval

    run_eval(config)


@app.command()
def score(
    arguments: Arguments = None,
    benchmark: BenchmarkName = None,
    data: Data = None,
    predictions: Annotated[Path | None, typer.Option(help="Folder or file of one model's stored predictions.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the scores.")] = None,
    fail_under: FailUnder = None,
) -> None:
    """Grade stored predictions without a model: figures as published, and graded files."""
    flags = {"benchmark": benchmark, "data": data, "predictions": predictions, "out": out, "fail_under": fail_under}
    from vtalign.config import load_config
    from vtalign_eval.score import ScoreConfig, run_score

    path, overrides = split_arguments(arguments or [])
    run_score(load_config(ScoreConfig, path, overrides, **flags))


@app.command()
def check(
    arguments: Arguments = None,
    model: Model = None,
    benchmark: BenchmarkName = None,
    control: Control = None,
    data: Data = None,
    out: Out = None,
    fail_under: FailUnder = None,
) -> None:
    """Say what `eval run` with the same arguments would measure and what is missing; model and out are not needed."""
    flags = {"model": model, "benchmark": benchmark, "control": control, "data": data, "out": out, "fail_under": fail_under}
    from vtalign.config import load_config
    from vtalign_eval.check import CheckConfig, check_eval

    path, overrides = split_arguments(arguments or [])
    said = check_eval(load_config(CheckConfig, path, overrides, **flags))
    console = Console()
    # wrapped at words for a person; whole lines for a pipe
    console.print(said, markup=False, highlight=False, soft_wrap=not console.is_terminal)


@app.command()
def compare(
    before: Annotated[Path, typer.Argument(metavar="A", help="Folder of an evaluation run, the one before.")],
    after: Annotated[Path, typer.Argument(metavar="B", help="Folder of an evaluation run of the same questions, the one after.")],
    out: Annotated[Path | None, typer.Option(help="Folder for the comparison; default: only printed.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Compare runs whose benchmark, data, control or frame policy differ.")
    ] = False,
) -> None:
    """Compare two runs question by question: paired bootstrap and McNemar per aspect, and the questions that flipped."""
    from vtalign_eval.compare import compare_runs

    compare_runs(before, after, out, force)


@app.command()
def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished evaluation.")],
    to: Annotated[Literal["lmms-eval", "tempcompass"], typer.Option(help="tempcompass: the files of its leaderboard.")],
    out: Annotated[Path, typer.Option(help="Folder for the files.")],
) -> None:
    """Write a finished evaluation under the file names of another tool."""
    from vtalign_eval.export import export_run

    for path in export_run(run, to, out):
        print(path)


@app.command()
def contamination(
    arguments: Arguments = None,
    pairs: Annotated[Path | None, typer.Option(help="Folder of training pairs (*.parquet), or one file.")] = None,
    data: Data = None,
    benchmark: BenchmarkName = None,
    videos: Annotated[Path | None, typer.Option(help="Root of the pairs' videos: frames are compared too.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for contamination.json and matches.jsonl.")] = None,
    fail_on_match: Annotated[bool | None, typer.Option("--fail-on-match", help="Exit with 3 where anything matches.")] = None,
) -> None:
    """Look for a benchmark's videos and questions in training pairs: files, names, frames and word n-grams."""
    from vtalign.config import load_config
    from vtalign_eval.contamination import ContaminationConfig, check_contamination

    path, overrides = split_arguments(arguments or [])
    flags = {"pairs": pairs, "data": data, "benchmark": benchmark, "videos": videos, "out": out, "fail_on_match": fail_on_match}
    check_contamination(load_config(ContaminationConfig, path, overrides, **flags))


def _config(arguments: list[str] | None, flags: dict[str, Any]) -> "EvalConfig":
    from vtalign.config import load_config
    from vtalign_eval.config import EvalConfig

    path, overrides = split_arguments(arguments or [])
    return load_config(EvalConfig, path, overrides, **flags)
