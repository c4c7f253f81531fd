"""A small but complete report: every part of it is there once."""

import numpy as np
import pytest

from vtalign.report.bars import Measure
from vtalign.report.build_report import BuildReport
from vtalign.report.comparison_report import ComparisonReport, Paired
from vtalign.report.conflict_groups import GroupCard, Sibling, TitledStrip
from vtalign.report.demo_report import ArmResult, DemoReport
from vtalign.report.eval_report import EvalReport
from vtalign.report.outcomes import Lengths, StageOutcome
from vtalign.report.pairs import PairCard
from vtalign.report.training_report import StageReport, TrainingReport

HOSTILE = "<script>document.title='taken'</script><img src=x onerror=alert(1)>"


def measure(value: float) -> Measure:
    return {"value": value, "low": value - 0.03, "high": value + 0.03, "n": 400, "chance": 0.5}


def arm(description: str, temporal: float) -> ArmResult:
    metrics = {"temporal": measure(temporal), "temporal_strict": measure(temporal - 0.2), "static": measure(0.96)}
    return {
        "description": description,
        "steps": 60,
        "metrics": metrics,
        "aspects": {"order": measure(temporal), "speed": measure(0.6)},
    }


@pytest.fixture
def pair() -> PairCard:
    frames = np.arange(4 * 16 * 16 * 3, dtype=np.uint8).reshape(4, 16, 16, 3)
    times = ["0.0 s", "0.5 s", "1.0 s", "1.5 s"]
    return {
        "title": "video-1 · shuffle 2",
        "prompt": "Describe the video.",
        "chosen": "A red circle grows, then a blue square moves left.",
        "rejected": f"A blue square moves left, then a red circle grows. {HOSTILE}",
        "clean": {"frames": frames, "captions": times, "segments": [0, 0, 1, 1]},
        "perturbed": {"frames": frames[[2, 3, 0, 1]], "captions": times, "segments": [1, 1, 0, 0]},
        "note": "difficulty 0.4",
    }


@pytest.fixture
def lengths() -> dict[str, Lengths]:
    before: Lengths = {
        "pairs": 120,
        "mean_gap_chars": 8.0,
        "mean_gap_tokens": 1.5,
        "chosen_longer": 70,
        "chosen_shorter": 40,
        "accuracy": 0.61,
    }
    after: Lengths = {
        "pairs": 90,
        "mean_gap_chars": -0.4,
        "mean_gap_tokens": -0.1,
        "chosen_longer": 40,
        "chosen_shorter": 40,
        "accuracy": 0.51,
    }
    return {"before balancing": before, "after balancing": after}


@pytest.fixture
def stages() -> list[StageOutcome]:
    ingest: StageOutcome = {"name": "01-ingest", "unit": "videos", "kept": 39, "filtered": {}, "failed": {"corrupt": 1}}
    chosen: StageOutcome = {
        "name": "06-filter",
        "unit": "pairs",
        "kept": 90,
        "filtered": {"identical": 7, HOSTILE: 2},
        "failed": {},
    }
    return [ingest, chosen]


@pytest.fixture
def demo_data(pair: PairCard, lengths: dict[str, Lengths], stages: list[StageOutcome]) -> DemoReport:
    gain = {"temporal": 0.12, "ci95": [0.09, 0.15], "p_value": 0.0002, "static": -0.001, "static_ci95": [-0.01, 0.008]}
    steps = [{"step": step, "loss": 0.7 - 0.005 * step, "rewards/margins": 0.02 * step} for step in range(1, 61)]
    return {
        "seconds": 604.0,
        "seed": "0",
        "arms": {"base": arm("as shipped", 0.55), "sft_only": arm("SFT", 0.56), "dpo_then_sft": arm("DPO, then SFT", 0.68)},
        "gain": {"dpo_then_sft - sft_only": gain},  # type: ignore[typeddict-item]
        "training": {"dpo_then_sft": {"points": steps, "stages": [("dpo: easy", 1, 30), ("sft", 30, 60)]}},
        "pairs": [pair],
        "lengths": lengths,
        "build": stages,
    }


