"""A build of annotated sources on the tiny model, whose open answers are wrong; and of text alone, beside its pairs."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vtalign.artifacts import read_jsonl
from vtalign.config import validate_config
from vtalign.errors import ConfigError, InputError, RunFailed
from vtalign.preference.schema import read_pairs
from vtalign.training.config import TrainConfig
from vtalign.training.logs import read_history
from vtalign.training.recipe import run_recipe
from vtalign_data.build import run_build
from vtalign_data.config import BuildConfig
from vtalign_data.stage import Stage
from vtalign_data.summary import BuildSummary

Make = Callable[..., BuildConfig]
ROOMY = {"filters": {"max_length_ratio": 99, "max_length_ratio_question": 99}, "balance": {"max_accuracy": 1}}
GRID = [{"name": "mask", "strength": 8}, {"name": "local_shuffle", "strength": 4}, {"name": "reverse", "strength": 2}]

QUESTIONS = {"question": "question", "answer": "answer", "options": "options"}
COLUMNS = {"caption": "caption", **QUESTIONS}


@pytest.fixture(scope="module")
def annotations(troubled_videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two questions and a caption about each video, copies and broken ones too, and rows that are no use."""
    names = sorted(path.name for path in troubled_videos.glob("[!.]*.mp4"))
    rows: list[dict[str, Any]] = []
    for name in names:
        rows += [
            {"video": name, "question": "What is behind the curtain?", "answer": "a giraffe"},
            {"video": name, "question": "Where does it go?", "answer": "B", "options": ["out", "in"]},
            {"video": name, "caption": "Nobody knows these words, giraffe zebra okapi."},
        ]
    rows += [{"video": "nowhere.mp4", "caption": "It rains."}, {"video": "zz_copy.mp4"}]
    file = tmp_path_factory.mktemp("annotated") / "qa.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def configured(make_config: Make, out: Path, file: Path | None, mapped: dict[str, str] = COLUMNS, **changes: Any) -> BuildConfig:
    about = {
        "max_new_tokens": 8,
        "max_overlap_answer": 0.0,
        "max_overlap_caption": 0.5,
        **({"file": str(file), "columns": mapped} if file is not None else {}),
    }
    return make_config(out, sources=["annotation"], annotations=about, perturbations=GRID, **{**ROOMY, **changes})


@pytest.fixture(scope="module")
def built_annotated(make_config: Make, annotations: Path, tmp_path_factory: pytest.TempPathFactory) -> BuildSummary:
    return run_build(configured(make_config, tmp_path_factory.mktemp("build") / "run", annotations))


@pytest.mark.slow
def test_counts_add_up_and_only_wrong_answers_stay(built_annotated: BuildSummary) -> None:
    summary = built_annotated
    counts = {stage.name: stage for stage in summary.stages}
    answers = list(Stage(summary.out / "stages/06-answers", None, "answer").rows())
    perturbed = list(Stage(summary.out / "stages/05-perturbations", None, "view").rows())
    named = {row["video"] for row in perturbed if "/" not in row["video"]}
    original = next(
        lost.detail for lost in Stage(summary.out / "stages/02-ingest", None, "video").rejected() if lost.id == "zz_copy.mp4"
    )
    usable = len(named) + any(original.endswith(f" {video}") for video in named)
    joined = counts["06-annotations"]
    assert joined.kept == 3 * usable, "a copy is another name of its video"
    assert joined.failed == {"no_annotation": 1, "no_such_video": 3 * (13 - usable) + 1}
    asked = {row["view_id"] for row in answers}
    shown = [row for row in perturbed if row["view_id"] in asked]
    assert len(asked) == len(named) > 1 and len(answers) == 3 * len(shown), "three questions about every perturbed view"
    annotated = counts["07-annotated"]
    assert annotated.kept + annotated.lost == len(answers) and annotated.kept > 0
    assert counts["08-filter"].kept + counts["08-filter"].lost == annotated.kept
    assert "06-captions" not in counts and counts["07-responses"].kept == 0 and summary.caption_requests == 0
    assert counts["06-answers"].usage.model_calls == len(answers) and counts["06-answers"].usage.decodes > 0
    pairs = read_pairs(summary.pairs_folder)
    assert len(pairs) == summary.pairs and {pair.kind for pair in pairs} == {"qa", "caption"}
    said = {row["request_id"]: row["text"] for row in answers}
    for pair in pairs:
        assert pair.source == "annotation" and "giraffe" in pair.chosen and pair.rejected == said[pair.rejected_requests[0]]
        assert any(pair.chosen_spans) and pair.scores is not None and pair.scores.logp_chosen_perturbed is not None


