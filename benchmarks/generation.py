"""Answers to several questions about one video, questions per second: vtalign against one-at-a-time `generate` of transformers.

    python benchmarks/generation.py [--quick] [--questions 1 6 18] [--visual-tokens 512 2048] [--new-tokens 16] [--repeats 3]

Greedy. Both sides start from decoded frames and end with text; prompts must be the same token by token, and in float32 the answers the
same too, or the benchmark fails. In bfloat16, where sums depend on shapes, the rate of equal answers is reported. Beside every ratio
stands the counted limit (`flops.py`); decoding one token reads all weights, which it does not count: a batch can beat it.
"""

import argparse
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import flops
from checkpoint import build_checkpoint, make_questions
from large import all_cores
from measure import machine, median, run_process, table, write_results
from peers import our_environment
from transformers import AutoConfig, AutoProcessor

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Line:
    """One line of the table. `ratio` is questions per second, ours over one at a time; `limit` is what was counted."""

    visual: int
    questions: int
    ours: float
    plain: float
    ratio: float
    limit: float
    equal: int
    new_tokens: int
    ours_mb: float
    plain_mb: float


def main() -> None:
    options = parse_options()
    checkpoint = build_checkpoint("tiny" if options.quick else options.size, options.out / "checkpoints")
    costs = flops.costs_of(AutoConfig.from_pretrained(checkpoint))
    questions = make_questions(AutoProcessor.from_pretrained(checkpoint).tokenizer, max(options.questions))
    lines, measured, agreement = [], [], []
    for visual in options.visual_tokens:
        plain = one_side(options, checkpoint, visual, "plain", questions, options.dtype)
        for count in options.questions:
            ours = one_side(options, checkpoint, visual, "shared", questions[:count], options.dtype)
            lines.append(line_of(ours, plain, costs, visual, count, options))
            measured.append({"visual": visual, "questions": count, "shared": ours["seconds"], "plain": plain["seconds"]})
        print(report(lines[-len(options.questions) :]), flush=True)
        if options.dtype == "float32" and not options.no_bf16:
            sides = [one_side(options, checkpoint, visual, side, questions, "bfloat16") for side in ("shared", "plain")]
            agreement.append(agreed(*(side["answers"] for side in sides), visual))
    text = "\n\n".join([heading(options), report(lines), "\n".join(f"- {line}" for line in agreement)])
    data = {
        "machine": machine(options.threads, options.device),
        "dtype": options.dtype,
        "clock": options.clock,
        "lines": [asdict(line) for line in lines],
        "bfloat16": agreement,
        "measured": measured,
    }
    write_results(options.out, "generation", data, text)
    print("\n" + text)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, nargs="+", default=None, help="questions a video (default 1 6 18)")
    parser.add_argument("--visual-tokens", type=int, nargs="+", default=None, help="multiples of 64 (default 512 2048)")
    parser.add_argument("--new-tokens", type=int, default=16, help="at most so many tokens an answer")
    parser.add_argument("--repeats", type=int, default=3, help="timed calls of ours, after one to warm up")
    parser.add_argument("--quick", action="store_true", help="a tiny model and short prompts, under two minutes: does it run?")
    parser.add_argument("--size", choices=("tiny", "medium"), default="medium")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--no-bf16", action="store_true", help="leave the bfloat16 agreement out")
    parser.add_argument("--threads", type=int, default=all_cores(), help="default: all cores")
    parser.add_argument(
        "--clock", choices=("wall", "cpu"), default="wall", help="cpu: process time, for a machine that is not idle"
    )
    parser.add_argument("--out", type=Path, default=HERE.parent / "runs" / "benchmarks", help="JSON, table and checkpoints")
    options = parser.parse_args()
    options.questions = options.questions or ([1, 6] if options.quick else [1, 6, 18])
    options.visual_tokens = options.visual_tokens or ([256] if options.quick else [512, 2048])
    if min(options.repeats, options.new_tokens, *options.questions) < 1:
        parser.error("--repeats, --new-tokens and --questions must be at least 1")
    return options


