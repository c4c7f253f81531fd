"""Preference training, pairs per second and peak memory: vtalign against TRL's DPOTrainer and against its own separate rows.

    python benchmarks/training.py [--quick] [--k 1 3 12] [--visual-tokens 512 2048] [--response 64 256] [--repeats 3]

One family for all sides, InternVL, whose video is its frames: the prompt is the same token by token, and losses must be equal within
1e-4 before the first and after the first optimiser step, or the benchmark fails. A step is everything from fetching a batch to the end of
the optimiser's update; every step has a video of its own; vision and projector are frozen; no side recomputes activations.

TRL and separate rows take K pairs at the cost of K single ones: one is timed, and TRL at K = 3 is checked once against that. Beside every
ratio stands the counted limit (`flops.py`): the ratio of multiply-accumulates, what the ratio would be if nothing else took time.
"""

import argparse
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import flops
import large
from checkpoint import build_checkpoint, make_texts
from measure import machine, median, run_process, table, write_results
from peers import TRL, our_environment, peer_environment, trl_python
from transformers import AutoConfig, AutoProcessor

HERE = Path(__file__).parent
TOLERANCE = 1e-4
# A learning rate at which one step moves the loss visibly: equal losses after it say that gradients are equal.
SETTINGS = {"learning_rate": 2e-6, "beta": 0.1, "max_grad_norm": 1.0}
CHECKED_K = 3


@dataclass(frozen=True)
class Line:
    """One line of the table. Ratios are pairs per second, ours over theirs; `limit` is what was counted."""

    visual: int
    response: int
    k: int
    ours: float
    ours_with_reference: float
    trl: float
    separate: float
    ratio_trl: float
    limit_trl: float
    limit_trl_as_run: float
    ratio_trl_with_reference: float
    limit_trl_with_reference: float
    ratio_separate: float
    limit_separate: float
    ours_mb: float
    trl_mb: float
    separate_mb: float
    optimiser_share: float


def main() -> None:
    options = parse_options()
    if options.size == "7b":
        large.run(options)
        return
    size = "tiny" if options.quick else options.size
    checkpoint = build_checkpoint(size, options.out / "checkpoints")
    costs = flops.costs_of(AutoConfig.from_pretrained(checkpoint))
    lines, measured, checks = [], [], []
    for visual in options.visual_tokens:
        for response in options.response:
            found = measure_sides(options, checkpoint, visual, response, check=not checks)
            measured.append({"visual": visual, "response": response, **found})
            checks += compare(found, options.clock, visual, response)
            lines += [line_of(found, costs, visual, response, k, options.clock, options.device) for k in options.k]
            print(report(lines[-len(options.k) :]), flush=True)
    text = "\n\n".join([heading(options, costs, checkpoint), report(lines), "\n".join(f"- {check}" for check in checks)])
    data = {
        "machine": machine(options.threads, options.device),
        "trl": TRL,
        "size": size,
        "dtype": options.dtype,
        "clock": options.clock,
        "lines": [asdict(line) for line in lines],
        "checks": checks,
        "measured": [without_ids(found) for found in measured],
    }
    write_results(options.out, "training", data, text)
    print("\n" + text)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--k", type=int, nargs="+", default=None, help="rejected responses of a group (default 1 3 12)")
    parser.add_argument("--visual-tokens", type=int, nargs="+", default=None, help="multiples of 64 (default 512 2048)")
    parser.add_argument("--response", type=int, nargs="+", default=None, help="tokens of a response (default 64 256)")
    parser.add_argument("--repeats", type=int, default=3, help="timed steps of a measurement, after one to warm up")
    parser.add_argument("--quick", action="store_true", help="a tiny model and one short case, under two minutes: does it run?")
    parser.add_argument("--size", choices=("tiny", "medium", "7b"), default="medium", help="7b: on a GPU, ours alone")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--threads", type=int, default=large.all_cores(), help="default: all cores")
    parser.add_argument(
        "--clock", choices=("wall", "cpu"), default="wall", help="cpu: process time, for a machine that is not idle"
    )
    parser.add_argument("--out", type=Path, default=HERE.parent / "runs" / "benchmarks", help="JSON, table and checkpoints")
    options = parser.parse_args()
    options.k = options.k or ([1, 3] if options.quick else [1, 3, 12])
    usual = [256] if options.quick else [2048, 8192, 16384] if options.size == "7b" else [512, 2048]
    options.visual_tokens = options.visual_tokens or usual
    options.response = options.response or ([32] if options.quick else [64, 256])
    if options.repeats < 1 or min(options.k) < 1:
        parser.error("--repeats and --k must be at least 1")
    return options


