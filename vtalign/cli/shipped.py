"""The YAML files that come with vtalign: `configs/` of the checkout, `vtalign/configs/` of an installed wheel."""

from pathlib import Path

import vtalign
from vtalign.errors import ConfigError


def configs_folder() -> Path:
    """Where the shipped configs lie. An installed wheel carries a copy inside the package; a checkout has the original."""
    package = Path(vtalign.__file__).resolve().parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def config_names() -> list[str]:
    """Names that `config_path` knows, e.g. `demo` or `temple/pre_sft`, sorted."""
    folder = configs_folder()
    names = (path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yaml"))
    return sorted(name for name in names if not name.startswith("accelerate/"))  # those are for `accelerate launch`


def config_path(name: str) -> Path:
    """The shipped config `name` (with or without `.yaml`). Raises ConfigError that lists the known names."""
    folder = configs_folder()
    path = folder / f"{name.removesuffix('.yaml')}.yaml"
    if not path.is_file() or not path.resolve().is_relative_to(folder.resolve()):
        raise ConfigError(f"{name}: no such config file, and no config of that name comes with vtalign ({_known()})")
    return path


def _known() -> str:
    return f"known: {', '.join(config_names())}" if config_names() else "none found"
