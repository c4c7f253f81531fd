"""Preference training at Qwen2.5-VL-7B's size on a GPU: `training.py --size 7b --device cuda`. Ours alone, shared against separate rows.

Random weights, bf16, LoRA, gradient checkpointing. NOT YET RUN ON A GPU; `--size 7b --quick` runs the same code on a CPU with a tiny model
of the same family.

Utilisation is the FLOPs that training this model needs (forward, and backward through the language model to its adapters: another
forward's worth, because frozen weights need no gradient; recomputation not counted) over the measured rate of a matrix product.
"""

import argparse
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import flops
from measure import machine, median, run_process, table, write_results
from peers import our_environment

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Line:
    """One line of the table. `ratio` is pairs per second, shared over separate rows; `limit` is what was counted. `tokens` are those
    that pass through the language model, per second; `utilisation` is of the measured rate of a matrix product."""

    visual: int
    response: int
    k: int
    side: str
    pairs: float
    tokens: float
    peak_mb: float
    utilisation: float
    ratio: float
    limit: float


def all_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(options: argparse.Namespace) -> None:
    lines: list[Line] = []
    measured = []
    for visual in options.visual_tokens:
        for response in options.response:
            separate = _side(options, "separate", visual, response, 1)
            measured.append(separate)
            lines.append(_line(separate, separate, visual, response, 1, options.clock))
            for k in options.k:
                shared = _side(options, "shared", visual, response, k)
                measured.append(shared)
                lines.append(_line(shared, separate, visual, response, k, options.clock))
            print(_report(lines), flush=True)
    rate = measured[0]["matmul_rate"]
    heading = (
        f"Preference training, Qwen2.5-VL {'tiny' if options.quick else '7B'}, random weights, bf16, LoRA, gradient checkpointing, "
        f"{options.device}; a matrix product runs at {rate / 1e12:.3g} TFLOP/s. Medians of {options.repeats} steps. The first step and the "
        "reference pass are left out."
    )
    text = f"{heading}\n\n{_report(lines)}"
    data = {
        "machine": machine(options.threads, options.device),
        "lines": [asdict(line) for line in lines],
        "measured": [{name: value for name, value in side.items() if name != "token_ids"} for side in measured],
    }
    write_results(options.out, "training-large", data, text)
    print("\n" + text)


def _side(options: argparse.Namespace, side: str, visual: int, response: int, k: int) -> dict[str, Any]:
    print(f"  {side}, {visual} visual, {response} tokens, K={k}", file=sys.stderr, flush=True)
    job = {
        "shape": "tiny" if options.quick else "7b",
        "side": side,
        "visual": visual,
        "response": response,
        "k": k,
        "steps": 1 + options.repeats,
        "device": options.device,
        "dtype": "bfloat16",
        "lora": True,
        "gradient_checkpointing": True,
        "threads": options.threads,
        "learning_rate": 1e-5,
        "beta": 0.1,
        "max_grad_norm": 1.0,
    }
    return run_process(sys.executable, HERE / "large_side.py", job, our_environment(options.threads))


def _line(side: dict[str, Any], separate: dict[str, Any], visual: int, response: int, k: int, clock: str) -> Line:
    costs, prompt = flops.Costs(**side["costs"]), side["prompt_tokens"]
    shared = side["side"] == "shared"
    row = flops.shared_row(prompt, [response] * (k + 1 if shared else 1))
    rows = 1 if shared else 2
    macs = visual * costs.visual_token + 2 * rows * flops.language_model(costs, row)
    alone = visual * costs.visual_token + 4 * flops.language_model(costs, flops.shared_row(prompt, [response]))
    seconds, apart = median(side["step"], clock), k * median(separate["step"], clock)
    return Line(
        visual=visual,
        response=response,
        k=k,
        side=side["side"],
        pairs=k / seconds,
        tokens=rows * row[0] / seconds,
        peak_mb=side["peak_mb"],
        utilisation=2 * macs / seconds / side["matmul_rate"],
        ratio=apart / seconds,
        limit=k * alone / macs,
    )


def _report(lines: list[Line]) -> str:
    heads = ("visual", "response", "K", "rows", "pairs/s", "tokens/s", "peak MB", "utilisation", "over separate / limit")
    return table(
        heads,
        [
            (
                line.visual,
                line.response,
                line.k,
                line.side,
                f"{line.pairs:.3g}",
                f"{line.tokens:,.0f}",
                f"{line.peak_mb:,.0f}",
                f"{line.utilisation:.0%}",
                f"{line.ratio:.2f} / {line.limit:.2f} ({line.ratio / line.limit:.0%})",
            )
            for line in lines
        ],
    )