def measure_sides(options: argparse.Namespace, checkpoint: Path, visual: int, response: int, *, check: bool) -> dict[str, Any]:
    """Results of the measuring processes: `trl` and `separate` (one pair), `shared` by K, and `trl_checked` where asked."""
    tokenizer = AutoProcessor.from_pretrained(checkpoint).tokenizer
    texts = make_texts(tokenizer, 1 + max(CHECKED_K, *options.k), response)
    common = {
        **SETTINGS,
        "checkpoint": str(checkpoint.resolve()),
        "visual": visual,
        "question": texts.question,
        "responses": texts.responses,
        "device": options.device,
        "dtype": options.dtype,
        "threads": options.threads,
        "steps": 1 + options.repeats,
    }

    def trl(k: int, steps: int) -> dict[str, Any]:
        print(f"  trl, {visual} visual, {response} tokens, K={k}", file=sys.stderr, flush=True)
        job = {**common, "k": k, "steps": steps}
        return run_process(trl_python(), HERE / "training_trl.py", job, peer_environment(options.threads))

    def ours(side: str, k: int) -> dict[str, Any]:
        print(f"  {side}, {visual} visual, {response} tokens, K={k}", file=sys.stderr, flush=True)
        job = {**common, "k": k, "side": side}
        return run_process(sys.executable, HERE / "training_ours.py", job, our_environment(options.threads))

    found: dict[str, Any] = {"trl": trl(1, common["steps"]), "shared": {k: ours("shared", k) for k in options.k}}
    found["separate"] = ours("separate", 1)
    # two steps are enough: the losses before and after one update, and one time
    found["trl_checked"] = trl(CHECKED_K, 2) if check and CHECKED_K in options.k else None
    return found


def compare(found: dict[str, Any], clock: str, visual: int, response: int) -> list[str]:
    """What was found equal. Raises SystemExit where token ids or losses differ."""
    case = f"{visual} visual tokens, responses of {response}"
    sides = [("TRL", 1, found["trl"], found["shared"].get(1)), ("separate rows", 1, found["separate"], found["shared"].get(1))]
    if found["trl_checked"]:
        sides.append(("TRL", CHECKED_K, found["trl_checked"], found["shared"][CHECKED_K]))
    said = []
    for name, k, theirs, ours in sides:
        if ours is None:
            continue
        if theirs["token_ids"] != ours["token_ids"]:
            raise SystemExit(f"{case}: {name} and vtalign do not read the same tokens")
        losses = list(zip(theirs["losses"], ours["losses"], strict=False))[:2]
        worst = max(abs(one - other) for one, other in losses)
        if len(losses) < 2 or not worst <= TOLERANCE:
            raise SystemExit(f"{case}, K={k}: losses of {name} and vtalign differ: {losses}")
        logps = max(abs(one - other) for one, other in zip(theirs["logps"][0], ours["logps"][0], strict=True))
        said.append(
            f"{case}, K={k}: same token ids as {name}; loss {losses[0][1]:.6f} at step 0 and {losses[1][1]:.6f} after one step, "
            f"differing by at most {worst:.1e}; log-probs of whole responses ({ours['logps'][0][0]:.1f}) by {logps:.1e}"
        )
    if found["trl_checked"]:
        extrapolated = of_pairs(found["trl"], CHECKED_K, clock)
        took = median(found["trl_checked"]["step"], clock)
        said.append(
            f"{case}: TRL at K={CHECKED_K} took {took:.2f} s, K single pairs {extrapolated:.2f} s ({took / extrapolated:.2f})"
        )
    return said


def of_pairs(side: dict[str, Any], k: int, clock: str) -> float:
    """Seconds of an optimiser step over `k` independent pairs, from that of one."""
    optimiser = median(side["optimiser"], clock)
    return k * (median(side["step"], clock) - optimiser) + optimiser


