"""`vtalign eval run`, `score`, `check`, `compare`, `report`, `export` and `contamination`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer
from rich.console import Console

from vtalign.cli.arguments import split_arguments
from vtalign.cli.environment import forbid_network_except_for

if TYPE_CHECKING:
    from vtalign.config import Config
    from vtalign_eval.judging import JudgeConfig

ConfigT = TypeVar("ConfigT", bound="Config")

app = typer.Typer(help="Measure: run a benchmark, compare two runs.", rich_markup_mode=None)

Arguments = Annotated[list[str] | None, typer.Argument(metavar="[CONFIG] [key=value ...]", help="Config file, then overrides.")]
Model = Annotated[str | None, typer.Option(help="Model folder, Hub id, or its name on --server.")]
BenchmarkName = Annotated[str | None, typer.Option(help="Benchmark, e.g. temporal-shapes.")]
Server = Annotated[
    str | None, typer.Option(metavar="URL", help="OpenAI-compatible server that runs the model, e.g. http://localhost:8000/v1.")
]
Control = Annotated[str | None, typer.Option(help="Shown instead: text, one-frame, repeated-frame, shuffled or reversed.")]
Data = Annotated[Path | None, typer.Option(help="Folder of the benchmark's questions and videos.")]
Out = Annotated[Path | None, typer.Option(help="Folder for the results; run the same command again to resume.")]
Judge = Annotated[
    str | None,
    typer.Option(
        help="Ask a judge what no rule grades: URL of a server (with judge.server.model=NAME), or a model folder or Hub id."
    ),
]
Likelihood = Annotated[bool | None, typer.Option("--likelihood", help="Also choose the option with the highest log-prob.")]
FailUnder = Annotated[float | None, typer.Option(help="Exit with 3 where the score is below this fraction.")]


@app.command()
def run(
    arguments: Arguments = None,
    model: Model = None,
    server: Server = None,
    benchmark: BenchmarkName = None,
    control: Control = None,
    data: Data = None,
    out: Out = None,
    judge: Judge = None,
    likelihood: Likelihood = None,
    fail_under: FailUnder = None,
) -> None:
    """Run a benchmark on a model: accuracy per aspect with intervals. `controls=[text,shuffled]` adds the gain over these.

    Start it with `torchrun --standalone --nproc_per_node N -m vtalign` or `accelerate launch --multi_gpu -m vtalign` for several devices.
    """
    from vtalign_eval.config import EvalConfig

    flags = _flags(model, benchmark, control, data, out, likelihood, fail_under)
    config = _config(EvalConfig, _with_judge(with_server(arguments, server), judge), flags)
    forbid_network_except_for(*([] if config.server else [config.model]), *_models_of(config.judge))
    from vtalign_eval.run import run_eval

    run_eval(config)


@app.command()
def score(
    arguments: Arguments = None,
    benchmark: BenchmarkName = None,
    data: Data = None,
    predictions: Annotated[Path | None, typer.Option(help="Folder or file of one model's stored predictions.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the scores.")] = None,
    judge: Judge = None,
    fail_under: FailUnder = None,
) -> None:
    """Grade stored predictions: figures as published, and graded files."""
    flags = {"benchmark": benchmark, "data": data, "predictions": predictions, "out": out, "fail_under": fail_under}
    from vtalign_eval.score import ScoreConfig, run_score

    config = _config(ScoreConfig, _with_judge(arguments, judge), flags)
    forbid_network_except_for(*_models_of(config.judge))
    run_score(config)


@app.command()
def check(
    arguments: Arguments = None,
    model: Model = None,
    server: Server = None,
    benchmark: BenchmarkName = None,
    control: Control = None,
    data: Data = None,
    out: Out = None,
    judge: Judge = None,
    likelihood: Likelihood = None,
    fail_under: FailUnder = None,
) -> None:
    """Say what `eval run` with the same arguments would measure and what is missing; model and out are not needed."""
    from vtalign_eval.check import CheckConfig, check_eval

    flags = _flags(model, benchmark, control, data, out, likelihood, fail_under)
    config = _config(CheckConfig, _with_judge(with_server(arguments, server), judge), flags)
    forbid_network_except_for(*_models_of(config.judge))
    said = check_eval(config)
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
def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN ..", help="Folders of finished evaluations.")],
) -> None:
    """Make report.html of finished runs again, as `eval run` and `eval score` do at their end."""
    from vtalign_eval.report.evaluation import report_run

    for folder in runs:
        report_run(folder)
        print(folder / "report.html")


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
    from vtalign_eval.contamination import ContaminationConfig, check_contamination

    flags = {"pairs": pairs, "data": data, "benchmark": benchmark, "videos": videos, "out": out, "fail_on_match": fail_on_match}
    check_contamination(_config(ContaminationConfig, arguments, flags))


# flags of `run` and `check`: the fields of their config of the same names
_RUN_FLAGS = ("model", "benchmark", "control", "data", "out", "likelihood", "fail_under")


def _flags(*given: object) -> dict[str, Any]:
    return dict(zip(_RUN_FLAGS, given, strict=True))


def _config(kind: type[ConfigT], arguments: list[str] | None, flags: dict[str, Any]) -> ConfigT:
    from vtalign.config import load_config

    path, overrides = split_arguments(arguments or [])
    return load_config(kind, path, overrides, **flags)


def with_server(arguments: list[str] | None, server: str | None) -> list[str]:
    """`--server URL` names the address and leaves the server's other settings as they are."""
    return [*(arguments or []), *([f"server.url={server}"] if server else [])]


def _with_judge(arguments: list[str] | None, judge: str | None) -> list[str]:
    """The arguments with `--judge` as the override that it stands for."""
    if judge is None:
        return arguments or []
    is_url = judge.startswith(("http://", "https://"))
    return [*(arguments or []), f"judge.{'server.url' if is_url else 'model'}={judge}"]


def _models_of(judge: "JudgeConfig | None") -> list[str]:
    return [judge.model] if judge is not None and judge.model is not None else []
