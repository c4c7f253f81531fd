from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from vtalign_data.build import run_build
from vtalign_data.config import BuildConfig
from vtalign_data.runners.choose import open_runner
from vtalign_data.runners.local import LocalRunner
from vtalign_data.summary import BuildSummary

from ..run_files import asked_of_models, files_of


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
    summary = run_build(make_config(tmp_path / "run", runner={"model_workers": 2}))
    assert files_of(tmp_path / "run") == files_of(built.out)
    assert asked_of_models(summary.usage) == asked_of_models(built.usage) and summary.usage.decodes >= built.usage.decodes


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_models_merge_captions_as_one_does(make_config: Callable[..., BuildConfig], tmp_path: Path) -> None:
    merging: dict[str, Any] = {
        "composer": {"method": "model", "temperature": 0.7, "max_new_tokens": 8},
        "responses": {"samples": 2},
        "questions": {"kinds": []},
        "balance": {"max_accuracy": 1.0},
    }
    for workers in (1, 2):
        summary = run_build(make_config(tmp_path / str(workers), runner={"model_workers": workers}, **merging))
        assert {stage.name: stage.usage.model_calls for stage in summary.stages}["07-responses"] > 0
    assert files_of(tmp_path / "1") == files_of(tmp_path / "2")
