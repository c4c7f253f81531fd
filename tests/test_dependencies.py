"""pyproject.toml says what the code needs: the floors of the design, all that is imported, and nothing that is not."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
REQUIREMENTS = {requirement.name: requirement for requirement in map(Requirement, PROJECT["dependencies"])}
OURS = {"vtalign", "vtalign_eval", "vtalign_data"}
# Needed though no line of ours imports them: transformers' video processors, Trainer's log writer.
INDIRECT = {"torchvision", "tensorboard"}


def floor(name: str) -> Version:
    (specifier,) = REQUIREMENTS[name].specifier
    assert specifier.operator == ">=", f"{name}: a floor, not a ceiling or a pin"
    return Version(specifier.version)


def imported() -> set[str]:
    """Top-level names of everything the three packages import."""
    names = set()
    for folder in ("vtalign", "eval/vtalign_eval", "data_pipeline/vtalign_data"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    names |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    names.add(node.module.split(".")[0])
    return names - OURS - set(sys.stdlib_module_names)


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize(("name", "lowest"), [("transformers", "5.21"), ("torch", "2.11")])
def test_floors_of_the_design(name: str, lowest: str) -> None:
    assert floor(name) == Version(lowest)


def test_python_floor() -> None:
    assert PROJECT["requires-python"] == ">=3.11"


def test_every_dependency_has_a_floor() -> None:
    for name in REQUIREMENTS:
        floor(name)


def test_installed_versions_satisfy_the_floors() -> None:
    for name, requirement in REQUIREMENTS.items():
        if requirement.marker is None or requirement.marker.evaluate():
            assert Version(version(name)) >= floor(name), name


@pytest.mark.parametrize(
    ("machine", "system", "wanted"),
    [
        ("x86_64", "linux", True),
        ("AMD64", "win32", True),
        ("aarch64", "linux", False),
        ("arm64", "darwin", False),
        ("ARM64", "win32", False),
    ],
)
def test_decord_only_where_it_has_wheels(machine: str, system: str, wanted: bool) -> None:
    marker = REQUIREMENTS["decord"].marker
    assert marker is not None and marker.evaluate({"platform_machine": machine, "sys_platform": system}) is wanted


def test_what_is_imported_is_declared() -> None:
    homes = packages_distributions()
    extras = [
        Requirement(text).name for extra, texts in PROJECT["optional-dependencies"].items() if extra != "dev" for text in texts
    ]
    declared = {normal(name) for name in [*REQUIREMENTS, *extras]}
    for name in imported():
        assert {normal(home) for home in homes.get(name, [name])} & declared, f"{name} is imported but not in dependencies"


def test_what_is_declared_is_imported() -> None:
    homes = packages_distributions()
    used = {normal(home) for name in imported() for home in homes.get(name, [name])} | INDIRECT
    assert {normal(name) for name in REQUIREMENTS} <= used


def test_constraints_name_a_version_for_every_dependency() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    assert all(re.fullmatch(r"[a-z0-9-]+", name) and Version(value) for name, value in pinned.items())
    extra = [Requirement(text).name for text in PROJECT["optional-dependencies"]["dev"]]
    assert {normal(name) for name in [*REQUIREMENTS, *extra]} <= set(pinned)
