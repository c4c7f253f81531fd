"""Captions, responses and candidates from known descriptions: no model writes here, the machinery is what is tested."""

from types import MappingProxyType

import pytest

from vtalign.models.load import load_video_lm
from vtalign.video.frames import FrameStore
from vtalign.video.perturb import PerturbationSpec
from vtalign.video.view import Slot, VideoView
from vtalign_data.candidate import candidate_pair
from vtalign_data.caption_responses import FromCaptions
from vtalign_data.captions import Asking, ClipRequest, clip_requests, write_captions
from vtalign_data.config import BuildConfig, CaptionConfig, ComposerConfig
from vtalign_data.distractors import Distractor
from vtalign_data.perturbations import make_perturbations
from vtalign_data.responses import JoinComposer, ModelComposer, clip_text, make_candidates

VIEW = VideoView(tuple(Slot("video-0", frame, frame / 2) for frame in range(12)), 2.0)
ROW = {
    "view_id": VIEW.view_id,
    "video_id": "video-0",
    "video": "a.mp4",
    "view": VIEW.to_json(),
    "sampling": "{}",
    "segments": [{"start": start, "stop": start + 4} for start in (0, 4, 8)],
}
SPECS = [
    PerturbationSpec(name="shuffle", strength=3),
    PerturbationSpec(name="reverse", strength=16, frames="reversed"),
    PerturbationSpec(name="drop", strength=3),
]
ASKING = Asking(CaptionConfig(), "model-0", 0)
CONFIG = BuildConfig(videos="v", model="m", out="o")
TOLD = {0: "A man runs.", 4: "A dog  barks .", 8: "It rains."}


@pytest.fixture
def rows():
    return make_perturbations([ROW], SPECS, 0).rows


@pytest.fixture
def captions(rows):
    """Clips are told by their first frame; played backwards, as such."""
    told = {}
    for request in clip_requests(rows, ASKING):
        first, last = request.clip.slots[0].frame, request.clip.slots[-1].frame
        text = TOLD[first] if first < last else f"Backwards {TOLD[last][2:]}"
        told[request.request_id] = {"text": text, "stray": [], "ended": "end"}
    return told


def make(rows, captions, config=CONFIG, composer=None):
    composer = composer or JoinComposer(config.composer)
    placeholders = ["<|video_pad|>"] if config.composer.method == "model" else []
    source = FromCaptions(ASKING, captions, [composer], placeholders)
    return make_candidates([rows], MappingProxyType(captions), ASKING, source, config)


def test_unchanged_clips_share_their_request(rows) -> None:
    clean = ASKING.clean(rows[0])
    shuffled = ASKING.perturbed(rows[0], clean)
    assert sorted(r.request_id for r in shuffled) == sorted(r.request_id for r in clean) and shuffled != clean
    backwards = ASKING.perturbed(rows[1], clean)
    assert not {r.request_id for r in backwards} & {r.request_id for r in clean}
    assert len(clip_requests(rows, ASKING)) == 6
    assert clip_requests(rows[::-1], ASKING) == clip_requests(rows, ASKING)


def test_a_moved_clip_keeps_its_request_where_the_clock_wobbles() -> None:
    """True times are not evenly spaced: the same clip has other slot times at another place, and is the same question."""
    wobbly = VideoView(tuple(Slot("video-0", f, round(f / 2 + 0.01 * (f % 3), 6)) for f in range(8)), 2.0)
    bounds = [{"start": start, "stop": start + 4} for start in (0, 4)]
    (row,) = make_perturbations(
        [{**ROW, "view_id": wobbly.view_id, "view": wobbly.to_json(), "segments": bounds}],
        [PerturbationSpec(name="shuffle", strength=2)],
        0,
    ).rows
    clean = ASKING.clean(row)
    assert ASKING.perturbed(row, clean) == clean[::-1]


def test_request_ids_depend_on_all_that_decides_the_answer(rows) -> None:
    variants = [
        ASKING,
        Asking(CaptionConfig(prompt="What?"), "model-0", 0),
        Asking(CaptionConfig(max_new_tokens=9), "model-0", 0),
        Asking(CaptionConfig(), "model-1", 0),
        Asking(CaptionConfig(), "model-0", 1),
    ]
    assert len({asking.clean(rows[0])[0].request_id for asking in variants}) == len(variants)


def test_responses_follow_the_order_of_the_clips(rows, captions) -> None:
    result = make(rows, captions)
    responses = [row for row in result.rows if row["kind"] == "response"]
    assert {row["chosen"] for row in responses} == {"First, A man runs. Then, A dog barks. Finally, It rains."}
    assert len({row["prompt"] for row in responses}) == 1 and len({row["group_id"] for row in responses}) == 1
    assert responses[1]["rejected"] == "First, Backwards rains. Then, Backwards dog barks. Finally, Backwards man runs."
    assert responses[2]["rejected"] in ("A man runs.", "A dog barks.", "It rains.")
    assert {row["source"] for row in responses} == {"self"}


def test_questions_are_right_and_carry_their_parents(rows, captions) -> None:
    result = make(rows, captions)
    by_kind = {row["kind"]: row for row in result.rows}
    order = by_kind["order"]
    told = [text.rstrip(" .") for text in ("A man runs.", "A dog barks.", "It rains.")]
    assert told.index(order["chosen"].rstrip(".")) < told.index(order["rejected"].rstrip("."))
    assert order["source"] == "text" and order["name"] == "shuffle"
    match = by_kind["match"]
    assert match["chosen"].rstrip(".") in told and match["rejected"].startswith("Backwards")
    assert match["chosen"].rstrip(".") in match["prompt"] and match["rejected"].rstrip(".") in match["prompt"]
    for row in result.rows:
        assert set(row["chosen_requests"]) | set(row["rejected_requests"]) <= captions.keys()
        assert captions[row["chosen_requests"][-1]]["text"] != ""
    assert len({row["pair_id"] for row in result.rows}) == len(result.rows)


