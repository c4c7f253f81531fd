"""What `faults.py` kills of the evaluation: each subject makes its inputs once."""

import json
import os
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # a process that has started threads must not fork

from faults_files import Subject
from rich.console import Console

QUESTIONS, BATCH = 24, 2


def eval_subject(folder: Path) -> Subject:
    """`eval run` of the shipped tiny model with two controls on held-out questions of a small synthetic corpus."""
    from transformers.utils.logging import disable_progress_bar

    from vtalign.assets import tiny_checkpoint
    from vtalign_data.synth import write_corpus
    from vtalign_eval.config import EvalConfig
    from vtalign_eval.run import run_eval

    disable_progress_bar()
    write_corpus(folder / "corpus", videos=8, seed=0)

    def run(out: Path) -> None:
        config = EvalConfig(
            model=str(tiny_checkpoint()),
            data=folder / "corpus" / "heldout",
            out=out,
            controls=("text", "shuffled"),
            limit=QUESTIONS,
            batch_size=BATCH,
            max_new_tokens=6,
            device="cpu",
        )
        run_eval(config, Console(quiet=True))

    return Subject(run)


def score_subject(folder: Path) -> Subject:
    """`eval score` of hand-made TempCompass predictions."""
    from vtalign_eval.score import ScoreConfig, run_score

    data, predictions = folder / "tempcompass", folder / "predictions"
    (data / "questions").mkdir(parents=True)
    predictions.mkdir()
    for task, rows in _tempcompass().items():
        questions = {video: {"direction": [row]} for video, row in rows.items()}
        replies = {
            video: {"direction": [{**row, "prediction": "yes" if task == "yes_no" else "A"}]} for video, row in rows.items()
        }
        (data / "questions" / f"{task}.json").write_text(json.dumps(questions))
        (predictions / f"{task}.json").write_text(json.dumps(replies))

    def run(out: Path) -> None:
        run_score(ScoreConfig(data=data, predictions=predictions, out=out), Console(quiet=True))

    return Subject(run)


def _tempcompass() -> dict[str, dict[str, dict[str, str]]]:
    videos = [f"{clip}{way}" for clip in range(1, 7) for way in ("", "_reverse")]
    choice = "Which way?\nA. left\nB. right"
    return {
        "multi-choice": {v: {"question": choice, "answer": "B. right" if "_" in v else "A. left"} for v in videos},
        "yes_no": {v: {"question": "Does it go left?", "answer": "no" if "_" in v else "yes"} for v in videos},
    }
