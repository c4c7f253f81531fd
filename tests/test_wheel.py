"""The built wheel works alone: in an empty environment, in an empty folder, with configs and assets inside."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from vtalign.cli.shipped import config_names

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

Run = Callable[..., str]

SMALL = ("videos=16", "dpo.max_steps=4", "sft.max_steps=4", "build.balance.max_accuracy=1")
CLEAN = {key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "VIRTUAL_ENV"}}


@pytest.fixture(scope="module")
def wheel(project_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the sdist, as a release is, so that what the sdist lacks is missed here."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(project_root)]
    subprocess.run(command, check=True, capture_output=True, timeout=600)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel and, by a .pth file, the installed dependencies; the checkout cannot be imported from it."""
    folder = tmp_path_factory.mktemp("wheel") / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=120)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(folder / "bin" / "python")]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-index", str(wheel)], check=True, timeout=300)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


@pytest.fixture
def run(environment: Path, tmp_path: Path) -> Run:
    """Run a program of the environment in an empty folder and return what it printed."""

    def run(*command: str) -> str:
        program = [str(environment / "bin" / command[0]), *command[1:]]
        done = subprocess.run(program, cwd=tmp_path, env=CLEAN, capture_output=True, text=True, timeout=1000, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_what_is_in_it(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    packages = {name.split("/")[0] for name in names if not name.split("/")[0].endswith(".dist-info")}
    assert packages == {"vtalign", "vtalign_eval", "vtalign_data"}
    assert {f"vtalign/configs/{name}.yaml" for name in config_names()} <= set(names)
    assert "vtalign/report/templates/style.css" in names and "vtalign/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_it_does_not_come_from_the_checkout(run: Run, environment: Path) -> None:
    code = "import vtalign, vtalign_eval, vtalign_data; print(vtalign.__file__, vtalign_eval.__file__, vtalign_data.__file__)"
    assert all(path.startswith(str(environment)) for path in run("python", "-c", code).split())


def test_the_command_and_the_configs(run: Run, environment: Path) -> None:
    assert run("vtalign", "--version") == f"vtalign {version('vtalign')}\n"
    assert "Commands:" in run("vtalign", "--help")
    code = "from vtalign.cli.shipped import config_names, config_path; print(*[config_path(name) for name in config_names()])"
    paths = run("python", "-c", code).split()
    assert len(paths) == len(config_names()) and all(path.startswith(str(environment)) for path in paths)


def test_the_demo_runs(run: Run, tmp_path: Path) -> None:
    run("vtalign", "demo", "demo", *SMALL)
    assert (tmp_path / "runs/demo/report.html").stat().st_size > 10_000
    assert (tmp_path / "runs/demo/summary.json").is_file()
