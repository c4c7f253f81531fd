"""Files in TempCompass's own layout: what its scripts and its leaderboard read."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vtalign.artifacts import write_json
from vtalign_eval.tempcompass.grading import Graded
from vtalign_eval.tempcompass.predictions import prediction_file
from vtalign_eval.tempcompass.questions import CAPTIONING
from vtalign_eval.tempcompass.rules import clean

PREDICTIONS = "predictions"
RESULTS_BY_RULE = "auto_eval_results_disable_llm"
RESULTS_JUDGED = "auto_eval_results"


FIGURES = "tempcompass.json"


def write_own_layout(
    out: Path, graded: Mapping[str, Sequence[Graded]], figures: dict[str, dict[str, Any]], judged: bool = False
) -> None:
    """By task: `out/predictions/<task>.json`, `out/auto_eval_results/<task>.json` (by rule alone `auto_eval_results_disable_llm`,
    as the scripts name it; there is none for captions without a judge), and all figures in `out/tempcompass.json`.

    What an earlier run with, or without, a judge left under the other name is removed.
    """
    written, other = (RESULTS_JUDGED, RESULTS_BY_RULE) if judged else (RESULTS_BY_RULE, RESULTS_JUDGED)
    shutil.rmtree(out / other, ignore_errors=True)
    for task, here in graded.items():
        rows = [(g, {"question": g.item.question, "answer": g.item.answer, "prediction": g.reply}) for g in here]
        _write(out / PREDICTIONS, rows)
        if task != CAPTIONING or judged:
            _write(out / written, [(g, _result(g)) for g in here])
    write_json(out / FIGURES, figures)


def _result(graded: Graded) -> dict[str, Any]:
    prediction = None if graded.reply is None else clean(graded.reply)
    said = {} if graded.verdict is None else {"chatgpt-response": graded.verdict.said}
    if graded.item.task == CAPTIONING:
        return {
            "chatgpt-answer": said.get("chatgpt-response"),
            "video-llm-prediction": prediction,
            "gt-answer": graded.item.scored_answer,
            "rating": int(graded.correct),
        }
    return {
        "question": graded.item.question,
        "gt-answer": graded.item.answer,
        "video-llm-prediction": prediction,
        "match_success": graded.matched,
        "rating": int(graded.correct),
        **said,
    }


def _write(folder: Path, rows: Sequence[tuple[Graded, dict[str, Any]]]) -> None:
    nested: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for graded, row in rows:
        nested.setdefault(graded.item.video_id, {}).setdefault(graded.item.aspect, []).append(row)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / prediction_file(rows[0][0].item.task), nested)