def test_image_space_asks_nothing_more_and_rejects_the_view(captions) -> None:
    blurred = make_perturbations([ROW], [PerturbationSpec(name="blur", strength=4)], 0).rows
    assert clip_requests(blurred, ASKING) == sorted(ASKING.clean(blurred[0]), key=lambda request: request.request_id)
    (row,) = make(blurred, captions).rows
    assert (
        row["kind"] == "view" and row["chosen"] == row["rejected"] == "First, A man runs. Then, A dog barks. Finally, It rains."
    )
    pair = candidate_pair(row)
    assert pair.rejected_view == pair.perturbed_view != pair.view and pair.other_videos == ()


def test_an_inserted_part_of_another_video_is_described_as_what_it_is(captions) -> None:
    other = VideoView(tuple(Slot("video-9", frame, frame / 2) for frame in range(12)), 2.0)
    pool = [Distractor("video-9", "nine.mp4", other.to_json())]
    inserted = make_perturbations([ROW], [PerturbationSpec(name="insert_distractor", strength=2)], 0, pool).rows
    clean = ASKING.clean(inserted[0])
    asked = ASKING.perturbed(inserted[0], clean)
    (foreign,) = [request for request in asked if request not in clean]
    assert foreign.clip.video_ids == ("video-9",) and len(asked) == 3
    captions[foreign.request_id] = {"text": "A boat sails.", "stray": [], "ended": "end"}
    result = make(inserted, captions)
    response, *questions = result.rows
    assert "A boat sails" in response["rejected"] and "boat" not in response["chosen"]
    assert [question["rejected"] for question in questions if question["kind"] == "match"] == ["A boat sails."]
    assert candidate_pair(response).paths == {"video-0": "a.mp4", "video-9": "nine.mp4"}


def test_another_video_that_cannot_be_read_costs_its_clips(tiny_checkpoint, tmp_path) -> None:
    other = VideoView(tuple(Slot("video-9", frame, frame / 2) for frame in range(4)), 2.0)
    request = ClipRequest("request-1", "video-0", "a.mp4", VIEW.view_id, other)
    model = load_video_lm(tiny_checkpoint)
    with FrameStore(tmp_path, {"video-0": "a.mp4", "video-9": "nine.mp4"}, model.policy) as frames:
        result = write_captions([request], ASKING, model, frames, 4)
    assert [(loss.id, loss.outcome, loss.reason) for loss in result.rejected] == [("request-1", "failed", "missing")]
    assert "nine.mp4" in result.rejected[0].detail and not result.rows


def test_lost_descriptions(rows, captions) -> None:
    gone, empty = ASKING.perturbed(rows[1], ASKING.clean(rows[1]))[:2]
    del captions[gone.request_id]
    result = make(rows, captions)
    assert [(loss.id, loss.outcome, loss.reason) for loss in result.rejected] == [
        (rows[1]["perturbation_id"], "failed", "no_caption")
    ]
    captions[gone.request_id] = {"text": "Back.", "stray": []}
    captions[empty.request_id] = {"text": " . ", "stray": []}
    assert [(loss.outcome, loss.reason) for loss in make(rows, captions).rejected] == [("filtered", "empty_caption")]
    clean = ASKING.clean(rows[0])[0]
    captions[clean.request_id] = {"text": "", "stray": []}
    assert len(make(rows, captions).rejected) == 3 and not make(rows, captions).rows


def test_stray_tokens_travel_with_the_pairs(rows, captions) -> None:
    clean = ASKING.clean(rows[0])[0]
    captions[clean.request_id]["stray"] = ["<|video_pad|>"]
    assert all(row["stray"] == ["<|video_pad|>"] for row in make(rows, captions).rows)


def test_connectives() -> None:
    spaced = JoinComposer(
        ComposerConfig(single="{0} .", first="first {0}", middle="then {0}", last="finally {0} .", separator=" , ")
    )
    assert spaced.compose([["a"], ["a", "b"], ["a", "b", "c", "d"]]) == [
        "a .",
        "first a , finally b .",
        "first a , then b , then c , finally d .",
    ]


def test_clip_text() -> None:
    texts = {" A man\nruns . ": "A man runs", "Is it {0}?": "Is it {0}?", "...": "", "A. B.": "A. B"}
    assert {text: clip_text(text) for text in texts} == texts


def test_braces_in_descriptions_are_text(rows, captions) -> None:
    for caption in captions.values():
        caption["text"] += " {a} {0}"
    assert any("{a} {0}" in row["chosen"] for row in make(rows, captions).rows)


def test_the_model_merges_descriptions(rows, captions, tiny_checkpoint) -> None:
    config = CONFIG.model_copy(update={"composer": ComposerConfig(method="model", max_new_tokens=5)})
    composer = ModelComposer(config.composer, load_video_lm(tiny_checkpoint), None, 4, 0)
    texts = composer.compose([["a", "b"], ["b", "a"], ["a", "b"]])
    assert texts[0] == texts[2] and len(texts) == 3
    result = make(rows, captions, config, composer)
    assert len({row["chosen"] for row in result.rows if row["kind"] == "response"}) == 1
    clean = ASKING.clean(rows[0])[0]
    captions[clean.request_id]["text"] = "a <|video_pad|> here"
    lost = make(rows, captions, config, composer).rejected
    assert {(loss.outcome, loss.reason) for loss in lost} == {("filtered", "placeholder")}
