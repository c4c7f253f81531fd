"""Rows exactly as the trainers' own readers take them, and what of other people's rows is a pair."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtalign.preference.exports.formats import FORMATS, FormatName
from vtalign.preference.exports.llamafactory import dataset_info
from vtalign.preference.exports.row import PreferenceRow, RowError

ROW = PreferenceRow(
    "Describe the order of events.",
    "He opens the fridge, then pours milk.",
    "He pours milk, then opens the fridge.",
    video="clips/0001.mp4",
)
SWIFT_TURNS = [
    {"role": "user", "content": "<video>Describe the order of events."},
    {"role": "assistant", "content": "He opens the fridge, then pours milk."},
]


def reason_of(form: FormatName, item: dict[str, Any]) -> str:
    with pytest.raises(RowError) as caught:
        FORMATS[form].read(item)
    return caught.value.reason


def test_ms_swift() -> None:
    line = FORMATS["ms-swift"].write(replace(ROW, video="/data/clips/0001.mp4"))
    assert line == {
        "messages": SWIFT_TURNS,
        "rejected_response": "He pours milk, then opens the fridge.",
        "videos": ["/data/clips/0001.mp4"],
    }


def test_ms_swift_with_two_videos() -> None:
    row = replace(ROW, rejected=ROW.chosen, video="/data/clips/0001.mp4", rejected_video="/data/perturbed/0001.mp4")
    assert FORMATS["ms-swift"].write(row) == {
        "messages": SWIFT_TURNS,
        "videos": ["/data/clips/0001.mp4"],
        "rejected_videos": ["/data/perturbed/0001.mp4"],
    }


def test_llamafactory() -> None:
    assert FORMATS["llamafactory"].write(ROW) == {
        "conversations": [{"from": "human", "value": "<video>Describe the order of events."}],
        "chosen": {"from": "gpt", "value": "He opens the fridge, then pours milk."},
        "rejected": {"from": "gpt", "value": "He pours milk, then opens the fridge."},
        "videos": ["clips/0001.mp4"],
    }
    assert dataset_info() == {
        "vtalign_dpo": {
            "file_name": "vtalign_dpo.json",
            "formatting": "sharegpt",
            "ranking": True,
            "columns": {"messages": "conversations", "chosen": "chosen", "rejected": "rejected", "videos": "videos"},
        }
    }


def test_trl() -> None:
    assert FORMATS["trl"].write(replace(ROW, frames=("f/0.jpg", "f/1.jpg"))) == {
        "prompt": [{"role": "user", "content": "Describe the order of events."}],
        "chosen": [{"role": "assistant", "content": "He opens the fridge, then pours milk."}],
        "rejected": [{"role": "assistant", "content": "He pours milk, then opens the fridge."}],
        "images": ["f/0.jpg", "f/1.jpg"],
        "video": "clips/0001.mp4",
    }


def test_rrpo() -> None:
    row = PreferenceRow(
        "What is it?",
        "This is a correct or preferred answer.",
        "This is an incorrect or non-preferred answer.",
        video="video.mp4",
        chosen_spans=((10, 17), (21, 30)),
        rejected_spans=((11, 20), (24, 37)),
        id="pair-0",
        source="self",
    )
    assert FORMATS["rrpo"].write(row) == {
        "question": "<image>\nWhat is it?",
        "answer": "This is a correct or preferred answer.",
        "pred": "This is an incorrect or non-preferred answer.",
        "answer_masked": "This is a <MASK> correct </MASK> or <MASK> preferred </MASK> answer.",
        "pred_masked": "This is an <MASK> incorrect </MASK> or <MASK> non-preferred </MASK> answer.",
        "src": "self",
        "sample_id": "pair-0",
        "video": "video.mp4",
        "media_path": "video.mp4",
    }


def test_rrpo_marks_what_differs_where_a_row_has_no_spans() -> None:
    written = FORMATS["rrpo"].write(replace(ROW, chosen="He sits down.", rejected="He stands up."))
    assert written["answer_masked"] == "He <MASK> sits down </MASK>."
    assert written["pred_masked"] == "He <MASK> stands up </MASK>."
    with pytest.raises(RowError, match="no_phrases"):
        FORMATS["rrpo"].write(replace(ROW, chosen="same", rejected="same  "))
    with pytest.raises(RowError, match="passes over such a sample"):
        FORMATS["rrpo"].write(replace(ROW, chosen="the ball rolls", rejected="the ball rolls left"))


@pytest.mark.parametrize("form", ["trl", "llamafactory", "rrpo"])
def test_formats_of_one_video_refuse_two(form: FormatName) -> None:
    with pytest.raises(RowError, match="second_video"):
        FORMATS[form].write(replace(ROW, rejected_video="other.mp4"))


@pytest.mark.parametrize("form", ["ms-swift", "llamafactory"])
def test_rows_of_text_alone(form: FormatName) -> None:
    written = FORMATS[form].write(replace(ROW, video=None))
    assert written["videos"] == [] and "<video>" not in str(written)
    assert FORMATS[form].read(written) == replace(ROW, video=None)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("side", ["prompt", "chosen", "rejected"])
def test_a_tag_inside_a_text_is_refused(form: FormatName, side: str) -> None:
    changes: dict[str, Any] = {side: "is <video> a tag?"}
    with pytest.raises(RowError, match=f"{side} holds <video>"):
        FORMATS[form].write(replace(ROW, **changes))


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(
    lambda text: text.strip() and text == text.strip("\n") and "<" not in text
)


@pytest.mark.parametrize("form", FORMATS)
@given(prompt=TEXTS, chosen=TEXTS, rejected=TEXTS)
def test_what_is_written_is_read(form: FormatName, prompt: str, chosen: str, rejected: str) -> None:
    row = PreferenceRow(prompt, chosen, rejected, video="a b/ü.mp4")
    try:
        written = FORMATS[form].write(row)
    except RowError as error:
        assert form == "rrpo" and error.reason == "no_phrases"
        return
    if chosen == rejected:
        assert form != "rrpo" and reason_of(form, written) in ("equal_sides", "missing_field")
        return
    read = FORMATS[form].read(written)
    assert (read.prompt, read.chosen, read.rejected, read.video) == (prompt, chosen, rejected, row.video)
    assert read.notes == ()


def test_two_videos_are_read_again() -> None:
    row = replace(ROW, rejected=ROW.chosen, rejected_video="other.mp4")
    assert FORMATS["ms-swift"].read(FORMATS["ms-swift"].write(row)) == row
    both = replace(ROW, rejected_video="other.mp4")
    assert FORMATS["ms-swift"].read(FORMATS["ms-swift"].write(both)) == both


def swift(**changes: Any) -> dict[str, Any]:
    return {"messages": SWIFT_TURNS, "rejected_response": "no", "videos": ["a.mp4"], **changes}


def test_other_ways_to_say_it_in_ms_swift() -> None:
    expected = PreferenceRow(ROW.prompt, ROW.chosen, "no", video="a.mp4")
    answer = {"role": "assistant", "content": "no"}
    for line in (
        swift(),
        swift(videos="a.mp4"),
        swift(rejected_response=[answer]),
        swift(rejected_response=None, rejected_messages=[SWIFT_TURNS[0], answer], rejected_videos=["a.mp4"]),
        swift(messages=[{"role": "user", "content": "Describe the order of events.\n<video>"}, SWIFT_TURNS[1]]),
    ):
        assert FORMATS["ms-swift"].read(line) == expected


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"messages": None}, "wrong_type"),
        ({"messages": SWIFT_TURNS[:1]}, "turns"),
        ({"messages": SWIFT_TURNS * 2}, "turns"),
        ({"messages": [{"role": "system", "content": "Be short."}, *SWIFT_TURNS]}, "not_expressible"),
        ({"messages": [SWIFT_TURNS[0], {"role": "assistant", "content": None}]}, "wrong_type"),
        ({"messages": [SWIFT_TURNS[0], {"role": "assistant", "content": " "}]}, "empty_text"),
        ({"rejected_response": None}, "missing_field"),
        ({"rejected_response": 3}, "wrong_type"),
        ({"rejected_response": ROW.chosen}, "equal_sides"),
        ({"rejected_response": "half \ud83d"}, "not_unicode"),
        ({"rejected_response": "<image>"}, "tag_in_text"),
        ({"rejected_response": None, "rejected_messages": SWIFT_TURNS}, "video_tags"),
        ({"rejected_response": None, "rejected_videos": ["a.mp4"]}, "equal_sides"),
        ({"videos": []}, "video_tags"),
        ({"videos": ["a.mp4", "b.mp4"]}, "several_videos"),
        ({"videos": [["0.jpg", "1.jpg"]]}, "frame_list"),
        ({"videos": {"path": "a.mp4"}}, "wrong_type"),
        ({"videos": [3]}, "wrong_type"),
        ({"images": ["a.jpg"]}, "not_expressible"),
        ({"messages": [{"role": "user", "content": "<video><video>What?"}, SWIFT_TURNS[1]]}, "video_tags"),
        ({"messages": [{"role": "user", "content": "In <video> what?"}, SWIFT_TURNS[1]]}, "video_tags"),
        ({"messages": [{"role": "user", "content": "<video>"}, SWIFT_TURNS[1]]}, "empty_text"),
    ],
)
def test_what_is_no_pair_in_ms_swift(changes: dict[str, Any], reason: str) -> None:
    assert reason_of("ms-swift", swift(**changes)) == reason


def test_other_ways_to_say_it_in_llamafactory() -> None:
    messages = [{"role": "user", "content": "<video>Why?"}]
    item = {"messages": messages, "chosen": "a", "rejected": {"role": "assistant", "content": "b"}, "videos": ["v.mp4"]}
    assert FORMATS["llamafactory"].read(item) == PreferenceRow("Why?", "a", "b", video="v.mp4")
    assert reason_of("llamafactory", {**item, "rejected": None}) == "missing_field"
    assert reason_of("llamafactory", {**item, "rejected": {"role": "user", "content": "b"}}) == "turns"
    assert reason_of("llamafactory", {"chosen": "a", "rejected": "b"}) == "missing_field"
    assert reason_of("llamafactory", {**item, "messages": messages * 2}) == "turns"


def test_other_ways_to_say_it_in_trl() -> None:
    parts = [{"type": "image", "text": None}, {"type": "image", "text": None}, {"type": "text", "text": "Why?"}]
    item = {
        "prompt": [{"role": "user", "content": parts}],
        "chosen": "a",
        "rejected": "b",
        "images": ["0", "1"],
        "video": "v.mp4",
    }
    assert FORMATS["trl"].read(item) == PreferenceRow("Why?", "a", "b", video="v.mp4")
    assert reason_of("trl", {**item, "video": None}) == "no_video"
    assert reason_of("trl", {**item, "prompt": None}) == "missing_field"
    assert reason_of("trl", {**item, "prompt": [{"role": "user", "content": [{"type": "audio"}]}]}) == "not_expressible"


def rrpo(**changes: Any) -> dict[str, Any]:
    sample = {
        "question": "<image>\nWhy?",
        "answer": "It falls.",
        "pred": "It rises.",
        "src": "x",
        "sample_id": 7,
        "video": "v.mp4",
    }
    return {**sample, **changes}


def test_samples_that_rrpo_released() -> None:
    read = FORMATS["rrpo"].read(rrpo(answer_masked="It <MASK> falls </MASK>.", pred_masked="It <MASK>rises</MASK> ."))
    assert read == PreferenceRow(
        "Why?",
        "It falls.",
        "It rises.",
        video="v.mp4",
        chosen_spans=((3, 8),),
        rejected_spans=((3, 8),),
        id="7",
        source="x",
    )
    assert FORMATS["rrpo"].read(rrpo(video=None, media_path="w.mp4")).video == "w.mp4"
    assert FORMATS["rrpo"].read(rrpo(question="Why?")).prompt == "Why?"
    assert FORMATS["rrpo"].read(rrpo()).chosen_spans == ()


def test_masks_that_cannot_be_followed_cost_no_pair() -> None:
    other = FORMATS["rrpo"].read(rrpo(answer_masked="It <MASK> drops </MASK>.", pred_masked="It <MASK> rises </MASK>."))
    assert (other.chosen_spans, other.rejected_spans, other.notes) == ((), (), ("masks_of_another_text",))
    half = FORMATS["rrpo"].read(rrpo(answer_masked="It <MASK> falls </MASK>."))
    assert (half.chosen_spans, half.rejected_spans, half.notes) == ((), (), ("masks_of_another_text",))
    odd = FORMATS["rrpo"].read(rrpo(answer_masked="It <MASK> falls.", pred_masked="It <MASK> rises </MASK>."))
    assert (odd.chosen_spans, odd.notes) == (((3, 9),), ("odd_mask_tags",))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"answer": None}, "missing_field"),
        ({"pred": ["b"]}, "wrong_type"),
        ({"pred": "It falls."}, "equal_sides"),
        ({"pred": "It <MASK> rises </MASK>."}, "tag_in_text"),
        ({"question": "<image>\n<image>\nWhy?"}, "video_tags"),
        ({"answer_masked": 3, "pred_masked": "It rises."}, "wrong_type"),
    ],
)
def test_what_is_no_pair_in_rrpo(changes: dict[str, Any], reason: str) -> None:
    assert reason_of("rrpo", rrpo(**changes)) == reason
