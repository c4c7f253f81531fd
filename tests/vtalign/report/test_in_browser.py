"""A real browser draws the reports, wide and narrow, without a script running and without a sideways scroll of the page."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from vtalign.report.build_report import BuildReport, write_build_report
from vtalign.report.demo_report import DemoReport, write_demo_report
from vtalign.report.training_report import TrainingReport, write_training_report

FLAGS = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update"
FRAMED = """<!doctype html><title>waiting</title>
<body style="margin:0"><iframe id="f" src="report.html" style="width:WIDTHpx;height:900px"></iframe>
<script>onload = () => { const page = document.getElementById("f").contentDocument;
document.title = page.documentElement.scrollWidth + " of " + page.documentElement.clientWidth + "; " + page.title; }</script>"""


@pytest.fixture(scope="module")
def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("needs Chromium (Debian: apt-get install chromium), which is not here")
    return found


def browse(chromium: str, page: Path, profile: Path, *flags: str) -> str:
    command = [chromium, *FLAGS.split(), "--disable-sync", f"--user-data-dir={profile}", *flags, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


@pytest.mark.slow
def test_the_demo_report_in_a_browser(chromium: str, tmp_path: Path, demo_data: DemoReport) -> None:
    write_demo_report(tmp_path / "report.html", demo_data)
    document = browse(chromium, tmp_path / "report.html", tmp_path / "profile", "--window-size=1400,1200", "--dump-dom")
    assert "<title>Does it understand time better?</title>" in document  # the hostile response did not change it
    assert document.count("<svg") == 2 and document.count("<article") == 1


@pytest.mark.slow
def test_the_build_report_in_a_browser(chromium: str, tmp_path: Path, build_data: BuildReport) -> None:
    write_build_report(tmp_path / "report.html", build_data)
    document = browse(chromium, tmp_path / "report.html", tmp_path / "profile", "--dump-dom")
    assert "<title>Preference pairs</title>" in document


@pytest.mark.slow
def test_a_phone_needs_no_sideways_scroll(chromium: str, tmp_path: Path, demo_data: DemoReport) -> None:
    write_demo_report(tmp_path / "report.html", demo_data)
    (tmp_path / "narrow.html").write_text(FRAMED.replace("WIDTH", "420"), encoding="utf-8")
    flags = ("--allow-file-access-from-files", "--virtual-time-budget=5000", "--dump-dom")
    document = browse(chromium, tmp_path / "narrow.html", tmp_path / "profile", *flags)
    measured = re.search(r"<title>(\d+) of (\d+); Does it understand time better", document)
    assert measured and int(measured[1]) <= int(measured[2])


@pytest.mark.slow
@pytest.mark.parametrize("width", [420, 1200])
def test_the_training_report_fits_a_phone_and_a_screen(
    chromium: str, tmp_path: Path, training_data: TrainingReport, width: int
) -> None:
    """The recipe has a line of 300 characters: it scrolls in its own box."""
    write_training_report(tmp_path / "report.html", training_data)
    (tmp_path / "framed.html").write_text(FRAMED.replace("WIDTH", str(width)), encoding="utf-8")
    flags = ("--allow-file-access-from-files", "--virtual-time-budget=5000", "--dump-dom")
    document = browse(chromium, tmp_path / "framed.html", tmp_path / "profile", *flags)
    measured = re.search(r"<title>(\d+) of (\d+); Training<", document)
    assert measured and int(measured[1]) <= int(measured[2]) <= width
