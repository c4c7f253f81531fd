"""Builds of every small family, with both backends and both runners, over 12 videos joined from real clips: pairs by perturbation.

    python -m benchmarks.acceptance ../shared/data/clips

Run it from the checkout: videos, checkpoints and settings are those of the tests (`tests/vtalign_data/acceptance.py`). Backends: the
weights at hand write, or `transformers serve` on the same checkpoint does. Runners: local, and a Ray cluster of its own. Rows of the
runners must be equal to the byte. `--work FOLDER` keeps the builds, and what is done there is not done again.

The exit code is 1 where a build leaves a perturbation without a pair, or two runners differ.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from benchmarks.measure import table, write_results
from tests.chat_servers import transformers_serve
from tests.joined_clips import join_many
from tests.vtalign.models.family_checkpoints import write_checkpoint
from tests.vtalign_data.acceptance import FAMILIES, VIDEOS, acceptance_config, pairs_by_perturbation
from tests.vtalign_data.run_files import files_of
from vtalign.errors import VTAlignError
from vtalign.video.registry import PERTURBATIONS
from vtalign_data.build import run_build

BACKENDS, RUNNERS = ("transformers", "server"), ("local", "ray")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("clips", type=Path, help="folder of the real clips")
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=FAMILIES)
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, default=BACKENDS)
    parser.add_argument("--runners", nargs="+", choices=RUNNERS, default=RUNNERS)
    parser.add_argument("--seed", type=int, default=0, help="which clips are joined")
    parser.add_argument("--work", type=Path, help="folder for videos, checkpoints and builds; default: one that is removed")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks"))
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="vtalign-acceptance-") as folder:
        work = (given.work or Path(folder)).resolve()
        videos = joined_videos(given.clips, work / f"videos-{given.seed}", given.seed)
        results = []
        for family in given.families:
            checkpoint = checkpoint_of(family, work / "checkpoints")
            for backend in given.backends:
                with writer(backend, checkpoint) as server:
                    results += builds(family, backend, given.runners, videos, checkpoint, server, work / "runs")
        return report(results, given.out)


def joined_videos(clips: Path, folder: Path, seed: int) -> Path:
    if not folder.is_dir():
        partial = folder.with_name(f"{folder.name}.partial")
        partial.mkdir(parents=True, exist_ok=True)
        join_many(clips, partial, VIDEOS, seed=seed)
        partial.rename(folder)
    return folder


def checkpoint_of(family: str, folder: Path) -> Path:
    if not (folder / family).is_dir():
        write_checkpoint(family, folder / f"{family}.partial").rename(folder / family)
    return folder / family


@contextmanager
def writer(backend: str, checkpoint: Path) -> Iterator[str | None]:
    """The URL of a server on the checkpoint, None for the weights at hand."""
    if backend == "transformers":
        yield None
        return
    with (
        tempfile.TemporaryDirectory(prefix="vtalign-serve-") as folder,
        transformers_serve(checkpoint, Path(folder) / "log.txt") as url,
    ):
        yield url


def builds(
    family: str, backend: str, runners: list[str], videos: Path, checkpoint: Path, server: str | None, runs: Path
) -> list[dict[str, Any]]:
    """One result per runner; `equal` compares with the first."""
    results: list[dict[str, Any]] = []
    for runner in runners:
        out = runs / f"{family}-{backend}-{runner}"
        started = time.monotonic()
        result: dict[str, Any] = {"family": family, "backend": backend, "runner": runner}
        try:
            summary = run_build(acceptance_config(family, videos, checkpoint, out, server=server, runner=runner))
        except VTAlignError as error:
            results.append({**result, "failed": str(error)})
        else:
            result |= {"pairs": summary.pairs, "by_perturbation": pairs_by_perturbation(summary)}
            first = runs / f"{family}-{backend}-{runners[0]}"
            results.append({**result, "seconds": time.monotonic() - started, "equal": files_of(out) == files_of(first)})
        print(line(results[-1]), file=sys.stderr, flush=True)
    return results


def line(result: dict[str, Any]) -> str:
    name = f"{result['family']}, {result['backend']}, {result['runner']}"
    if "failed" in result:
        return f"{name}: failed: {result['failed']}"
    missing = [perturbation for perturbation, count in result["by_perturbation"].items() if not count]
    said = f"none of {', '.join(missing)}" if missing else "every perturbation has one"
    return f"{name}: {result['pairs']} pairs, {said}; rows {'equal' if result['equal'] else 'DIFFER'}; {result['seconds']:.0f} s"


def report(results: list[dict[str, Any]], out: Path) -> int:
    heads = ("family", "backend", "runner", "pairs", *PERTURBATIONS, "rows of the runners", "s")
    rows = [
        (*(result[name] for name in ("family", "backend", "runner")), result["failed"])
        if "failed" in result
        else (
            *(result[name] for name in ("family", "backend", "runner", "pairs")),
            *result["by_perturbation"].values(),
            "equal" if result["equal"] else "differ",
            f"{result['seconds']:.0f}",
        )
        for result in results
    ]
    text = table(heads, rows)
    write_results(out, "acceptance", {"results": results}, text)
    print(text)
    return (
        0
        if all("failed" not in result and all(result["by_perturbation"].values()) and result["equal"] for result in results)
        else 1
    )


if __name__ == "__main__":
    sys.exit(main())
