"""The command line as a user meets it: in a process of its own."""

import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from ...children import heed_ctrl_c


def vtalign(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vtalign", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=120, check=False)


def one_error_line(done: subprocess.CompletedProcess[str], code: int, *parts: str) -> None:
    assert done.returncode == code, done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("vtalign: error: "), done.stderr
    assert all(part in lines[0] for part in parts), lines[0]


def test_version() -> None:
    assert vtalign("--version").stdout == f"vtalign {version('vtalign')}\n"


@pytest.mark.parametrize(
    "command",
    [
        *([], ["data", "synth"], ["data", "build"], ["data", "inspect"], ["data", "export"], ["data", "import"]),
        *(["data", "text"], ["train"], ["eval", "run"], ["eval", "check"], ["eval", "compare"], ["demo"]),
    ],
)
def test_every_command_has_help(command: list[str]) -> None:
    done = vtalign(*command, "--help")
    assert done.returncode == 0 and done.stdout.startswith(f"Usage: vtalign {' '.join(command)}".rstrip())


def test_no_arguments_show_the_commands() -> None:
    done = vtalign()
    assert done.returncode == 0 and all(name in done.stdout for name in ("data", "train", "eval", "demo"))


def test_help_loads_nothing_heavy() -> None:
    code = """
import sys
from vtalign.cli.main import main
try:
    main(["eval", "run", "--help"])
except SystemExit:
    print("heavy:", sorted({"torch", "transformers", "numpy", "datasets", "cv2", "av", "pyarrow", "scipy"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.endswith("heavy: []\n")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["nonsense"], ["nonsense"]),
        (["data"], ["Missing command", "vtalign data --help"]),
        (["train"], ["CONFIG", "vtalign train --help"]),
        (["train", "nowhere.yaml"], ["nowhere.yaml: no such config file", "demo"]),
        (["data", "build", "--colour", "red"], ["--colour"]),
        (["data", "build", "videos=x", "model=y", "out=z", "sed=1"], ["sed", "unknown key"]),
        (["data", "build", "--videos", "x", "--out", "y"], ["model", "is required"]),
        (["data", "synth", "corpus", "--videos", "many"], ["--videos", "integer"]),
        (["data", "export", "pairs", "--videos", ".", "--out", "o", "--to", "csv"], ["to", "ms-swift", "csv"]),
        (["data", "export", "pairs", "--videos", ".", "--out", "o", "--to", "trl"], ["pairs: no such file or folder"]),
        (["data", "export", "pairs", "--videos", ".", "--out", "o", "--to", "trl", "--vdpo"], ["vdpo", "ms-swift"]),
        (["data", "import", "rows.json", "--videos", ".", "--out", "o", "--from", "rrpo"], ["rows.json: no such file"]),
        (["data", "import", "rows.json", "--videos", "v", "--out", "o", "--from", "rrpo"], ["v: no such folder"]),
        (["eval", "run", "--model", "m", "--data", "d", "--out", "o", "--control", "blindfold"], ["control", "blindfold"]),
        (["eval", "run", "--model", "m", "--data", "d", "--out", "o", "--fail-under", "60"], ["fail_under", "60"]),
        (["eval", "compare", "here", "there"], ["here"]),
        (["eval", "report", "here"], ["here", "no finished evaluation"]),
    ],
)
def test_bad_input_is_one_line_and_exit_2(arguments: list[str], parts: list[str], tmp_path: Path) -> None:
    one_error_line(vtalign(*arguments, cwd=tmp_path), 2, *parts)


def test_traceback_may_stand_anywhere(tmp_path: Path) -> None:
    for arguments in (["--traceback", "train", "nowhere.yaml"], ["train", "nowhere.yaml", "--traceback"]):
        done = vtalign(*arguments, cwd=tmp_path)
        assert done.returncode == 2 and "Traceback" in done.stderr and "ConfigError" in done.stderr


def test_synth_writes_a_corpus(tmp_path: Path) -> None:
    done = vtalign("data", "synth", "corpus", "--videos", "8", "--seed", "3", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "corpus").iterdir() if path.is_dir()} == {"train", "validation", "heldout"}


def test_a_folder_without_videos(tmp_path: Path, tiny_checkpoint: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = vtalign("data", "build", "--videos", "empty", "--model", str(tiny_checkpoint), "--out", "out", cwd=tmp_path)
    one_error_line(done, 2, "empty")


def test_a_missing_model(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a.mp4").write_bytes(b"no video")
    done = vtalign("data", "build", "--videos", "videos", "--model", "nowhere/at/all", "--out", "out", cwd=tmp_path)
    one_error_line(done, 2, "nowhere/at/all")


@pytest.mark.slow
def test_accelerate_launches_it() -> None:
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "1", "-m", "vtalign", "--version"]
    done = subprocess.run(launcher, capture_output=True, text=True, timeout=240, check=True)
    assert f"vtalign {version('vtalign')}" in done.stdout


def test_ctrl_c_is_one_line_and_130(tmp_path: Path) -> None:
    out = tmp_path / "corpus"
    process = subprocess.Popen(
        [sys.executable, "-m", "vtalign", "data", "synth", str(out), "--videos", "5000"],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_ctrl_c,
    )
    assert process.stderr is not None
    while "video" not in process.stderr.read(64):  # its progress bar: it is at work
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in said
    assert said.splitlines()[-1] == "vtalign: interrupted: run the same command again and it goes on from here"
