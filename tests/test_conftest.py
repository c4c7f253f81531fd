"""Continuous integration skips nothing: with VTALIGN_NO_SKIP=1 a skip is a failure, however it came about."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SUITE = """
import pytest

def test_passes(): pass

def test_skips(): pytest.skip("no such thing here")

@pytest.mark.skip(reason="by mark")
def test_marked(): pass

@pytest.mark.skipif(True, reason="by condition")
def test_condition(): pass

@pytest.fixture
def absent(): pytest.skip("by fixture")

def test_fixture(absent): pass

@pytest.mark.xfail
def test_expected(): assert False
"""
FILE = "import pytest\npytest.importorskip('no_such_module_anywhere')\n"


def outcome(folder: Path, no_skip: str) -> str:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-rfE", str(folder)]
    environment = os.environ | {"VTALIGN_NO_SKIP": no_skip, "PYTEST_ADDOPTS": ""}
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=120, check=False).stdout


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    shutil.copy(Path(__file__).with_name("conftest.py"), tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_suite.py").write_text(SUITE)
    return tmp_path


def test_elsewhere_skips_are_skips(suite: Path) -> None:
    assert "1 passed, 4 skipped, 1 xfailed" in outcome(suite, "0")


def test_where_nothing_may_be_skipped_they_fail_and_say_why(suite: Path) -> None:
    printed = outcome(suite, "1")
    assert "1 failed, 1 passed, 1 xfailed, 3 errors" in printed  # pytest calls a failure before the test's own code an error
    for reason in ("no such thing here", "by mark", "by condition", "by fixture"):
        assert reason in printed


def test_a_whole_file_that_skips_fails_too(suite: Path) -> None:
    (suite / "test_file.py").write_text(FILE)
    assert "skipped where nothing may be skipped" in outcome(suite, "1") and "1 error" in outcome(suite, "1")
