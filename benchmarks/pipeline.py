"""Preference data from videos, videos per second end to end: `vtalign data build` against TEMPLE's way of working.

    python benchmarks/pipeline.py [--quick] [--clips FOLDER] [--videos 4] [--inputs video caption] [--repeats 3]

TEMPLE's grid on both sides: a clean response and drop, reverse and shuffle at 2, 4, 8 and 16, so 13 a video. `video`: each is written
from the frames of the (perturbed) video; `caption`: each is merged from descriptions of the clips, as TEMPLE released it. The peer
(`pipeline_sides.temple`) gets the very requests of our build, one at a time, a decode for each where it shows frames. The same
model, frames, float32 and temperature; the model hardly ever ends its turn, so that texts have as many tokens, within 5 %. Ours is
the whole build, hashes, decode check, filters and, beyond what TEMPLE does, scores, which are also taken off.
"""

import argparse
import shutil
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import av
from checkpoint import build_endless_checkpoint
from large import all_cores
from measure import machine, run_process, table, write_results
from peers import our_environment
from pipeline_requests import VideoWork, read_works
from pipeline_videos import Plan, write_videos

from vtalign_data.config import BuildConfig

HERE = Path(__file__).parent
SCORING = "10-score"
"""The stage of a build that has no counterpart in TEMPLE."""

GRID = 13
"""Responses a video: clean, and three perturbations at four strengths."""
TEMPERATURE = 0.7
"""Of the responses, TEMPLE's. Greedy, random weights may say the same of every order, and no pair would be left to score."""

Json = dict[str, Any]
Input = Literal["video", "caption"]


@dataclass(frozen=True)
class Line:
    """One input type: what both sides did, and the seconds of every repeat. `frames`: of all videos together."""

    input: str
    videos: int
    frames: int
    seconds: dict[str, list[float]]
    did: dict[str, Json]


def main() -> None:
    options = read_options()
    folder = options.out / "pipeline"
    checkpoint = build_endless_checkpoint(options.size, options.out / "checkpoints")
    plan = Plan(options.videos, options.shots, options.seconds, options.height)
    videos = write_videos(folder / "videos", plan, options.clips)
    print(heading(options, plan, videos), flush=True)
    lines, measured = [], []
    for kind in options.inputs:
        config = build_config(kind, videos[0].parent, checkpoint, options)
        sides: dict[str, list[Json]] = {"ours": [], "temple": []}
        for number in range(options.repeats):
            sides["ours"].append(one_side("ours", config, [], checkpoint, number, options))
            works = read_works(Path(config["out"]), videos[0].parent, BuildConfig(**config))
            sides["temple"].append(one_side("temple", config, works, checkpoint, number, options))
            check_same(sides["ours"][-1], sides["temple"][-1], works, kind)
        measured.append({"input": kind, **sides})
        lines.append(line_of(kind, videos, sides, options.clock))
    text = report(lines)
    print(text)
    data = {"heading": heading(options, plan, videos), "machine": machine(options.threads, "cpu"), "measured": measured}
    write_results(options.out, "pipeline", data, f"{heading(options, plan, videos)}\n\n{text}")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--quick", action="store_true", help="one short video: shows that everything runs; the ratio means nothing"
    )
    parser.add_argument("--clips", type=Path, help="folder of real clips to join (default: shots of the synthetic corpus)")
    parser.add_argument("--videos", type=int)
    parser.add_argument(
        "--shots", type=int, default=21, help="of a video; odd: of an even number, a shuffle of two halves is their reversal"
    )
    parser.add_argument("--seconds", type=float, help="of a shot")
    parser.add_argument("--height", type=int, choices=(360, 720), default=360, help="of the videos, pixels")
    parser.add_argument("--size", choices=("tiny", "medium"), default="tiny", help="of the model")
    parser.add_argument("--inputs", nargs="+", choices=("video", "caption"), default=["video", "caption"])
    parser.add_argument("--fps", type=float, default=0.5, help="frames of a view per second; 0.5: two a shot, as TEMPLE takes")
    parser.add_argument("--caption-tokens", type=int)
    parser.add_argument("--response-tokens", type=int)
    parser.add_argument("--repeats", type=int)
    parser.add_argument("--threads", type=int, default=all_cores())
    parser.add_argument(
        "--clock",
        choices=("wall", "cpu"),
        default="wall",
        help="cpu: process time, for a machine that is not idle; of one thread",
    )
    parser.add_argument(
        "--out", type=Path, default=HERE.parent / "runs" / "benchmarks", help="JSON, table, checkpoints and videos"
    )
    options = parser.parse_args()
    usual = (
        {"videos": 1, "seconds": 1.0, "caption_tokens": 8, "response_tokens": 8, "repeats": 1}
        if options.quick
        else {"videos": 4, "seconds": 4.0, "caption_tokens": 48, "response_tokens": 128, "repeats": 3}
    )
    for name, value in usual.items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    if options.quick:
        options.fps = 2.0
    if min(options.videos, options.repeats, options.threads, options.caption_tokens, options.response_tokens) < 1:
        parser.error("--videos, --repeats, --threads and the numbers of tokens must be at least 1")
    if options.clock == "cpu" and options.threads > 1:  # threads that wait for each other spin, the more the smaller the work
        parser.error("--clock cpu needs --threads 1")
    if not 16 <= options.shots <= 32:
        parser.error("--shots must be 16 (the largest strength) to 32 (TEMPLE takes no more)")
    return options


