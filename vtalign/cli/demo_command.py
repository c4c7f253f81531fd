"""`vtalign demo`."""

from pathlib import Path
from typing import Annotated

import typer

from vtalign.cli.arguments import split_arguments
from vtalign.cli.environment import forbid_network_except_for
from vtalign.cli.shipped import config_path


def demo(
    arguments: Annotated[list[str] | None, typer.Argument(metavar="[CONFIG] [key=value ...]", help="Default: demo.yaml.")] = None,
    full: Annotated[bool, typer.Option("--full", help="All arms and controls, three seeds.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Varies corpus, pairs and training.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for everything it makes; run the same command again to resume.")] = Path(
        "runs/demo"
    ),
    from_scratch: Annotated[
        bool, typer.Option("--from-scratch", help="Train the tiny base model first (an hour or two).")
    ] = False,
) -> None:
    """The whole loop on synthetic videos: build, train, evaluate, and report.html with the evidence."""
    from vtalign.config import load_config

    path, overrides = split_arguments(arguments or [])
    from vtalign.cli.demo.config import DemoConfig

    config = load_config(DemoConfig, path or config_path("demo"), overrides)
    forbid_network_except_for()
    from vtalign.cli.demo import run_demo

    run_demo(config, out, seed, full=full, from_scratch=from_scratch)
