"""A build over real videos and damaged copies of them: it ends, every file is accounted for, unharmed videos keep their rows, and of
every damaged file that is accepted the frames shown are those of a full in-order decode."""

import json
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pyarrow.parquet as pq
from faults_mutations import MUTATIONS, mutated

REAL_CLIPS = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "clips"

_BUILD_S = 3600.0  # after which a build is taken to hang
_DECODE_S = 60.0  # for one file
_SAME = 4.0  # mean absolute difference (0..255) under which two decoders show the same picture

# Batches of one keep the arithmetic of a row apart from its neighbours, which the damaged files change.
_SETTINGS: dict[str, Any] = {
    "device": "cpu",
    "clips": {"method": "uniform", "seconds": 2.0, "max_clips": 64},
    "frames": {"max_frames": 16},
    "captions": {"prompt": "describe the video .", "max_new_tokens": 8},
    "response_prompts": ["describe the video ."],
    "perturbations": [{"name": "shuffle", "strength": 2}],
    "filters": {"max_length_ratio": 99, "max_length_ratio_question": 99},
    "balance": {"max_accuracy": 1},
    "model_batch_size": 1,
    "limits": {"timeout_s": _DECODE_S},
}


@dataclass(frozen=True)
class Mutant:
    video: str  # path in the corpus
    kind: str
    original: str


@dataclass(frozen=True)
class Accepted:
    """A damaged file that the build reads. `wrong`: frames unlike a full decode, or why there is none; `altered`: of the frames shown,
    how many are unlike the original's of that number."""

    mutant: Mutant
    shown: int
    wrong: str
    altered: int


def build_mutants(folder: Path, videos: Path, count: int, seed: int) -> int:
    """Returns the exit code."""
    originals = _copy_originals(folder, videos)
    mutants = _write_mutants(folder, originals, count, seed)
    print(
        f"{len(originals)} videos of {videos if videos.is_dir() else 'the synthetic corpus'}, {count} damaged copies", flush=True
    )
    complaints = [f"{name}: {said}" for name in ("plain", "mixed") for said in _build(folder, name)]
    complaints += _unlike(_rows(folder, "plain"), _rows(folder, "mixed"))
    outcomes = _outcomes(folder / "mixed-run")
    complaints += [f"{mutant.video}: neither kept nor lost" for mutant in mutants if mutant.video not in outcomes]
    accepted = list(_looked_at(folder, [mutant for mutant in mutants if outcomes.get(mutant.video) == "accepted"]))
    complaints += [f"{one.mutant.video}: {one.wrong}" for one in accepted if one.wrong]
    _print_table(mutants, outcomes, accepted)
    print(f"{len(_rows(folder, 'plain')['pairs'])} pairs of unharmed videos compared; {len(complaints)} complaints", flush=True)
    for said in complaints:
        print(f"WRONG {said}", flush=True)
    return 1 if complaints else 0


def _copy_originals(folder: Path, videos: Path) -> list[str]:
    """Real videos of `videos`, or synthetic ones where there are none, in both corpora; their paths there."""
    if videos.is_dir():
        found = sorted(path for path in videos.iterdir() if path.is_file() and path.suffix != ".json")
    else:
        from vtalign_data.synth import write_corpus

        write_corpus(folder / "synthetic", videos=16, seed=0)
        found = sorted((folder / "synthetic" / "train" / "videos").iterdir())
    for corpus in ("plain", "mixed"):
        (folder / corpus / "original").mkdir(parents=True)
        for path in found:
            shutil.copy(path, folder / corpus / "original")
    return [f"original/{path.name}" for path in found]


def _write_mutants(folder: Path, originals: list[str], count: int, seed: int) -> list[Mutant]:
    (folder / "mixed" / "mutant").mkdir()
    mutants = []
    for number in range(count):
        draw = random.Random(f"{seed}|{number}")
        kind = list(MUTATIONS)[number % len(MUTATIONS)]
        original, other = draw.sample(originals, 2)
        contents = [(folder / "mixed" / name).read_bytes() for name in (original, other)]
        name = f"mutant/{number:04d}-{kind.replace(' ', '-').replace(chr(39), '')}-{Path(original).name}"
        (folder / "mixed" / name).write_bytes(mutated(kind, *contents, draw))
        mutants.append(Mutant(name, kind, original))
    return mutants


def _build(folder: Path, name: str) -> list[str]:
    """Build one of the corpora by command; what is wrong with how it ended."""
    from vtalign.assets import tiny_checkpoint

    out = folder / f"{name}-run"
    config = folder / f"{name}.json"
    config.write_text(json.dumps({**_SETTINGS, "videos": str(folder / name), "model": str(tiny_checkpoint()), "out": str(out)}))
    begun = time.monotonic()
    command = [sys.executable, "-m", "vtalign", "data", "build", str(config)]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=_BUILD_S)
    except subprocess.TimeoutExpired:
        return [f"not done after {_BUILD_S:.0f} s"]
    print(f"{name}: exit {ended.returncode} after {time.monotonic() - begun:.0f} s", flush=True)
    named = ended.returncode == 1 and "lost" in ended.stderr.splitlines()[-1]
    return [] if ended.returncode == 0 or named else [f"exit {ended.returncode}: {ended.stderr[-1500:]}"]


