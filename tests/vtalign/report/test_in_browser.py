"""A real browser draws the reports, wide and narrow, without a script running and without a sideways scroll of the page."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from vtalign.report.build_report import BuildReport, write_build_report
from vtalign.report.comparison_report import ComparisonReport, write_comparison_report
from vtalign.report.demo_report import DemoReport, write_demo_report
from vtalign.report.eval_report import EvalReport, write_eval_report
from vtalign.report.training_report import TrainingReport, write_training_report

FLAGS = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update"
FRAMED = """<!doctype html><title>waiting</title>
<body style="margin:0"><iframe id="f" src="report.html" style="width:WIDTHpx;height:900px"></iframe>
<script>onload = () => { const page = document.getElementById("f").contentDocument;
document.title = page.documentElement.scrollWidth + " of " + page.documentElement.clientWidth + "; " + page.title; }</script>"""
# Counts what sticks out of the page (but for what scrolls in its own box) and bars' texts that lie over each other.
CHECKED = """<!doctype html><title>waiting</title>
<body style="margin:0"><iframe id="f" src="report.html" style="width:WIDTHpx;height:900px;border:0"></iframe>
<script>onload = () => { const page = document.getElementById("f").contentDocument, width = page.documentElement.clientWidth;
page.querySelectorAll("details").forEach(d => d.open = true);
const boxes = [...page.body.querySelectorAll("*")].filter(e => !e.closest(".scroll") && e.getClientRects().length);
const out = boxes.filter(e => e.getBoundingClientRect().right > width + 1 || e.getBoundingClientRect().left < -1);
const texts = [...page.querySelectorAll(".bar-label, .bar-value, .tile > div, dd, dt, h3, h4")];
const cut = texts.filter(e => e.scrollWidth > e.clientWidth + 1);
const broken = [...page.images].filter(i => !i.naturalWidth);
document.title = [page.documentElement.scrollWidth <= width, out.length, cut.length, page.images.length, broken.length].join(" "); }
</script>"""


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


def checked(chromium: str, folder: Path, width: int) -> list[str]:
    """Whether the page needs no sideways scroll, elements that stick out, texts cut off, pictures, and broken ones."""
    (folder / "checked.html").write_text(CHECKED.replace("WIDTH", str(width)), encoding="utf-8")
    size = f"--window-size={width + 100},1000"
    flags = ("--allow-file-access-from-files", "--virtual-time-budget=5000", "--dump-dom", size)
    document = browse(chromium, folder / "checked.html", folder / "profile", *flags)
    found = re.search(r"<title>(.*?)</title>", document)
    assert found, document[:500]
    return found[1].split()


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
def test_the_eval_report_fits_a_phone_and_a_screen(chromium: str, tmp_path: Path, eval_data: EvalReport, width: int) -> None:
    for long in ("w" * 200, *(f"aspect_{number}" for number in range(99))):
        eval_data["aspects"] = {**eval_data["aspects"], long: eval_data["aspects"]["order"]}
    write_eval_report(tmp_path / "report.html", eval_data)
    assert checked(chromium, tmp_path, width) == ["true", "0", "0", "16", "0"]


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
def test_the_comparison_report_fits_a_phone_and_a_screen(
    chromium: str, tmp_path: Path, comparison_data: ComparisonReport, width: int
) -> None:
    comparison_data["aspects"] = {**comparison_data["aspects"], "w" * 200: comparison_data["aspects"]["speed"]}
    write_comparison_report(tmp_path / "report.html", comparison_data)
    assert checked(chromium, tmp_path, width) == ["true", "0", "0", "16", "0"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["eval", "comparison"])
def test_a_browser_has_nothing_to_complain_about(
    chromium: str, tmp_path: Path, eval_data: EvalReport, comparison_data: ComparisonReport, kind: str
) -> None:
    """No message on the console: nothing was blocked, nothing was asked for, no script ran."""
    if kind == "eval":
        write_eval_report(tmp_path / "report.html", eval_data)
    else:
        write_comparison_report(tmp_path / "report.html", comparison_data)
    flags = ("--dump-dom", "--enable-logging=stderr", f"--user-data-dir={tmp_path / 'profile'}")
    command = [chromium, *FLAGS.split(), "--disable-sync", *flags, (tmp_path / "report.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in done.stderr
    title = {"eval": "How well does it understand time?", "comparison": "Is B better than A?"}[kind]
    assert f"<title>{title}</title>" in done.stdout
