"""`vtalign train`."""

from typing import Annotated

import typer

from vtalign.cli.arguments import split_arguments
from vtalign.cli.environment import forbid_network_except_for


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

    run_recipe(config)