@pytest.fixture
def build_data(pair: PairCard, lengths: dict[str, Lengths], stages: list[StageOutcome]) -> BuildReport:
    return {
        "videos": 40,
        "pairs": 90,
        "seconds": 75.0,
        "stages": stages,
        "lengths": lengths,
        "by_perturbation": {"shuffle 2": 50, "reverse 1": 40},
        "bad_videos": [{"video": "a<b>.mp4", "reason": "corrupt", "detail": HOSTILE}],
        "quantiles": (0.0, 0.5, 1.0),
        "distributions": {
            "ches": {"measured": 88, "values": (-3.0, -1.25, 0.5)},
            "divergence": {"measured": 0, "values": ()},
        },
        "examples": [pair],
    }


@pytest.fixture
def training_data() -> TrainingReport:
    """A dpo stage in two curriculum stages that logs a metric of its own, and an sft stage that its gate set aside."""
    dpo: StageReport = {
        "name": "dpo",
        "kind": "dpo",
        "loss": "DPO(beta=0.1), easy to hard by strength",
        "trains": "language model (LoRA r=32)",
        "learning_rate": "5e-06",
        "steps": 60,
        "seen": 960,
        "skipped": 3,
        "seconds": 3725.0,
        "metrics": {"loss": 0.41, "rewards/margins": 1.2},
        "gate": "",
        "points": [
            {
                "stage": "dpo",  # type: ignore[dict-item]
                "step": step,
                "epoch": step / 60,
                "loss": 0.7 - 0.005 * step,
                "rewards/margins": 0.02 * step,
                "rewards/chosen": 0.01 * step,
                "rewards/rejected": -0.01 * step,
                "learning_rate": 5e-6 * (1 - step / 60),
                "curriculum/stage": 1.0 if step <= 30 else 2.0,
                HOSTILE: float(step),
            }
            for step in range(1, 61)
        ],
    }
    sft: StageReport = {
        **dpo,
        "name": "sft",
        "kind": "sft",
        "loss": "NLL",
        "steps": 2,
        "metrics": {"loss": 2.0, "sft_loss": 2.0},
        "gate": f"static is 50.00 % {HOSTILE}: not met, the stage is set aside",
        "points": [{"step": step, "loss": 2.0, "sft_loss": 2.0} for step in (1, 2)],
    }
    return {
        "model": f"Qwen3-VL {HOSTILE}",
        "seconds": 3726.0,
        "ended_by": "",
        "stages": [dpo, sft],
        "data": [{"stage": "dpo", "file": "pairs", "hash": "data-0123456789abcdef"}],
        "recipe": "stages:\n- name: dpo\n  " + "long_key: " + "x" * 300 + f"\n# {HOSTILE}\n",
        "versions": {"torch": "2.15.0"},
    }


def group(kind: str) -> GroupCard:
    """A pair of siblings under a control: eight frames twice each; every text is hostile or endless."""
    frames = np.random.default_rng(0).integers(0, 256, (8, 48, 64, 3), dtype=np.uint8)
    times = [f"{k / 2:g} s" for k in range(8)]
    strips: list[TitledStrip] = [
        {"title": "the video (all 8 frames)", "frames": frames, "captions": times},
        {"title": "shown to the model: reversed (all 8 frames)", "frames": frames[::-1], "captions": times},
    ]
    first: Sibling = {
        "video": f"videos/{'long' * 40}.mp4",
        "answer": "left",
        "strips": strips,
        "no_strips": "",
        "replies": [
            {"who": "A", "text": f"right {HOSTILE}", "correct": False, "note": "could not be read"},
            {"who": "B", "text": "left", "correct": True, "note": ""},
        ],
    }
    second: Sibling = {**first, "video": HOSTILE, "strips": [], "no_strips": "no frames: missing"}
    question = f"Which way does it go? {HOSTILE}\n{'word' * 60}"
    return {"title": f"order: {kind}", "question": question, "options": ["left", HOSTILE], "siblings": [first, second]}


