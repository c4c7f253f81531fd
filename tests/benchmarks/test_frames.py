"""Every way in which a build reads frames, held against a full in-order decode of every real clip."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ..children import child_environment

REFUSED = {"decord_corrupted.mp4": "corrupt"}


@pytest.fixture
def environment() -> dict[str, str]:
    return child_environment()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_not_one_wrong_frame(project_root: Path, shared_data: Path, environment: dict[str, str], tmp_path: Path) -> None:
    command = [sys.executable, project_root / "benchmarks" / "frames.py", shared_data / "clips", "--out", tmp_path]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=850, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr[-3000:]
    found = json.loads((tmp_path / "frames.json").read_text())
    clips = [path.name for path in (shared_data / "clips").iterdir() if path.suffix != ".json"]
    assert {name: reason for name, reason, _ in found["refused"]} == REFUSED
    assert len(found["rows"]) == len(clips) - len(REFUSED) + 1
    assert not any(found["wrong"].values())
    read = found["read"]
    # every frame by a pass, and by seeks or a second pass; three views through the store and three from its cache
    assert read["pass"] == read["seek"] + read.get("forward", 0) and 3 * read["pass"] == read["view"] == read["cache"]
    assert read["seek"] > 0.9 * read["pass"] and read["shots"] > 0


def test_a_wrong_frame_is_found(project_root: Path, environment: dict[str, str], tmp_path: Path) -> None:
    """The comparison itself: neighbours that changed places are wrong, at the video's own size and at another one."""
    code = f"""
import numpy as np
from pathlib import Path
from frames import Reference, decode_in_order
from vtalign_data.synth.render import write_mp4
path = Path({str(tmp_path / "clip.mp4")!r})
write_mp4(path, np.random.default_rng(0).integers(0, 256, (6, 32, 48, 3), dtype=np.uint8), fps=8)
for size in (None, (24, 16)):
    frames = list(decode_in_order(path, size))
    print(Reference(path).wrong(frames, range(6), size), Reference(path).wrong(frames, [0, 1, 2, 4, 3, 5], size))
"""
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project_root / "benchmarks",
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.stdout == "0 2\n0 2\n", ended.stderr
