"""`vtalign`: the commands, put together. Heavy libraries are imported inside a command, so that --help is instant."""

import logging
import os
import sys
from typing import Annotated, NoReturn

import typer

from vtalign.cli import data_commands, demo_command, eval_commands, train_command
from vtalign.cli.boundary import run_command
from vtalign.cli.environment import silence_telemetry

TRACEBACK = "--traceback"

app = typer.Typer(
    name="vtalign",
    help="Temporal alignment for Video LLMs: videos to preference pairs, training, and measured evidence.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(data_commands.app, name="data")
app.command("train")(train_command.train)
app.add_typer(eval_commands.app, name="eval")
app.command("demo")(demo_command.demo)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line (default: that of the process) and exit: 0 done, 1 failed run, 2 bad input, 3 a gate not met."""
    given = sys.argv[1:] if arguments is None else arguments
    show_traceback = TRACEBACK in given or os.environ.get("VTALIGN_TRACEBACK") == "1"
    rest = [argument for argument in given if argument != TRACEBACK] or ["--help"]
    silence_telemetry()
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("vtalign").setLevel(logging.INFO)
    sys.exit(run_command(lambda: app(rest, standalone_mode=False, prog_name="vtalign"), show_traceback=show_traceback))


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"vtalign {version('vtalign')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    traceback: Annotated[
        bool, typer.Option(TRACEBACK, help="Show the traceback of an error (also: VTALIGN_TRACEBACK=1).")
    ] = False,
) -> None:
    """Temporal alignment for Video LLMs: videos to preference pairs, training, and measured evidence."""
