"""Responses written from clips and from views: what is asked, which answers become which side, and builds of them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from vtalign.preference.schema import read_pairs
from vtalign.video.perturb import PerturbationSpec
from vtalign.video.view import Slot, VideoView
from vtalign_data.build import run_build
from vtalign_data.captions import Asking
from vtalign_data.config import BuildConfig
from vtalign_data.perturbations import make_perturbations
from vtalign_data.responses import make_candidates
from vtalign_data.view_responses import FromViews, ViewAsking, ViewRequest, view_requests

from .run_files import asked_of_models

VIEW = VideoView(tuple(Slot("video-0", frame, frame / 2) for frame in range(12)), 2.0)
ROW = {
    "view_id": VIEW.view_id,
    "video_id": "video-0",
    "video": "a.mp4",
    "view": VIEW.to_json(),
    "sampling": "{}",
    "segments": [{"start": start, "stop": start + 4} for start in (0, 4, 8)],
}
SPECS = [PerturbationSpec(name="reverse", strength=3), PerturbationSpec(name="reverse", strength=16, frames="reversed")]


def config_of(**responses: Any) -> BuildConfig:
    return BuildConfig.model_validate(
        {"videos": "v", "model": "m", "out": "o", "questions": {"kinds": []}, "responses": {"temperature": 0.5, **responses}}
    )


def asking_of(config: BuildConfig, fingerprint: str = "model-0") -> ViewAsking:
    return ViewAsking(config, Asking(config.captions, fingerprint, config.seed), fingerprint)


@pytest.fixture
def rows():
    return make_perturbations([ROW], SPECS, 0).rows


def test_a_video_is_asked_as_the_pair_asks_it(rows) -> None:
    config = config_of(input="video")
    asking = asking_of(config)
    (clean,), (turned,) = asking.clean(rows[0]), asking.perturbed(rows[0])
    assert clean.prompt.views == (VIEW,) and turned.prompt.views == (VideoView.from_json(rows[0]["perturbed_view"]),)
    assert clean.prompt.parts[1] == turned.prompt.parts[1] and clean.prompt.parts[1] in config.response_prompts
    assert len(view_requests(rows, asking)) == 3  # the clean view is asked once for both perturbations


def test_clips_are_views_of_their_own_in_the_order_that_is_shown(rows) -> None:
    asking = asking_of(config_of(input="clip"))
    frames = [
        [[slot.frame for slot in view.slots] for view in request.prompt.views]
        for request in (*asking.clean(rows[0]), *asking.perturbed(rows[0]), *asking.perturbed(rows[1]))
    ]
    a, b, c = [0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]
    assert frames == [[a, b, c], [c, b, a], [c[::-1], b[::-1], a[::-1]]]
    assert "parts of one video" in asking.clean(rows[0])[0].prompt.text


def test_request_ids_depend_on_all_that_decides_the_answer(rows) -> None:
    variants = [
        asking_of(config_of(input="video")),
        asking_of(config_of(input="clip")),
        asking_of(config_of(input="clip", clips_prompt="{clips}{prompt}")),
        asking_of(config_of(input="video", temperature=0.7)),
        asking_of(config_of(input="video", max_new_tokens=9)),
        asking_of(config_of(input="video"), "model-1"),
        asking_of(config_of(input="video").model_copy(update={"seed": 1})),
    ]
    assert len({asking.clean(rows[0])[0].request_id for asking in variants}) == len(variants)
    samples = asking_of(config_of(input="video", samples=3)).clean(rows[0])
    assert len({request.request_id for request in samples}) == 3 and samples[0] == variants[0].clean(rows[0])[0]
    assert len({variants[0].request(request).seed for request in samples}) == 3


def answered(asking: ViewAsking, rows: list[Any], text: Callable[[ViewRequest], str]) -> dict[str, dict[str, Any]]:
    return {request.request_id: {"text": text(request), "stray": []} for request in view_requests(rows, asking)}


def test_samples_are_paired_and_say_where_they_come_from(rows) -> None:
    config = config_of(input="video", samples=2)
    asking = asking_of(config)
    answers = answered(asking, rows, lambda r: f"{'clean' if r.prompt.views == (VIEW,) else 'turned'} {r.sample}")
    gone = asking.perturbed(rows[1])[1]
    del answers[gone.request_id]
    source = FromViews(asking, answers, "video")
    made = make_candidates([rows], {}, Asking(config.captions, "model-0", 0), source, config)
    assert [(row["chosen"], row["rejected"]) for row in made.rows] == [
        ("clean 0", "turned 0"),
        ("clean 1", "turned 1"),
        ("clean 0", "turned 0"),
    ]
    assert [json.loads(row["parameters"])["response"] for row in made.rows] == [
        {"input": "video", "sample": sample} for sample in (0, 1, 0)
    ]
    assert len({row["pair_id"] for row in made.rows}) == 3 and len({row["prompt"] for row in made.rows}) == 1
    assert {(row["kind"], row["source"]) for row in made.rows} == {("response", "self")}
    assert [(lost.id, lost.outcome, lost.reason) for lost in made.rejected] == [
        (rows[1]["perturbation_id"], "failed", "no_response")
    ]
    for row in made.rows:
        assert set(row["chosen_requests"]) | set(row["rejected_requests"]) <= answers.keys()


def stage_rows(run: Path, name: str) -> list[dict[str, Any]]:
    (folder,) = (run / "stages").glob(f"*-{name}")
    return [row for part in sorted(folder.glob("*.parquet")) for row in pq.read_table(part).to_pylist()]


SHORT = {"captions": {"max_new_tokens": 6}, "balance": {"max_accuracy": 1.0}}


@pytest.mark.slow
def test_a_build_from_the_perturbed_video(make_config, tmp_path: Path) -> None:
    """Rejected is what the model says of the perturbed view; nothing is captioned where nothing is made of captions."""
    settings = {**SHORT, "responses": {"input": "video", "max_new_tokens": 8, "temperature": 0.7, "samples": 2}}
    summary = run_build(make_config(tmp_path / "run", questions={"kinds": []}, **settings))
    assert set(summary.by_kind) == {"response"} and summary.caption_requests == 0
    assert not list((summary.out / "stages").glob("*-captions"))
    asked = {row["request_id"]: row for row in stage_rows(summary.out, "view-responses")}
    assert summary.response_requests == len(asked)
    pairs = read_pairs(summary.pairs_folder)
    for pair in pairs:
        (clean,), (turned,) = pair.chosen_requests, pair.rejected_requests
        assert asked[clean]["shown"] == [pair.view.to_json()] and asked[clean]["text"] == pair.chosen
        assert pair.perturbed_view is not None and asked[turned]["shown"] == [pair.perturbed_view.to_json()]
        assert asked[turned]["text"] == pair.rejected and asked[clean]["prompt"] == pair.prompt
        assert pair.perturbation is not None and pair.perturbation.parameters["response"]["input"] == "video"


@pytest.mark.slow
def test_a_run_that_lost_a_batch_of_responses_writes_that_batch_again(make_config, tmp_path: Path) -> None:
    config = make_config(
        tmp_path / "run", questions={"kinds": []}, responses={"input": "video", "max_new_tokens": 8, "temperature": 0.7}, **SHORT
    )
    summary = run_build(config)
    pairs, usage = read_pairs(summary.pairs_folder), summary.usage
    for stage in sorted((summary.out / "stages").iterdir()):
        if stage.name > "06b-view-responses":
            shutil.rmtree(stage)
    shutil.rmtree(summary.pairs_folder)
    written = summary.out / "stages" / "06b-view-responses"
    kept = (written / "part-00000.parquet").stat().st_mtime_ns
    # as a kill leaves it: losses first, then the part, the marker last
    for name in ("complete.json", "rejected.jsonl", "part-00001.parquet"):
        (written / name).unlink()
    for number in range(len(list(written.glob("part-*.parquet"))) + 1):
        (written / f"part-{number:05d}.rejected.jsonl").touch()
    again = run_build(config)
    assert read_pairs(again.pairs_folder) == pairs
    assert (written / "part-00000.parquet").stat().st_mtime_ns == kept
    assert asked_of_models(again.usage) == asked_of_models(usage)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"responses": {"input": "clip", "max_new_tokens": 8}},
        {"responses": {"input": "video", "max_new_tokens": 8, "temperature": 0.7}},
        {"captions": {"max_new_tokens": 6, "relative": True}},
    ],
)
def test_batches_do_not_decide_what_is_written(make_config, tmp_path: Path, settings: dict[str, Any]) -> None:
    outs = []
    for size in (2, 32):
        summary = run_build(make_config(tmp_path / str(size), model_batch_size=size, **{**SHORT, **settings}))
        assert summary.by_kind["response"] > 0
        outs.append([{**vars(pair), "scores": None, "token_logps": None} for pair in read_pairs(summary.pairs_folder)])
    assert outs[0] == outs[1]


@pytest.mark.slow
def test_relative_captions_change_with_the_order_and_questions_do_not_use_them(make_config, tmp_path: Path) -> None:
    summary = run_build(make_config(tmp_path / "run", **{**SHORT, "captions": {"max_new_tokens": 6, "relative": True}}))
    captions = {row["request_id"]: row for row in stage_rows(summary.out, "captions")}
    for row in stage_rows(summary.out, "responses"):
        for requests in (row["chosen_requests"], row["rejected_requests"]):
            previous = [captions[request]["previous"] for request in requests]
            if row["kind"] == "response":
                assert previous == [None, *(captions[request]["clip"] for request in requests[:-1])]
            else:
                assert set(previous) == {None}
