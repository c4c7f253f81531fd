"""`vtalign train`."""

from typing import TYPE_CHECKING, Annotated

import typer

from vtalign.cli.arguments import split_arguments
from vtalign.cli.environment import forbid_network_except_for
from vtalign.errors import GateNotMet

if TYPE_CHECKING:
    from vtalign.training.config import TrainConfig


def train(
    arguments: Annotated[list[str], typer.Argument(metavar="CONFIG [key=value ...]", help="Recipe, then overrides.")],
) -> None:
    """Run a training recipe. Run the same command again to resume; start it with `accelerate launch -m vtalign` for several devices."""
    from vtalign.config import load_config
    from vtalign.training.config import TrainConfig

    path, overrides = split_arguments(arguments)
    config = load_config(TrainConfig, path, overrides)
    forbid_network_except_for(config.model)
    from vtalign.training.recipe import run_recipe

    try:
        run_recipe(config)
    except GateNotMet:
        _write_report(config)
        raise
    _write_report(config)


def _write_report(config: "TrainConfig") -> None:
    from accelerate import PartialState

    from vtalign.cli.training_evidence import training_report
    from vtalign.report.training_report import write_training_report

    if PartialState().is_main_process:
        write_training_report(config.output / "report.html", training_report(config))
        print(f"report: {config.output / 'report.html'}")