@pytest.mark.slow
def test_a_training_step_on_their_phrases(
    built_annotated: BuildSummary, troubled_videos: Path, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    stage = {"name": "rrpo", "kind": "rrpo", "data": str(built_annotated.pairs_folder), "learning_rate": 1e-3, "max_steps": 2}
    top = {"model": str(tiny_checkpoint), "output": str(tmp_path / "run"), "videos": str(troubled_videos), "device": "cpu"}
    summary = run_recipe(validate_config(TrainConfig, {**top, "threads": 1, "stages": [{**stage, "pairs_per_step": 4}]}, "test"))
    rows = read_history(summary.history)
    assert rows[0]["rewards/margins"] == pytest.approx(0, abs=1e-3) and rows[0]["loss/rrpo"] == pytest.approx(0.693, abs=1e-2)


@pytest.mark.slow
def test_batches_and_a_resumed_run_change_nothing(
    built_annotated: BuildSummary, make_config: Make, annotations: Path, tmp_path: Path
) -> None:
    config = configured(make_config, tmp_path / "run", annotations, batch_size=32)
    run_build(config)
    pairs = read_pairs(tmp_path / "run/pairs")
    told = [
        [(pair.pair_id, pair.chosen, pair.rejected, pair.rejected_spans) for pair in found]
        for found in (pairs, read_pairs(built_annotated.pairs_folder))
    ]
    assert told[0] == told[1]
    for folder in ("pairs", "stages/07-annotated", "stages/08-filter", "stages/09-balance", "stages/10-score"):
        shutil.rmtree(tmp_path / "run" / folder)
    run_build(config)
    assert read_pairs(tmp_path / "run/pairs") == pairs
    changed = annotations.read_text().replace("giraffe", "zebra")
    other = tmp_path / "other.jsonl"
    other.write_text(changed)
    with pytest.raises(InputError, match="holds another run"):
        run_build(configured(make_config, tmp_path / "run", other, batch_size=32))


@pytest.mark.slow
def test_a_manifest_can_carry_them(
    built_annotated: BuildSummary, make_config: Make, troubled_videos: Path, annotations: Path, tmp_path: Path
) -> None:
    """The same rows as the manifest of the videos themselves: the same pairs."""
    run_build(configured(make_config, tmp_path / "run", None, columns=COLUMNS, videos=annotations, root=troubled_videos))
    own, others = (
        {(pair.pair_id, pair.chosen, pair.rejected) for pair in read_pairs(folder)}
        for folder in (tmp_path / "run/pairs", built_annotated.pairs_folder)
    )
    assert own == others


@pytest.mark.slow
def test_no_wrong_answer_is_a_failed_run_that_says_so(make_config: Make, annotations: Path, tmp_path: Path) -> None:
    file = tmp_path / "options.jsonl"
    rows = [row for row in read_jsonl(annotations) if row.get("options")]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(RunFailed, match=r"07-annotated lost .* pairs to 'undecided'"):
        run_build(configured(make_config, tmp_path / "run", file, QUESTIONS))


@pytest.mark.slow
def test_text_pairs_come_beside_the_others(built: BuildSummary, make_config: Make, tmp_path: Path) -> None:
    run_build(make_config(tmp_path / "run", text_pairs={"kinds": ["order", "after", "shuffle_prefix"]}))
    assert read_pairs(tmp_path / "run/pairs") == read_pairs(built.pairs_folder)
    pairs = read_pairs(tmp_path / "run/text/pairs")
    videos = {pair.video_id: pair.video for pair in read_pairs(built.pairs_folder)}
    assert pairs and all(pair.view is None and videos.get(pair.video_id, pair.video) == pair.video for pair in pairs)
    assert len(list(read_jsonl(tmp_path / "run/text/sft.jsonl"))) == len(pairs)


def test_source_and_settings_go_together() -> None:
    base = {"videos": "v", "model": "m", "out": "o"}
    with pytest.raises(ConfigError, match=r"annotations.file: is not used"):
        validate_config(BuildConfig, {**base, "annotations": {"file": "a.jsonl", "columns": COLUMNS}}, "test")
    with pytest.raises(ConfigError, match=r"annotation needs annotations\.file, or a manifest"):
        validate_config(BuildConfig, {**base, "sources": ["annotation"]}, "test")


def test_where_the_judge_runs_does_not_decide_the_result() -> None:
    def settings(**server: Any) -> object:
        judge = {"server": {"url": "http://a/v1", "model": "j", **server}}
        about = {"sources": ["annotation"], "annotations": {"file": "a.jsonl", "columns": COLUMNS, "judge": judge}}
        return BuildConfig.model_validate({"videos": "v", "model": "m", "out": "o", **about}).result_settings()

    assert settings() == settings(url="http://b/v1", retries=9) != settings(model="other")
