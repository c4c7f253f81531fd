"""`vtalign data synth`, `vtalign data prompts` and `vtalign data build`."""

from pathlib import Path
from typing import Annotated

import typer

from vtalign.cli.arguments import split_arguments
from vtalign.cli.environment import forbid_network_except_for

app = typer.Typer(help="Make data: the synthetic corpus, preference pairs from videos.", rich_markup_mode=None)


@app.command()
def synth(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the corpus: OUT/train, OUT/validation, OUT/heldout.")],
    videos: Annotated[int, typer.Option(min=1, help="Training videos; the other splits follow from it.")] = 400,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same corpus.")] = 0,
) -> None:
    """Render a synthetic corpus: short mp4 videos with captions and questions."""
    from vtalign_data.synth import write_corpus

    write_corpus(out, videos, seed)


@app.command()
def prompts(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the files, one prompt each.")],
) -> None:
    """Write the prompts of `data build` as files to edit; prompts=OUT then uses them."""
    from vtalign_data.prompts import write_prompts

    for path in write_prompts(out):
        typer.echo(path)


@app.command()
def build(
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[CONFIG] [key=value ...]", help="Config file, then overrides.")
    ] = None,
    videos: Annotated[Path | None, typer.Option(help="Folder of videos.")] = None,
    model: Annotated[
        str | None, typer.Option(help="Model folder or Hub id that describes the videos and scores the pairs.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the run; run the same command again to resume.")] = None,
) -> None:
    """Build preference pairs from a folder of videos."""
    from vtalign.config import load_config
    from vtalign_data.config import BuildConfig
    from vtalign_data.prompts import with_prompts

    path, overrides = split_arguments(arguments or [])
    config = with_prompts(load_config(BuildConfig, path, overrides, videos=videos, model=model, out=out))
    forbid_network_except_for(*([config.model] if config.model else []))
    from rich.console import Console

    from vtalign.cli.build_evidence import build_report
    from vtalign.report.build_report import write_build_report
    from vtalign_data.build import run_build
    from vtalign_data.progress import ConsoleProgress

    with ConsoleProgress() as progress:
        summary = run_build(config, progress)
    write_build_report(config.out / "report.html", build_report(summary.to_dict(), config))
    Console().print(summary.table())