def _rows(folder: Path, name: str) -> dict[str, list[str]]:
    """What a build made of the originals: rows of stages about whole videos, losses, and pairs."""
    run = folder / f"{name}-run"
    found: dict[str, list[str]] = {"pairs": [], "lost": []}
    for part in (*sorted(run.glob("stages/0[1-5]*/part-*.parquet")), *sorted(run.glob("pairs/*.parquet"))):
        kind = "pairs" if part.parent.name == "pairs" else part.parent.name
        rows = [row for row in pq.read_table(part).to_pylist() if row["video"].startswith("original/")]
        found.setdefault(kind, []).extend(json.dumps(row, sort_keys=True) for row in rows)
    for file in run.glob("stages/*/rejected.jsonl"):
        lost = (line for line in file.read_text().splitlines() if json.loads(line)["id"].startswith("original/"))
        found["lost"] += (f"{file.parent.name}: {line}" for line in lost)
    return {kind: sorted(rows) for kind, rows in found.items()}


def _unlike(plain: dict[str, list[str]], mixed: dict[str, list[str]]) -> list[str]:
    complaints = [] if plain["pairs"] else ["unharmed videos gave no pairs: nothing was compared"]
    for kind in sorted({*plain, *mixed}):
        one, other = set(plain.get(kind, [])), set(mixed.get(kind, []))
        complaints += [f"{kind} of unharmed videos: {len(one ^ other)} rows differ" for _ in range(one != other)]
    return complaints


def _outcomes(run: Path) -> dict[str, str]:
    """By path: `accepted` where the video has a view, else the outcome and the reason of its loss."""
    outcomes = {}
    for stage in ("01-scan", "02-ingest", "03-views"):
        for line in (run / "stages" / stage / "rejected.jsonl").read_text().splitlines():
            lost = json.loads(line)
            outcomes[lost["id"]] = lost["reason"]
    for part in (run / "stages" / "03-views").glob("part-*.parquet"):
        outcomes |= dict.fromkeys(pq.read_table(part, columns=["video"]).column(0).to_pylist(), "accepted")
    return outcomes


def _looked_at(folder: Path, mutants: list[Mutant]) -> Iterator[Accepted]:
    """Every accepted mutant, its frames read as the build reads them and held against full decodes."""
    from vtalign.errors import VideoError
    from vtalign.video.isolated import DecodeLimits, DecodeWorkers, ReadRequest
    from vtalign.video.view import VideoView

    corpus = folder / "mixed"
    views: dict[str, list[int]] = {}
    for part in (folder / "mixed-run" / "stages" / "03-views").glob("part-*.parquet"):
        for row in pq.read_table(part).to_pylist():
            slots = VideoView.from_json(row["view"]).slots
            views[row["video"]] = sorted({slot.frame for slot in slots if slot.frame is not None})
    size = (64, 64)
    needed: dict[str, set[int]] = {}
    for mutant in mutants:
        needed.setdefault(mutant.original, set()).update(views[mutant.video])
    with ProcessPoolExecutor(2) as pool, DecodeWorkers(2, DecodeLimits(timeout_s=_DECODE_S)) as workers:
        full = {name: pool.submit(decode_in_order, corpus / name, sorted(wanted)) for name, wanted in needed.items()}
        right = [pool.submit(decode_in_order, corpus / mutant.video, views[mutant.video]) for mutant in mutants]
        given = workers.map_read(ReadRequest(corpus / mutant.video, views[mutant.video], size) for mutant in mutants)
        for mutant, frames, reference in zip(mutants, given, right, strict=True):
            indices = views[mutant.video]
            if isinstance(frames, VideoError):
                yield Accepted(mutant, 0, f"read by ingest, then {frames.reason}: {frames.detail}", 0)
                continue
            expected, original = reference.result(), full[mutant.original].result()
            off = [i for i, frame in zip(indices, frames, strict=True) if not _alike(frame, expected.get(i))]
            altered = [i for i, frame in zip(indices, frames, strict=True) if not _alike(frame, original.get(i))]
            said = f"frames {off[:5]} of {len(indices)} are not those of a full decode" if off else ""
            yield Accepted(mutant, len(indices), said, len(altered))


def decode_in_order(path: Path, wanted: list[int]) -> dict[int, np.ndarray]:
    """Frames by number, uint8 (64, 64, 3): one plain pass with PyAV, nothing checked; it ends where decoding does."""
    frames: dict[int, np.ndarray] = {}
    keep = set(wanted)
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            stream = container.streams.best("video")
            stream.codec_context.thread_count = 1
            for number, frame in enumerate(container.decode(stream)):
                if number in keep:
                    turned = np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90) % 4)
                    frames[number] = cv2.resize(np.ascontiguousarray(turned), (64, 64), interpolation=cv2.INTER_AREA)
                if number >= wanted[-1]:
                    break
    except (av.error.FFmpegError, ValueError):
        pass
    return frames


def _alike(frame: np.ndarray, expected: np.ndarray | None) -> bool:
    return expected is not None and float(np.abs(frame.astype(np.int16) - expected.astype(np.int16)).mean()) < _SAME


def _print_table(mutants: list[Mutant], outcomes: dict[str, str], accepted: list[Accepted]) -> None:
    """Kinds of damage by what became of the files."""
    counts = Counter((mutant.kind, outcomes.get(mutant.video, "nothing")) for mutant in mutants)
    altered = Counter(one.mutant.kind for one in accepted if one.altered)
    wrong = Counter(one.mutant.kind for one in accepted if one.wrong)
    reasons = sorted({reason for _, reason in counts} - {"accepted"})
    header = ["damage", "files", "accepted", "(other pictures)", "(wrong frames)", *reasons]
    rows = []
    for kind in MUTATIONS:
        lost = [counts[kind, reason] for reason in reasons]
        rows.append([kind, sum(lost) + counts[kind, "accepted"], counts[kind, "accepted"], altered[kind], wrong[kind], *lost])
    rows.append(["all", *(sum(column) for column in list(zip(*rows, strict=True))[1:])])
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
    print(
        "other pictures: damage that the decoder conceals without a word, or that moved frames; wrong frames: unlike a full decode"
    )
