"""What every command takes: `[CONFIG] [key=value ...]`."""

from pathlib import Path

from vtalign.cli.shipped import config_path
from vtalign.errors import ConfigError


def split_arguments(arguments: list[str]) -> tuple[Path | None, list[str]]:
    """(config file or None, overrides). CONFIG comes first: a file, or the name of a config that comes with vtalign."""
    if not arguments:
        return None, []
    first, *rest = arguments
    if Path(first).is_file():
        config, overrides = Path(first), rest
    elif "=" in first:
        config, overrides = None, arguments
    else:
        config, overrides = config_path(first), rest
    for item in overrides:
        if "=" not in item:
            raise ConfigError(f"{item}: expected key=value after the config file")
    return config, overrides
