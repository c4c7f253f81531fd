"""Run a recipe and die by SIGKILL at one moment: `run_and_die.py CONFIG EVENT PATH_END`.

EVENT is an audit event of Python (`open`, `os.rename`); the process kills itself when one names a path that ends in PATH_END.
"""

import os
import signal
import sys

from vtalign.config import load_config
from vtalign.training.config import TrainConfig


def main() -> None:
    config, event, path_end = sys.argv[1:]

    def die_there(name: str, arguments: tuple[object, ...]) -> None:
        if name == event and any(str(argument).endswith(path_end) for argument in arguments):
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(die_there)
    from vtalign.training.recipe import run_recipe

    run_recipe(load_config(TrainConfig, config))


if __name__ == "__main__":
    main()
