"""Videos of four to eight real shots: real clips, cut to a few seconds, joined in an order drawn by a seed."""

import random
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vtalign.video.isolated import DecodeWorkers
from vtalign_data.synth.render import write_mp4

FPS = 8
SIZE = (160, 120)  # width, height

# Clips of two seconds and more whose pictures differ: one of the seven in which the same person signs, and one of the two that are each
# other's reverse. The rest of the folder is too short, damaged, nearly still or a test pattern.
DISTINCT = (
    *(f"askany_{name}.mp4" for name in ("baseball", "making_cake", "playing_guitar", "yoga")),
    *("bsldict_input.mp4", "decord_pancake.mkv", "imageio_cockatoo.mp4", "intel_asl_book.mkv", "internvideo_example1.mp4"),
    *("lf_4.mp4", "llavanext_demo.mp4", "mmaction_demo.mp4", "mmaction_structuralize.mp4", "rrpo_sample_video.mp4"),
    *("skv_bigbuckbunny.mp4", "skv_bikes.mp4", "skv_carphone.mp4", "tc_nasa_13013.mp4", "tempcompass_fwd.gif"),
)


def join(clips: Sequence[Path], out: Path, seconds: float = 3.0) -> Path:
    """The first `seconds` of each clip at 8 fps, one after the other, in one H.264 file."""
    with DecodeWorkers(1) as workers:
        write_mp4(out, np.concatenate([first_frames(clip, seconds, workers) for clip in clips]), fps=FPS)
    return out


def join_many(clips: Path, folder: Path, count: int, seconds: float = 2.0, seed: int = 0) -> list[Path]:
    """`count` files `joined-<n>-<k>.mp4` of k = 4 to 8 different ones of the `DISTINCT` clips."""
    draw = random.Random(seed)
    with DecodeWorkers(1) as workers:
        shots = {name: first_frames(clips / name, seconds, workers) for name in DISTINCT}
    paths = []
    for number in range(count):
        names = draw.sample(DISTINCT, 4 + number % 5)
        paths.append(folder / f"joined-{number:02d}-{len(names)}.mp4")
        write_mp4(paths[-1], np.concatenate([shots[name] for name in names]), fps=FPS)
    return paths


def first_frames(clip: Path, seconds: float, workers: DecodeWorkers) -> NDArray[np.uint8]:
    """uint8 (T, 120, 160, 3): what the clip shows every eighth of a second; frames that it does not have are not held."""
    info = workers.probe(clip)
    wanted = {int(np.searchsorted(info.times, tick / FPS)) for tick in range(int(min(seconds, info.duration) * FPS))}
    frames = workers.read(clip, sorted(index for index in wanted if index < info.frames))
    return np.stack([cv2.resize(frame, SIZE) for frame in frames])
