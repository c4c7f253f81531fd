"""What the demo's report shows: numbers of the arms, training curves, and a few pairs as pictures."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vtalign.artifacts import read_jsonl
from vtalign.cli.build_evidence import length_states, stage_outcomes
from vtalign.cli.demo.arms import Arm
from vtalign.cli.demo.loop import Seed
from vtalign.preference.pair import PreferencePair
from vtalign.preference.schema import read_pairs
from vtalign.report.bars import Measure
from vtalign.report.demo_report import CURVES, METRICS, ArmResult, Curves, DemoReport
from vtalign.report.pairs import PairCard, StripData
from vtalign.video.frames import FrameStore
from vtalign.video.sample import FramePolicy
from vtalign.video.view import VideoView
from vtalign_data.synth.render import FRAMES_PER_CLIP

DESCRIPTIONS = {
    "base": "the tiny base model, as shipped",
    "sft_only": "SFT alone; its text is as unreliable about time as the base's",
    "sft_only_matched": "SFT alone, for as many steps as the longest arm",
    "chosen_sft_then_sft": "SFT on the chosen responses (no rejected ones) instead of DPO, then the same SFT",
    "dpo_then_sft": "curriculum DPO, then the same SFT",
    "sft_then_dpo": "the same SFT first, then curriculum DPO",
    "rrpo_then_sft": "RRPO (the phrases that differ, and a token-wise KL) instead of DPO, then the same SFT",
    "dpo_random_labels_then_sft": "control: chosen and rejected swapped in half of the pairs",
    "dpo_hard_to_easy_then_sft": "control: the curriculum the other way round",
}
_SHOWN_PAIRS = 4
# Frames as large as they were rendered, for people; the model sees them smaller.
_PICTURES = FramePolicy(fps=2.0, max_frames=64, max_pixels=96 * 96, multiple=16)


def demo_report(summary: Mapping[str, Any], seeds: Sequence[Seed], arms: Sequence[Arm]) -> DemoReport:
    """The data of `report.html`. Numbers come from all seeds, curves and pictures from the first."""
    first = seeds[0]
    build = json.loads((first.pairs / "summary.json").read_text(encoding="utf-8"))
    return {
        "seconds": summary["seconds"],
        "seed": ", ".join(str(seed.number) for seed in seeds),
        "arms": {arm.name: _arm(arm, seeds) for arm in arms},
        "gain": summary["gain"],
        "training": {arm.name: _curves(arm, first.training(arm.name)) for arm in arms if arm.recipe is not None},
        "pairs": _cards(first),
        "lengths": length_states(build),
        "build": stage_outcomes(build),
        "setup": [
            ("videos", "rendered, written as H.264, decoded again; 2 s a clip, one to four clips"),
            ("held-out", "other videos and other question templates than anything trained on"),
            ("pairs", "the model's own descriptions of clips, put together in the right and in a perturbed order"),
            (
                "why the base is weak at when",
                "the temporal words of its training text about several clips are coin flips, on purpose",
            ),
        ],
    }


def _arm(arm: Arm, seeds: Sequence[Seed]) -> ArmResult:
    runs = [seed.results(arm.name)["vtalign"] for seed in seeds]
    chance = runs[0]["chance"]
    return {
        "description": DESCRIPTIONS[arm.name],
        "steps": arm.steps,
        "metrics": {name: _measure([run["metrics"][name] for run in runs], chance.get(name)) for name in METRICS},
        "aspects": {
            name: _measure([run["aspects"][name]["accuracy"] for run in runs], chance.get(name))
            for name in runs[0]["aspects"]
            if name != "static"
        },
    }


def _measure(entries: Sequence[Mapping[str, Any]], chance: float | None) -> Measure:
    """Mean over seeds; the interval too, which is that of one seed and so too wide rather than too narrow. None if a seed has none."""
    count = len(entries)
    bounds = [entry["ci95"] for entry in entries if entry["ci95"] is not None]
    low, high = (sum(pair[side] for pair in bounds) / count if len(bounds) == count else None for side in (0, 1))
    return {
        "value": sum(e["value"] for e in entries) / count,
        "low": low,
        "high": high,
        "n": sum(e["n"] for e in entries),
        "chance": chance,
    }


def _curves(arm: Arm, folder: Path) -> Curves:
    """Logged points on one axis of steps over all stages, and where stages of recipe and curriculum begin and end."""
    assert arm.recipe is not None
    offset, points = 0, []
    spans: list[tuple[str, float, float]] = []
    rows = list(read_jsonl(folder / "history.jsonl"))
    for stage in arm.recipe.stages:
        own = [row for row in rows if row["stage"] == stage.name]
        for row in own:
            step = offset + row["step"]
            points.append({"step": step, **{name: row[name] for name in CURVES if name in row}})
            level = row.get("curriculum/stage")
            label = stage.name if level is None else f"{stage.name} {level:.0f}"
            if spans and spans[-1][0] == label:
                spans[-1] = (label, spans[-1][1], step)
            else:
                spans.append((label, step, step))
        offset += max((row["step"] for row in own), default=0)
    return {"points": points, "stages": spans}


def _cards(seed: Seed) -> list[PairCard]:
    """The first pairs, one of each perturbation (video-level responses) and one of each kind of question."""
    pairs = read_pairs(seed.pairs / "pairs")
    chosen: dict[str, PreferencePair] = {}
    shown = [(len(pair.view), pair.pair_id, pair) for pair in pairs if pair.view is not None]
    for slots, _, pair in sorted(shown, key=lambda found: found[:2]):
        if pair.perturbation is not None and pair.perturbed_view is not None and slots >= 12:
            name = pair.perturbation.label if pair.kind == "response" else pair.kind
            chosen.setdefault(name, pair)
    videos = {video_id: video for pair in chosen.values() for video_id, video in pair.paths.items()}
    with FrameStore(seed.corpus / "train" / "videos", videos, _PICTURES) as store:
        return [_card(pair, store) for pair in list(chosen.values())[:_SHOWN_PAIRS]]


def _card(pair: PreferencePair, store: FrameStore) -> PairCard:
    assert pair.perturbation is not None and pair.view is not None and pair.perturbed_view is not None
    card: PairCard = {
        "title": f"{pair.video}: {pair.perturbation.label}",
        "prompt": pair.prompt,
        "chosen": pair.chosen,
        "rejected": pair.rejected,
        "clean": _strip(pair.view, store),
        "perturbed": _strip(pair.perturbed_view, store),
    }
    if pair.scores is not None:
        card["note"] = (
            f"log p (chosen) {pair.scores.logp_chosen:.1f}, log p (rejected) {pair.scores.logp_rejected:.1f} before training"
        )
    return card


def _strip(view: VideoView, store: FrameStore) -> StripData:
    segments = [0 if slot.frame is None else slot.frame // FRAMES_PER_CLIP for slot in view.slots]
    return {"frames": store.frames(view), "captions": [f"{slot.time:g} s" for slot in view.slots], "segments": segments}
