"""Jobs run real vtalign processes; one that fails is named with its log, and stops the rest."""

from pathlib import Path

import pytest

from vtalign.cli.demo.jobs import Command, Job, run_jobs
from vtalign.errors import RunFailed


def job(name: str, folder: Path, *arguments: str) -> Job:
    return Job(name, (Command(arguments, "steps", folder / "none", 1),), folder / "logs" / f"{name}.log")


def test_commands_run_and_their_output_is_kept(tmp_path: Path) -> None:
    run_jobs([job("a", tmp_path, "--version"), job("b", tmp_path, "--help")], at_a_time=2)
    assert (tmp_path / "logs/a.log").read_text().startswith("vtalign ")
    assert "demo" in (tmp_path / "logs/b.log").read_text()


def test_a_failing_command_is_named_with_its_last_line_and_its_log(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match=r"bad: `vtalign train` ended with 2: .*no-such\.yaml.*bad\.log"):
        run_jobs([job("bad", tmp_path, "train", "no-such.yaml"), job("never", tmp_path, "--version")], at_a_time=1)
    assert not (tmp_path / "logs/never.log").exists()
