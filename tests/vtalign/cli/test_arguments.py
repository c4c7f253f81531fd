"""[CONFIG] [key=value ...]"""

from pathlib import Path

import pytest

from vtalign.cli.arguments import split_arguments
from vtalign.cli.shipped import config_path
from vtalign.errors import ConfigError


def test_nothing_and_overrides_alone() -> None:
    assert split_arguments([]) == (None, [])
    assert split_arguments(["seed=1", "dpo.beta=0.2"]) == (None, ["seed=1", "dpo.beta=0.2"])


def test_a_file_comes_first(tmp_path: Path) -> None:
    config = tmp_path / "with=sign.yaml"
    config.write_text("seed: 1\n")
    assert split_arguments([str(config), "seed=2"]) == (config, ["seed=2"])


def test_the_name_of_a_shipped_config() -> None:
    assert split_arguments(["demo", "videos=16"]) == (config_path("demo"), ["videos=16"])


@pytest.mark.parametrize(("arguments", "named"), [(["nowhere.yaml"], "nowhere.yaml"), (["seed=1", "demo"], "demo")])
def test_what_is_neither_is_refused(arguments: list[str], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        split_arguments(arguments)