def paired(difference: float) -> Paired:
    return {
        "a": 0.5,
        "b": 0.5 + difference,
        "difference": difference,
        "low": difference - 0.1,
        "high": difference + 0.1,
        "p_value": 0.0002,
        "mcnemar": 0.25,
        "only_a": 3,
        "only_b": 9,
        "minimum_detectable": 0.12,
        "n": 400,
    }


@pytest.fixture
def eval_data() -> EvalReport:
    """Two controls, columns of other readings, a benchmark's own table, groups, and something of everything that went wrong."""
    gain = {"control": 0.5, "gain": 0.25, "low": 0.2, "high": 0.3, "p_value": 0.0002, "minimum_detectable": 0.07}
    control = {
        "metrics": {"temporal": measure(0.5), "temporal_strict": measure(0.2)},
        "aspects": {"order": measure(0.4)},
        "gains": {"temporal": gain, "temporal_strict": gain},
        "aspect_gains": {"order": gain},
        "uncontrolled": 2,
    }
    columns = {"accuracy": measure(0.75), "strict": measure(0.5), "likelihood": measure(0.8), "by_moonlight": measure(0.33)}
    return {
        "model": f"model {HOSTILE}",
        "benchmark": "temporal-shapes",
        "control": "none",
        "metrics": {"temporal_strict": measure(0.4), "same_answer_rate": measure(0.3), "temporal": measure(0.75)},
        "aspects": {"order": columns, "attribute_change": {"accuracy": measure(0.6)}},
        "tasks": {"multi-choice": columns},
        "events": {"2": {"temporal": measure(0.7)}},
        "controls": {"shuffled": control, "text": control},  # type: ignore[dict-item]
        "tables": [
            {"title": f"As published {HOSTILE}", "headers": ["task", "avg"], "rows": [["yes no", "56.4"], ["captioning", ""]]}
        ],
        "groups": {"cards": [group("the same answer to all siblings")], "text": "Of 9 groups, here is 1."},
        "unread": {
            "counts": {"replies that could not be read": 4},
            "videos": {"corrupt": (6, [f"videos/{number}.mp4" for number in range(12)])},
            "replies": [{"video": "a.mp4", "question": "2 balls?", "reply": f"3 {HOSTILE} {'x' * 900}"}],
        },
        "sources": [("data", "f" * 200), ("judge", HOSTILE)],
    }


@pytest.fixture
def comparison_data() -> ComparisonReport:
    flip = {"video": "a.mp4", "question": f"First? {HOSTILE}", "answer": "left", "a": None, "b": "y" * 900}
    side = {"metrics": {"temporal": measure(0.6)}, "aspects": {"order": measure(0.6)}}
    return {
        "benchmark": "temporal-shapes",
        "control": "none",
        "a": {"name": f"before {HOSTILE}", **side},  # type: ignore[typeddict-item]
        "b": {"name": "after", **side},  # type: ignore[typeddict-item]
        "metrics": {"temporal": paired(0.2), "temporal_strict": paired(-0.3), "static": paired(0.0)},
        "aspects": {"order": {"accuracy": paired(0.2), "likelihood": paired(0.04)}, "speed": {"accuracy": paired(-0.15)}},
        "flips": {
            "fixed": {"order": {"count": 41, "shown": [flip] * 20}},  # type: ignore[list-item]
            "broken": {"order": {"count": 1, "shown": [flip]}},  # type: ignore[list-item]
        },
        "groups": {"cards": [group("solved by B and not by A")], "text": "Of 9 groups: 1 solved by B and not by A."},
        "forced": [f"frame policy fps is 2.0 in A, 1.0 in B {HOSTILE}"],
        "sources": [("A", "model before")],
    }
