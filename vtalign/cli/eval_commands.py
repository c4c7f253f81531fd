"""`vtalign eval run` and `vtalign eval compare`."""

from pathlib import Path
from typing import Annotated

import typer

from vtalign.cli.arguments import split_arguments
from vtalign.cli.environment import forbid_network_except_for

app = typer.Typer(help="Measure: run a benchmark, compare two runs.", rich_markup_mode=None)


@app.command()
def run(
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[CONFIG] [key=value ...]", help="Config file, then overrides.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Model folder or Hub id.")] = None,
    benchmark: Annotated[str | None, typer.Option(help="Benchmark, e.g. temporal-shapes.")] = None,
    control: Annotated[str | None, typer.Option(help="Shown instead: text, one-frame, shuffled or reversed.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of the benchmark's questions and videos.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the results; run the same command again to resume.")] = None,
    fail_under: Annotated[float | None, typer.Option(help="Exit with 3 where the score is below this fraction.")] = None,
) -> None:
    """Run a benchmark on a model: accuracy per aspect with intervals."""
    from vtalign.config import load_config
    from vtalign_eval.config import EvalConfig

    path, overrides = split_arguments(arguments or [])
    flags = {"model": model, "benchmark": benchmark, "control": control, "data": data, "out": out, "fail_under": fail_under}
    config = load_config(EvalConfig, path, overrides, **flags)
    forbid_network_except_for(config.model)
    from vtalign_eval.run import run_eval

    run_eval(config)


@app.command()
def compare(
    before: Annotated[Path, typer.Argument(metavar="A", help="Folder of an evaluation run, the one before.")],
    after: Annotated[Path, typer.Argument(metavar="B", help="Folder of an evaluation run of the same questions, the one after.")],
    out: Annotated[Path | None, typer.Option(help="Folder for the comparison; default: only printed.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Compare runs whose data, control or frame policy differ.")] = False,
) -> None:
    """Compare two runs question by question: paired bootstrap and McNemar per aspect, and the questions that flipped."""
    from vtalign_eval.compare import compare_runs

    compare_runs(before, after, out, force)
