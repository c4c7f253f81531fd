import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from vtalign.errors import InputError
from vtalign_eval.check import check_eval
from vtalign_eval.config import EvalConfig
from vtalign_eval.run import run_eval

Make = Callable[..., EvalConfig]


def test_what_is_said_is_what_a_run_measures(make_config: Make, quiet: Console) -> None:
    said = check_eval(make_config(model="no/model-is-read"))
    assert said.startswith("temporal-shapes: 24 questions about 8 videos")
    metrics = run_eval(make_config(), quiet)["vtalign"]["metrics"]
    # yes_rate is over readable yes/no replies, which nobody knows before
    assert said.splitlines()[0].rpartition("which measure ")[2].split(", ") == [name for name in metrics if name != "yes_rate"]


def test_videos_that_are_not_there_are_counted_and_named(make_config: Make, shapes: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(shapes, data)
    assert "missing" not in check_eval(make_config(data=data))
    for name in ("f0-a", "f2-b"):
        (data / "videos" / f"{name}.mp4").unlink()
    line = "missing: 2 of 8 videos (videos/f0-a.mp4, videos/f2-b.mp4); questions about them count as wrong"
    assert line in check_eval(make_config(data=data)).splitlines()
    assert "missing" not in check_eval(make_config(data=data, control="text"))
    shutil.rmtree(data / "videos")
    (data / "videos").mkdir()
    assert "8 of 8 videos (videos/f0-a.mp4, videos/f0-b.mp4, videos/f1-a.mp4, ..)" in check_eval(make_config(data=data))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"benchmark": "temporal"}, "benchmark 'temporal': unknown"),
        ({"data": Path("nowhere")}, "nowhere: no such data folder"),
        ({"fail_on": "tempral"}, "fail_on 'tempral': temporal-shapes does not measure it"),
    ],
)
def test_what_a_run_could_not_do_is_one_line(make_config: Make, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        check_eval(make_config(**changes))
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_metric_without_questions_is_not_measured(make_config: Make, shapes: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (shapes / "questions.jsonl").read_text().splitlines()]
    data = tmp_path / "temporal-only"
    data.mkdir()
    kept = [row for row in rows if row["aspect"] != "static"]
    (data / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in kept))
    assert ", static" not in check_eval(make_config(data=data))
    assert check_eval(make_config(data=data)).splitlines()[-1] != check_eval(make_config()).splitlines()[-1], "the data hash"
    with pytest.raises(InputError, match="fail_on 'static'"):
        check_eval(make_config(data=data, fail_on="static"))
