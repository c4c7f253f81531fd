"""build -> train -> eval on real videos, singly and joined, broken files among them. What the tiny model says there is nonsense; the
machinery must not care."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vtalign.errors import VideoError
from vtalign.preference.schema import read_pairs
from vtalign.video.isolated import DecodeLimits, DecodeWorkers
from vtalign_data.synth.render import write_mp4

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

SIZE, FRAMES, FPS = (96, 64), 20, 8


@pytest.fixture(scope="module")
def real_videos(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clips as they are, files of four and of eight clips joined, and three files that are no good."""
    folder = tmp_path_factory.mktemp("real")
    paths = sorted(path for path in (shared_data / "clips").iterdir() if path.suffix != ".json")
    pieces = []
    with DecodeWorkers(2, DecodeLimits()) as workers:
        for path in paths:
            (folder / path.name).write_bytes(path.read_bytes())
            try:
                info = workers.probe(path)
                indices = np.unique(np.linspace(0, info.frames - 1, FRAMES).astype(int)).tolist()
                pieces.append(workers.read(path, indices, SIZE))
            except VideoError:
                continue
    for count in (4, 8):
        for start in range(0, len(pieces) - count + 1, count):
            write_mp4(folder / f"joined-{count}-{start:02d}.mp4", np.concatenate(pieces[start : start + count]), fps=FPS)
    whole = (folder / "skv_bikes.mp4").read_bytes()
    (folder / "broken-truncated.mp4").write_bytes(whole[: len(whole) // 2])
    (folder / "broken-text.mp4").write_text("no video at all")
    (folder / "broken-empty.mp4").touch()
    return folder


def vtalign(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vtalign", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600)


def test_build_train_and_eval_run_on_real_videos(real_videos: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    build = ("data", "build", "--videos", real_videos, "--model", tiny_checkpoint, "--out", tmp_path / "build", "device=cpu")
    # Random weights say anything at any length; the filters are not what this test is about.
    loose = (
        "captions.max_new_tokens=8",
        "filters.max_length_ratio=50",
        "filters.max_length_ratio_drop=50",
        "balance.max_accuracy=1",
    )
    built = vtalign(*build, *loose)
    assert built.returncode == 0, built.stderr[-2000:]
    rejected = [
        json.loads(line)
        for path in (tmp_path / "build/stages").glob("*/rejected.jsonl")
        for line in path.read_text().splitlines()
    ]
    failed = {row["id"] for row in rejected if row["outcome"] == "failed"}
    assert {"broken-truncated.mp4", "broken-text.mp4", "broken-empty.mp4", "decord_corrupted.mp4"} <= failed
    pairs = read_pairs(tmp_path / "build" / "pairs")
    assert {pair.video for pair in pairs} & {path.name for path in real_videos.glob("joined-*.mp4")}

    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"model: {tiny_checkpoint}\noutput: {tmp_path / 'train'}\nvideos: {real_videos}\ndevice: cpu\nstages:\n"
        f"  - {{kind: dpo, name: dpo, data: {tmp_path / 'build/pairs'}, learning_rate: 1.0e-4, max_steps: 3, pairs_per_step: 4}}\n"
    )
    trained = vtalign("train", recipe)
    assert trained.returncode == 0, trained.stderr[-2000:]

    questions = tmp_path / "questions"
    questions.mkdir()
    (questions / "videos").mkdir()
    rows = []
    for number, path in enumerate(sorted(real_videos.iterdir())):
        (questions / "videos" / path.name).write_bytes(path.read_bytes())
        for aspect in ("order", "static"):
            rows.append(
                {
                    "question_id": f"{aspect}-{number}",
                    "video": f"videos/{path.name}",
                    "family": path.stem,
                    "aspect": aspect,
                    "group": None,
                    "events": 1,
                    "template": "real",
                    "question": "which comes first : this or that ?" if aspect == "order" else "is there a person , yes or no ?",
                    "options": ["this", "that"] if aspect == "order" else ["yes", "no"],
                    "answer": "this" if aspect == "order" else "yes",
                }
            )
    (questions / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = tmp_path / "eval"
    evaluated = vtalign("eval", "run", "--model", tmp_path / "train/model", "--data", questions, "--out", out, "device=cpu")
    assert evaluated.returncode == 0, evaluated.stderr[-2000:]
    counts = json.loads((out / "results.json").read_text())["vtalign"]["counts"]
    assert counts["questions"] == len(rows)
    assert counts["decode_failed"] == 2 * 4  # both questions of each broken file, scored wrong, none dropped