def line_of(found: dict[str, Any], costs: flops.Costs, visual: int, response: int, k: int, clock: str, device: str) -> Line:
    ours = found["shared"][k]
    prompt = ours["prompt_tokens"]
    seconds = median(ours["step"], clock)
    with_reference = seconds + median(ours["reference"], clock)
    trl, separate = of_pairs(found["trl"], k, clock), of_pairs(found["separate"], k, clock)
    macs = {
        side: flops.training_step(costs, visual, prompt, response, k, side)
        for side in ("shared", "shared+reference", "separate", "trl", "trl-full-head")
    }
    as_run = "trl-full-head" if device == "cpu" else "trl"
    return Line(
        visual=visual,
        response=response,
        k=k,
        ours=k / seconds,
        ours_with_reference=k / with_reference,
        trl=k / trl,
        separate=k / separate,
        ratio_trl=trl / seconds,
        limit_trl=macs["trl"] / macs["shared"],
        limit_trl_as_run=macs[as_run] / macs["shared"],
        ratio_trl_with_reference=trl / with_reference,
        limit_trl_with_reference=macs["trl"] / macs["shared+reference"],
        ratio_separate=separate / seconds,
        limit_separate=macs["separate"] / macs["shared"],
        ours_mb=ours["peak_mb"],
        trl_mb=found["trl"]["peak_mb"],
        separate_mb=found["separate"]["peak_mb"],
        optimiser_share=median(ours["optimiser"], clock) / seconds,
    )


def heading(options: argparse.Namespace, costs: flops.Costs, checkpoint: Path) -> str:
    host = machine(options.threads, options.device)
    parameters = (checkpoint / "model.safetensors").stat().st_size / 4e6
    shares = ", ".join(f"{flops.vision_to_language(costs, visual):.2f} at {visual}" for visual in options.visual_tokens)
    return (
        f"Preference training, {options.dtype}, {options.device}, {host['threads']} thread(s) of {host['processor']}; InternVL, "
        f"{parameters:.0f} M parameters, random weights; TRL {TRL}. Medians of {options.repeats} steps ({options.clock} clock).\n"
        f"Vision costs {shares} visual tokens of what the language model does, forward, per visual token (Qwen2.5-VL-7B: 0.40 at "
        "512, 0.39 at 2048).\n"
        "`ratio / limit`: pairs per second, ours over theirs, and the ratio of counted multiply-accumulates; `limit as TRL runs` "
        "counts too that TRL's head, without Triton (on a CPU), runs at every position. Memory of theirs: one pair."
    )


def report(lines: list[Line]) -> str:
    heads = (
        "visual",
        "response",
        "K",
        "pairs/s ours",
        "with reference",
        "TRL",
        "separate",
        "over TRL / limit",
        "limit as TRL runs",
        "with reference / limit",
        "over separate / limit",
        "peak MB ours",
        "TRL",
        "separate",
        "optimiser",
    )
    return table(
        heads,
        [
            (
                line.visual,
                line.response,
                line.k,
                *(f"{value:.3g}" for value in (line.ours, line.ours_with_reference, line.trl, line.separate)),
                reached(line.ratio_trl, line.limit_trl),
                f"{line.limit_trl_as_run:.2f} ({line.ratio_trl / line.limit_trl_as_run:.0%})",
                reached(line.ratio_trl_with_reference, line.limit_trl_with_reference),
                reached(line.ratio_separate, line.limit_separate),
                *(f"{value:,.0f}" for value in (line.ours_mb, line.trl_mb, line.separate_mb)),
                f"{line.optimiser_share:.0%}",
            )
            for line in lines
        ],
    )


def reached(ratio: float, limit: float) -> str:
    return f"{ratio:.2f} / {limit:.2f} ({ratio / limit:.0%})"


def without_ids(found: dict[str, Any]) -> dict[str, Any]:
    """Results for the JSON: token ids are compared, not kept."""
    return {
        name: without_ids(value) if isinstance(value, dict) else value for name, value in found.items() if name != "token_ids"
    }


if __name__ == "__main__":
    main()
