"""Configs that come with vtalign are found, load, and stay inside their folder."""

from pathlib import Path

import pytest

from vtalign.cli.shipped import config_names, config_path, configs_folder
from vtalign.errors import ConfigError


def test_every_yaml_has_a_name_that_finds_it(project_root: Path) -> None:
    """But for those that `accelerate launch` takes by their path."""
    files = sorted(file for file in (project_root / "configs").rglob("*.yaml") if file.parent.name != "accelerate")
    assert files and [config_path(name) for name in config_names()] == files
    assert config_path("demo.yaml") == config_path("demo")


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"nothing: no such config file.*demo"):
        config_path("nothing")


def test_a_name_cannot_leave_the_folder(project_root: Path) -> None:
    outside = configs_folder().parent / "outside.yaml"
    assert not outside.exists()
    with pytest.raises(ConfigError):
        config_path("../tests/../.github/x")
    with pytest.raises(ConfigError):
        config_path(str(project_root / "configs" / "nowhere"))
