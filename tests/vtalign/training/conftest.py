"""A small world to train on: real mp4 files, pairs made from their captions, a recipe with one step of each kind."""

import json
import os
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vtalign.artifacts import read_jsonl
from vtalign.config import dump_config, validate_config
from vtalign.models.encode import encode_responses
from vtalign.models.load import load_video_lm
from vtalign.models.video_lm import VideoLM
from vtalign.preference.pair import AppliedPerturbation, PreferencePair, Scores, group_id_of
from vtalign.preference.schema import write_pairs
from vtalign.training.config import TrainConfig
from vtalign.training.data import PairExample, Side, TokenArray
from vtalign.video.frames import FrameStore
from vtalign.video.limits import DecodeLimits
from vtalign.video.probe import probe
from vtalign.video.sample import FramePolicy, sample

TINY = FramePolicy(fps=2.0, max_frames=64, max_pixels=48 * 48, multiple=16)
STRENGTHS = (2, 4, 8)


@pytest.fixture(scope="session")
def train_split(small_corpus: Path) -> Path:
    return small_corpus / "train"


@pytest.fixture(scope="session")
def example_pairs(train_split: Path) -> list[PreferencePair]:
    """Three pairs for each of eight videos of several clips: the caption against re-ordered captions, one for each strength."""
    pairs = []
    rows = [row for row in read_jsonl(train_split / "captions.jsonl") if len(row["clips"]) > 1][:8]
    for row in rows:
        info = probe(train_split / row["video"], DecodeLimits())
        view = sample(info, TINY)
        clips = row["clips"]
        for number, strength in enumerate(STRENGTHS):
            told = clips[::-1] if number == 0 else [*clips[1:], clips[0], *clips[:number]]
            rejected = " then ".join(told)
            pairs.append(
                PreferencePair(
                    pair_id=f"pair-{info.video_id[-6:]}-{strength}",
                    group_id=group_id_of(view.view_id, "Describe the video.", row["caption"]),
                    video_id=info.video_id,
                    video=row["video"],
                    view_id=view.view_id,
                    view=view,
                    prompt="Describe the video.",
                    chosen=row["caption"],
                    rejected=rejected,
                    source="self",
                    perturbation=AppliedPerturbation("shuffle", strength, 0, {}),
                    scores=Scores(-40.0 - number, -50.0 + 3 * number, 20, 22),
                    fingerprint="model-of-somebody-else",
                )
            )
    assert len(pairs) >= 18
    return pairs


@pytest.fixture(scope="session")
def pairs_folder(example_pairs: list[PreferencePair], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    write_pairs(folder, example_pairs)
    return folder


@pytest.fixture(scope="session")
def sft_file(train_split: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve rows about videos and one of text alone."""
    rows = list(read_jsonl(train_split / "sft.jsonl"))[:12]
    turns = [{"from": "human", "value": "What comes after one?"}, {"from": "gpt", "value": "two"}]
    rows.append({"id": "text", "conversations": turns})
    file = tmp_path_factory.mktemp("sft") / "sft.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.fixture(scope="session")
def frame_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("frames")


@pytest.fixture
def recipe(
    tiny_checkpoint: Path, train_split: Path, pairs_folder: Path, sft_file: Path, frame_cache: Path
) -> Callable[..., TrainConfig]:
    """`recipe(output, dpo={..}, sft={..}, order=("dpo", "sft"), **top)`: a short dpo stage and a short sft stage."""

    def make(
        output: Path, *, dpo: Any = None, sft: Any = None, order: tuple[str, ...] = ("dpo", "sft"), **top: Any
    ) -> TrainConfig:
        dpo_data = {"data": str(pairs_folder), "learning_rate": 1e-3, "pairs_per_step": 6}
        sft_data = {"data": str(sft_file), "learning_rate": 1e-3, "rows_per_step": 6}
        stages = {
            "dpo": {"kind": "dpo", "name": "dpo", **dpo_data, **(dpo or {})},
            "sft": {"kind": "sft", "name": "sft", **sft_data, **(sft or {})},
        }
        data = {
            "model": str(tiny_checkpoint),
            "output": str(output),
            "videos": str(train_split),
            "frame_cache": str(frame_cache),
            "device": "cpu",
            "threads": 1,
            "stages": [stages[name] for name in order],
            **top,
        }
        return validate_config(TrainConfig, data, "test")

    return make


@pytest.fixture
def launch(project_root: Path, tmp_path: Path) -> Callable[[str, TrainConfig], subprocess.Popen[str]]:
    """(name of a config in `configs/accelerate`, recipe) -> two CPU processes in a group of their own, output as text."""

    def start(kind: str, config: TrainConfig) -> subprocess.Popen[str]:
        file = tmp_path / f"{config.output.name}.yaml"
        file.write_text(dump_config(config))
        launcher = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch"]
        command = [*launcher, "--config_file", str(project_root / f"configs/accelerate/{kind}.yaml"), "-m", "vtalign"]
        return subprocess.Popen(
            [*command, "train", str(file)],
            cwd=project_root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )

    return start


@pytest.fixture
def lm(tiny_checkpoint: Path) -> VideoLM:
    """Loaded anew for every test: training changes it."""
    return load_video_lm(tiny_checkpoint, device="cpu")


@pytest.fixture(scope="session")
def store(train_split: Path, example_pairs: list[PreferencePair], frame_cache: Path) -> Iterator[FrameStore]:
    with FrameStore(train_split, {pair.video_id: pair.video for pair in example_pairs}, TINY, cache=frame_cache) as frames:
        yield frames


@pytest.fixture
def examples(lm: VideoLM, example_pairs: list[PreferencePair]) -> list[PairExample]:
    """Sorted by pair id, so that neighbours share a video; with made-up reference log-probs."""
    pairs = sorted(example_pairs, key=lambda pair: pair.pair_id)
    return [PairExample(pair, pair.clean_prompt, pair.chosen, pair.rejected, reference=made_up(lm, pair)) for pair in pairs]


def made_up(lm: VideoLM, pair: PreferencePair) -> dict[Side, TokenArray]:
    """Token log-probs of no model: about -4 a token, a little different for every response."""
    sides: dict[Side, TokenArray] = {}
    names: tuple[Side, Side] = ("chosen", "rejected")
    texts = [pair.chosen, pair.rejected]
    for name, text, ids in zip(names, texts, encode_responses(lm.parts, texts), strict=True):
        sides[name] = np.full(len(ids), -4.0 - zlib.crc32(text.encode()) % 100 / 100, np.float32)
    return {**sides, "perturbed": sides["chosen"] - np.float32(0.1)}
