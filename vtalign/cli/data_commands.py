"""`vtalign data synth`, `data prompts`, `data build`, `data text`, `data inspect`, `data export` and `data import`."""

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
def export(
    pairs: Annotated[Path, typer.Argument(metavar="PAIRS", help="Folder of pairs (*.parquet), or one file.")],
    arguments: Annotated[list[str] | None, typer.Argument(metavar="[key=value ...]", help="Overrides.")] = None,
    to: Annotated[str | None, typer.Option(help="trl, ms-swift, llamafactory or rrpo.")] = None,
    videos: Annotated[Path | None, typer.Option(help="Root of the pairs' videos.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for rows and rendered videos; run again to resume.")] = None,
    media_root: Annotated[Path | None, typer.Option(help="Write paths relative to this folder; default: absolute.")] = None,
    vdpo: Annotated[bool | None, typer.Option("--vdpo", help="Rows that compare clean and perturbed videos (ms-swift).")] = None,
    skip_vdpo: Annotated[
        bool | None, typer.Option("--skip-vdpo", help="Leave out pairs of two videos where the format has one.")
    ] = None,
    render_clean: Annotated[bool | None, typer.Option("--render-clean", help="Render the clean views too.")] = None,
) -> None:
    """Write pairs as another trainer reads them, perturbed videos rendered to files where a row has a second video."""
    from vtalign.config import load_config
    from vtalign_data.exchange.export_pairs import ExportConfig, run_export
    from vtalign_data.progress import ConsoleProgress

    flags = {"to": to, "videos": videos, "out": out, "media_root": media_root}
    switches = {"vdpo": vdpo, "skip_vdpo": skip_vdpo, "render_clean": render_clean}
    config = load_config(ExportConfig, None, arguments or [], pairs=pairs, **flags, **switches)
    forbid_network_except_for()
    with ConsoleProgress() as progress:
        summary = run_export(config, progress)
    print(summary.line())


@app.command("import")
def import_rows(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Rows: .jsonl, .json or .parquet.")],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[key=value ...]", help="Overrides, such as frames.fps=1.")
    ] = None,
    form: Annotated[str | None, typer.Option("--from", help="trl, ms-swift, llamafactory or rrpo.")] = None,
    videos: Annotated[Path | None, typer.Option(help="Root of the rows' videos, which paths may not leave.")] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; the pairs are in its folder pairs.")] = None,
    model: Annotated[str | None, typer.Option(help="Model folder or Hub id whose frame policy the views get.")] = None,
    strict: Annotated[bool | None, typer.Option("--strict", help="Stop at the first row that cannot be read.")] = None,
) -> None:
    """Read another trainer's rows, or RRPO's released ones, as pairs."""
    from vtalign.config import load_config
    from vtalign_data.exchange.import_config import ImportConfig

    flags = {"format": form, "videos": videos, "out": out, "model": model, "strict": strict}
    config = load_config(ImportConfig, None, arguments or [], file=file, **flags)
    forbid_network_except_for(*([config.model] if config.model is not None else []))
    from vtalign_data.exchange.import_pairs import run_import
    from vtalign_data.progress import ConsoleProgress

    with ConsoleProgress() as progress:
        summary = run_import(config, progress)
    print(summary.line())


@app.command()
def build(
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[CONFIG] [key=value ...]", help="Config file, then overrides.")
    ] = None,
    videos: Annotated[Path | None, typer.Option(help="Folder, glob (in quotes) or manifest of videos.")] = None,
    model: Annotated[
        str | None, typer.Option(help="Model folder or Hub id that describes the videos and scores the pairs.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the run; run the same command again to resume.")] = None,
    runner: Annotated[str | None, typer.Option(help="local, or ray: a Ray cluster.")] = None,
    ray_address: Annotated[str | None, typer.Option(help="host:port of the cluster, or auto; default: one of its own.")] = None,
) -> None:
    """Build preference pairs from a folder, a glob or a manifest of videos."""
    from vtalign.config import load_config
    from vtalign_data.config import BuildConfig
    from vtalign_data.prompts import with_prompts

    path, overrides = split_arguments(arguments or [])
    chosen = {"runner.kind": runner, "runner.address": ray_address}
    overrides += [f"{key}={value}" for key, value in chosen.items() if value is not None]
    config = with_prompts(load_config(BuildConfig, path, overrides, videos=videos, model=model, out=out))
    judge = config.annotations.judge
    models = [config.model, config.clips.groups.checkpoint, judge.model if judge is not None else None]
    forbid_network_except_for(*filter(None, models))
    from rich.console import Console

    from vtalign.cli.build_evidence import build_report
    from vtalign.report.build_report import write_build_report
    from vtalign_data.build import run_build
    from vtalign_data.progress import ConsoleProgress

    with ConsoleProgress() as progress:
        summary = run_build(config, progress)
    write_build_report(config.out / "report.html", build_report(summary.to_dict(), config))
    Console().print(summary.table())


@app.command()
def text(
    captions: Annotated[Path, typer.Argument(metavar="CAPTIONS", help="JSONL, one list a line: {captions: [..]} in time order.")],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[key=value ...]", help="Overrides, such as questions.per_kind=2.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder: OUT/pairs and OUT/sft.jsonl; run again to resume.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Same seed, same questions.")] = None,
    strict: Annotated[bool | None, typer.Option("--strict", help="Stop at the first line that cannot be read.")] = None,
) -> None:
    """Questions about the order of captions, without video: preference pairs and SFT rows, right and wrong by rule."""
    from vtalign.config import load_config
    from vtalign_data.text_pairs.config import TextRunConfig

    config = load_config(TextRunConfig, None, arguments or [], captions=captions, out=out, seed=seed, strict=strict)
    forbid_network_except_for()
    from vtalign_data.progress import ConsoleProgress
    from vtalign_data.text_pairs.run import run_text

    with ConsoleProgress() as progress:
        summary = run_text(config, progress)
    print(summary.line())


@app.command()
def inspect(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A finished build, or a folder of pairs.")],
    out: Annotated[Path | None, typer.Option(help="The page; default: DIR/inspect.html.")] = None,
    videos: Annotated[Path | None, typer.Option(help="Root of the videos; default: where the build had them.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Pairs on the page, at most.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Which pairs are shown where not all fit.")] = 0,
) -> None:
    """One HTML page to look through pairs: strips, responses, scores, filters, and what was rejected and why."""
    from rich.console import Console

    from vtalign.cli.inspection.page import write_inspection

    page, shown = write_inspection(folder, out, videos, limit, seed)
    line = f"{page}: {len(shown['pairs']):,} of {shown['total']:,} pairs, {page.stat().st_size / 1e6:.1f} MB"
    Console().print(line, markup=False, highlight=False, soft_wrap=True)