def build_config(kind: Input, videos: Path, checkpoint: Path, options: argparse.Namespace) -> Json:
    """TEMPLE's grid as a build. Filters on lengths are open, so that random weights leave pairs to score."""
    grid = [{"name": name, "strength": r} for name in ("drop", "reverse", "shuffle") for r in (2, 4, 8, 16)]
    return {
        "videos": str(videos.resolve()),
        "model": str(checkpoint.resolve()),
        "out": str((options.out / "pipeline" / f"build-{kind}").resolve()),
        "device": "cpu",
        "frames": {"fps": options.fps},
        "clips": {"groups": {"threshold": 1.0}, "shots": {"max_count": 1000}},  # real clips have cuts of their own
        "perturbations": [{**spec, **({"groups": "temple"} if spec["name"] != "drop" else {})} for spec in grid],
        "sources": ["self"],
        "captions": {"max_new_tokens": options.caption_tokens},
        "responses": {"input": kind, "max_new_tokens": options.response_tokens, "temperature": TEMPERATURE},
        "composer": {"method": "model", "max_new_tokens": options.response_tokens, "temperature": TEMPERATURE},
        "filters": {"max_length_ratio": 100, "max_length_ratio_drop": 100},
        "balance": {"max_accuracy": 1},
        "workers": options.threads,
    }


def one_side(side: str, config: Json, works: list[VideoWork], checkpoint: Path, number: int, options: argparse.Namespace) -> Json:
    print(f"  {config['responses']['input']}, {side}, repeat {number + 1}", file=sys.stderr, flush=True)
    out = Path(config["out"])
    if side == "ours" and out.exists():
        shutil.rmtree(out)
    job = {
        "side": side,
        "config": config,
        "works": [work.to_dict() for work in works],
        "out": str(out.with_name(f"{out.name}-temple.jsonl")),
        "checkpoint": str(checkpoint.resolve()),
        "caption_tokens": options.caption_tokens,
        "response_tokens": options.response_tokens,
        "temperature": TEMPERATURE,
        "threads": options.threads,
    }
    return run_process(sys.executable, HERE / "pipeline_sides.py", job, our_environment(options.threads))