def one_side(
    options: argparse.Namespace, checkpoint: Path, visual: int, side: str, questions: tuple[str, ...], dtype: str
) -> dict[str, Any]:
    print(f"  {side}, {dtype}, {visual} visual tokens, {len(questions)} questions", file=sys.stderr, flush=True)
    job = {
        "checkpoint": str(checkpoint.resolve()),
        "side": side,
        "questions": questions,
        "visual": visual,
        "new_tokens": options.new_tokens,
        "repeats": options.repeats,
        "device": options.device,
        "dtype": dtype,
        "threads": options.threads,
    }
    return run_process(sys.executable, HERE / "generation_sides.py", job, our_environment(options.threads))


def line_of(
    ours: dict[str, Any], plain: dict[str, Any], costs: flops.Costs, visual: int, count: int, options: argparse.Namespace
) -> Line:
    """Raises SystemExit where prompts differ or, in float32, answers or their numbers of tokens."""
    if ours["prompt_ids"] != plain["prompt_ids"][:count]:
        raise SystemExit(f"{visual} visual tokens: the two sides do not read the same tokens")
    pairs = list(zip(ours["answers"], plain["answers"], strict=False))
    equal = sum(one == other for one, other in pairs)
    if options.dtype == "float32" and equal < count:
        differing = next((one, other) for one, other in pairs if one != other)
        raise SystemExit(f"{visual} visual tokens, {count} questions: {count - equal} answers differ, the first: {differing}")
    seconds, one = median(ours["seconds"], options.clock), median(plain["seconds"], options.clock)
    prompts = [len(ids) for ids in ours["prompt_ids"]]
    new = max(tokens for _, tokens in ours["answers"])
    macs = [
        flops.generation(costs, visual, common_prefix(ours["prompt_ids"]), prompts, new, shared=shared)
        for shared in (False, True)
    ]
    return Line(
        visual=visual,
        questions=count,
        ours=count / seconds,
        plain=1 / one,
        ratio=count * one / seconds,
        limit=macs[0] / macs[1],
        equal=equal,
        new_tokens=sum(tokens for _, tokens in ours["answers"]),
        ours_mb=ours["peak_mb"],
        plain_mb=plain["peak_mb"],
    )


def common_prefix(prompts: list[list[int]]) -> int:
    """Tokens that all prompts start with."""
    shortest = min(map(len, prompts))
    differing = (at for at in range(shortest) if any(prompt[at] != prompts[0][at] for prompt in prompts))
    return next(differing, shortest)


def agreed(shared: list[tuple[str, int]], plain: list[tuple[str, int]], visual: int) -> str:
    equal = sum(one == other for one, other in zip(shared, plain, strict=True))
    return (
        f"bfloat16, {visual} visual tokens: {equal} of {len(plain)} answers are those of one at a time ({equal / len(plain):.0%})"
    )


def heading(options: argparse.Namespace) -> str:
    host = machine(options.threads, options.device)
    return (
        f"Questions about one video, {options.dtype}, {options.device}, {host['threads']} thread(s) of {host['processor']}; InternVL, "
        f"random weights, greedy, up to {options.new_tokens} new tokens an answer. Medians ({options.clock} clock).\n"
        "`ratio / limit`: questions per second, ours over one at a time, and the ratio of counted multiply-accumulates."
    )


def report(lines: list[Line]) -> str:
    heads = (
        "visual",
        "questions",
        "questions/s ours",
        "one at a time",
        "ratio / limit",
        "same answers",
        "new tokens",
        "MB ours",
        "MB theirs",
    )
    return table(
        heads,
        [
            (
                line.visual,
                line.questions,
                f"{line.ours:.3g}",
                f"{line.plain:.3g}",
                f"{line.ratio:.2f} / {line.limit:.2f} ({line.ratio / line.limit:.0%})",
                f"{line.equal} of {line.questions}",
                line.new_tokens,
                f"{line.ours_mb:,.0f}",
                f"{line.plain_mb:,.0f}",
            )
            for line in lines
        ],
    )


if __name__ == "__main__":
    main()
