"""`--judge`, as a user meets it: a URL is a server, anything else a model."""

import json
from pathlib import Path

import pytest

from vtalign.cli.main import main


@pytest.fixture
def score(tmp_path: Path) -> list[str]:
    """The arguments of a score of one question that no rule matches."""
    question = {"question": "Which way?\nA. left\nB. right", "answer": "A. left"}
    for folder, row in (("data/questions", question), ("predictions", {**question, "prediction": "leftwards"})):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "multi-choice.json").write_text(json.dumps({"1": {"direction": [row]}}))
    places = {"data": "data", "predictions": "predictions", "out": "out"}
    return ["eval", "score", *(f"{key}={tmp_path / place}" for key, place in places.items())]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--judge", "no-such-judge"], "no-such-judge: no such model folder"),
        (["--judge", "http://127.0.0.1:9/v1"], "judge.server.model: is required"),
        (
            ["--judge", "http://127.0.0.1:9/v1", "judge.server.model=m", "judge.server.retries=0"],
            "http://127.0.0.1:9/v1: no OpenAI-compatible server answers there",
        ),
        (["--judge", "folder", "judge.server.url=http://127.0.0.1:9/v1", "judge.server.model=m"], "judge: name one judge"),
    ],
)
def test_what_is_no_judge_is_one_line(
    score: list[str], given: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*score, *given])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("vtalign: error: ") and message in line
