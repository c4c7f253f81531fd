"""The command that leaves no pairs ends with 1 and one line that names the rule which removed them, whichever it is."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from vtalign.cli.environment import NO_TELEMETRY, OFFLINE
from vtalign.cli.main import main
from vtalign_data.config import BuildConfig

SHOTS = ("clips.method=scenes", "clips.shots.max_seconds=1000")
ANY_SHOTS = (*SHOTS, "clips.shots.min_seconds=0", "clips.shots.min_grey_range=0", "clips.shots.min_count=1")
EVEN = "balance.max_accuracy=1"  # the rule that takes most is named, and of so few pairs balancing takes most
COLUMNS = "annotations.columns={{question: question, answer: answer, options: options}}"
ANNOTATED = ("sources=[annotation]", "annotations.file={qa}", COLUMNS, "annotations.max_new_tokens=4")


@pytest.fixture(scope="module")
def two_videos(small_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two")
    for path in sorted((small_corpus / "train" / "videos").glob("*.mp4"))[:2]:
        shutil.copy(path, folder)
    return folder


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the command sets in its own process is not left to other tests."""
    for name, value in {**NO_TELEMETRY, **OFFLINE, "TOKENIZERS_PARALLELISM": "false"}.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(
    ("overrides", "stage", "rule"),
    [
        (("ingest.min_duration=1000",), "02-ingest", "too_short"),
        (("select.signal=reversal", "select.min=1000"), "03b-selection", "below_min"),
        ((*SHOTS, "clips.shots.min_grey_range=255"), "03c-shots", "low_contrast"),
        ((*ANY_SHOTS, "clips.shots.min_count=32"), "04-clips", "too_few_shots"),
        ((*ANY_SHOTS, "clips.groups.threshold=-1"), "04-clips", "too_few_groups"),
        (("clips.seconds=60",), "04-clips", "too_few_clips"),
        (("perturbations=[{{name: shuffle, strength: 64}}]",), "05-perturbations", "too_short"),
        (("filters.placeholders=[' ']",), "08-filter", "placeholder"),
        ((EVEN, "score_filters.max_ches=-1000000"), "11-select", "ches"),
        ((EVEN, "score_filters.min_margin=1000000"), "11-select", "margin"),
        ((EVEN, "score_filters.min_divergence=0.6931"), "11-select", "false_rejection"),
        (ANNOTATED, "07-annotated", "undecided"),
    ],
)
def test_the_rule_is_named(
    make_config: Callable[..., BuildConfig],
    two_videos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    overrides: tuple[str, ...],
    stage: str,
    rule: str,
) -> None:
    out, qa, config = tmp_path / "run", tmp_path / "qa.jsonl", tmp_path / "config.json"
    # a random model names none of the options
    asked = {"question": "Where does it go?", "answer": "B", "options": ["out", "in"]}
    qa.write_text("".join(json.dumps({"video": path.name, **asked}) + "\n" for path in two_videos.iterdir()))
    config.write_text(make_config(out, videos=two_videos).model_dump_json())
    with pytest.raises(SystemExit) as ended:
        main(["data", "build", str(config), *(override.format(qa=qa) for override in overrides)])
    assert ended.value.code == 1
    (said,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("vtalign: ")]
    file = out / "stages" / stage / "rejected.jsonl"
    line = rf"vtalign: error: {out}: no pairs left: {stage} lost (\d+) of \d+ \w+( \w+)?s to '{rule}', such as .+ \(all are in {file}\)"
    counted = re.fullmatch(line, said)
    assert counted, said
    lost = [json.loads(row) for row in file.read_text().splitlines()]
    assert sum(row["reason"] == rule for row in lost) == int(counted[1]) > 0
    assert not (out / "pairs").exists()
