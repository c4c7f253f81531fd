"""A tiny TempCompass folder in both layouts, written by hand: three videos, two of them cut from one clip."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

Nested = dict[str, dict[str, list[dict[str, Any]]]]

CHOICE = "Which way does it go?\nA. left\nB. right\nC. left to right"
MATCHING = "Which caption matches?\nCaption A: It goes left.\nCaption B: It goes right."
QUESTIONS: dict[str, Nested] = {
    "multi-choice": {
        "1": {"direction": [{"question": CHOICE, "answer": "A. left"}]},
        "1_reverse": {"direction": [{"question": CHOICE, "answer": "B. right"}]},
        "2": {"order": [{"question": "First?\nA. hop\nB. run", "answer": "B. run"}]},
    },
    "yes_no": {
        "1": {"direction": [{"question": "Left?", "answer": "yes"}, {"question": "Right?", "answer": "no"}]},
        "1_reverse": {"direction": [{"question": "Left?", "answer": "no"}]},
    },
    "caption_matching": {"1": {"direction": [{"question": MATCHING, "answer": "Caption A: It goes left."}]}},
    "captioning": {"1": {"direction": [{"question": "Information A: ..\nGenerated Caption:", "answer": "B. left"}]}},
}
META = {
    "1": {"eval_dim": {"direction": {"type": "object motion"}, "order": None}},
    "1_reverse": {"eval_dim": {"direction": {"type": "camera motion"}}},
    # as of one real video: asked about order without an entry
    "2": {"eval_dim": {"order": None}},
}


@pytest.fixture
def tempcompass(tmp_path: Path) -> Path:
    """The layout of the GitHub repository."""
    folder = tmp_path / "tempcompass"
    (folder / "questions").mkdir(parents=True)
    for task, questions in QUESTIONS.items():
        (folder / "questions" / f"{task}.json").write_text(json.dumps(questions))
    (folder / "meta_info.json").write_text(json.dumps(META))
    return folder


@pytest.fixture
def tempcompass_hub(tmp_path: Path) -> Path:
    """The Hub's layout of the same questions."""
    folder = tmp_path / "hub"
    for task, questions in QUESTIONS.items():
        rows = [
            {"video_id": video, "question": row["question"], "answer": row["answer"], "dim": aspect}
            for video, aspects in questions.items()
            for aspect, given in aspects.items()
            for row in given
        ]
        if task == "captioning":
            rows = [row | {"mc_question": CHOICE, "mc_answer": "A. left"} for row in rows]
        (folder / task).mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(rows), folder / task / "test-00000-of-00001.parquet")
    return folder


@pytest.fixture
def perfect(tmp_path: Path) -> Path:
    """Predictions that are all right."""
    folder = tmp_path / "perfect"
    folder.mkdir()
    for task, questions in QUESTIONS.items():
        filled = {
            video: {aspect: [row | {"prediction": row["answer"]} for row in rows] for aspect, rows in aspects.items()}
            for video, aspects in questions.items()
        }
        (folder / f"{task}.json").write_text(json.dumps(filled))
    return folder