def check_same(ours: Json, temple: Json, works: list[VideoWork], kind: Input) -> None:
    """Raises SystemExit where the sides did not do the same work: other numbers of responses, or of tokens.

    A text that is sampled may end its turn early, on either side, and the prompts that merge descriptions differ with these: the
    readers of the two sides resize differently.
    """
    fewest = min(len(work.responses) for work in works)
    if fewest < GRID - 1:  # a shuffle may be drawn that another one of the grid shows too; it is then asked by neither side
        raise SystemExit(f"{kind}: {fewest} responses to a video, not {GRID}: parts of the grid show the same there")
    made = writing(ours)
    tolerances = {"model_calls": 0.0, "generated_tokens": 0.05, "prompt_tokens": 0.05 if kind == "caption" else 0.0}
    for name, tolerance in tolerances.items():
        mine, theirs = made[name], temple["usage"][name]
        if abs(mine - theirs) > tolerance * theirs:
            raise SystemExit(f"{kind}: {name} {mine} in ours, {theirs} in TEMPLE's way")


def writing(ours: Json) -> Json:
    """Usage of a build but for its scores."""
    used = [usage for stage, usage in ours["usages"].items() if stage != SCORING]
    return {name: sum(usage[name] for usage in used) for name in used[0]}


def line_of(kind: Input, videos: list[Path], sides: dict[str, list[Json]], clock: str) -> Line:
    """Of ours both with and without the stage that scores."""
    ours, temple = sides["ours"], sides["temple"]
    frames = 0
    for path in videos:
        with av.open(str(path)) as container:
            frames += container.streams.video[0].frames
    seconds = {
        "ours": [made["seconds"][clock] - made["stages"][SCORING][clock] for made in ours],
        "ours, with scores": [made["seconds"][clock] for made in ours],
        "temple": [made["seconds"][clock] for made in temple],
    }
    whole = {name: sum(usage[name] for usage in ours[0]["usages"].values()) for name in writing(ours[0])}
    did = {"ours": writing(ours[0]), "ours, with scores": {**whole, **ours[0]}, "temple": {**temple[0]["usage"], **temple[0]}}
    return Line(kind, len(videos), frames, seconds, did)


def heading(options: argparse.Namespace, plan: Plan, videos: list[Path]) -> str:
    host = machine(options.threads, "cpu")
    return (
        f"{plan.videos} videos of {plan.shots * plan.seconds:.0f} s ({plan.shots} shots, {plan.height}p, 25 fps, "
        f"{'clips joined' if options.clips else 'synthetic'}); InternVL {options.size}, random weights, float32; {options.fps:g} "
        f"frames/s; {options.response_tokens} tokens a response, {options.caption_tokens} a description; {host['threads']} thread(s) of "
        f"{host['processor']}, load {host['load']:.1f}; {options.repeats} alternating repeats, medians ({options.clock} clock), least and "
        "most in brackets."
    )


def report(lines: list[Line]) -> str:
    heads = (
        "input", "side", "s a video", "ratio", "responses and captions", "tokens read", "tokens written", "forward passes",
        "passes over a video", "frames passed", "frames encoded",
    )  # fmt: skip
    rows = []
    for line in lines:
        for side in ("temple", "ours", "ours, with scores"):
            took, did = line.seconds[side], line.did[side]
            against = [theirs / mine for theirs, mine in zip(line.seconds["temple"], took, strict=True)]
            passes = did["decodes"] / line.videos
            rows.append(
                (
                    line.input,
                    side,
                    f"{statistics.median(took) / line.videos:.2f}",
                    f"{statistics.median(against):.1f} ({min(against):.1f}-{max(against):.1f})",
                    did["model_calls"],
                    f"{did['prompt_tokens']:,}",
                    f"{did['generated_tokens']:,}",
                    f"{did['forwards']:,}" if "forwards" in did else "",
                    f"{passes:.1f}",
                    f"{passes * line.frames:,.0f}",
                    f"{did['frames_encoded']:,}" if "frames_encoded" in did else "",
                )
            )
    return table(heads, rows)


if __name__ == "__main__":
    main()
