from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from vtalign_data.build import run_build
from vtalign_data.config import BuildConfig
from vtalign_data.runners.choose import open_runner
from vtalign_data.runners.local import LocalRunner
from vtalign_data.summary import BuildSummary


def test_without_gpus_the_default_is_this_process(make_config: Callable[..., BuildConfig], tmp_path: Path) -> None:
    config = make_config(tmp_path / "run", device="cpu")
    with ExitStack() as stack:
        runner, tools = open_runner(config, stack)
        assert isinstance(runner, LocalRunner) and runner._devices == ("cpu",)
        assert tools.config is config


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_models_on_one_machine_give_the_same_pairs(
    built: BuildSummary, make_config: Callable[..., BuildConfig], tmp_path: Path
) -> None:
    run_build(make_config(tmp_path / "run", runner={"model_workers": 2}))
    for folder in ("pairs", "stages"):
        expected = {path.relative_to(built.out): path.read_bytes() for path in (built.out / folder).rglob("*.*")}
        assert expected
        assert {
            path.relative_to(tmp_path / "run"): path.read_bytes() for path in (tmp_path / "run" / folder).rglob("*.*")
        } == expected
