"""Cards of conflict groups: right and wrong in words, texts as texts."""

import re

import numpy as np

from vtalign.report.conflict_groups import GroupCard, Sibling, group_card, shortened


def sibling(text: str | None, *, correct: bool) -> Sibling:
    strip = {"title": "shown to the model (all 2 frames)", "frames": np.zeros((2, 8, 8, 3), np.uint8), "captions": ["0 s", "1 s"]}
    said = {"who": "the model", "text": text, "correct": correct, "note": "read as <left>"}
    return {"video": "a.mp4", "answer": "left", "strips": [strip], "no_strips": "", "replies": [said]}  # type: ignore[list-item]


def card(*siblings: Sibling) -> GroupCard:
    return {"title": "order", "question": "First?\nA. <b>", "options": [], "siblings": siblings}


def test_verdicts_are_words_and_not_colours_alone() -> None:
    text = group_card(card(sibling("left", correct=True), sibling("left", correct=False)))
    assert text.count("✓ right") == 1 and text.count("✗ wrong") == 1
    assert text.count("“left”") == 2 and text.count("(read as &lt;left&gt;)") == 2


def test_no_reply_and_an_empty_one_are_told_apart() -> None:
    text = group_card(card(sibling(None, correct=False), sibling("", correct=False)))
    assert text.count("no reply") == 1 and text.count("an empty reply") == 1


def test_every_frame_has_its_words_and_the_question_is_escaped() -> None:
    text = group_card(card(sibling("left", correct=True)))
    assert re.findall(r'alt="([^"]*)"', text) == [f"shown to the model (all 2 frames): {k} s" for k in (0, 1)]
    assert "A. &lt;b&gt;" in text and "<b>" not in text.replace('<b class="right">', "")


def test_endless_text_is_cut_and_says_how_long_it_was() -> None:
    assert shortened("x" * 400) == "x" * 400
    assert shortened("x" * 1401) == "x" * 400 + " … (1,401 characters)"
    assert len(group_card(card(sibling("x" * 10**6, correct=False)))) < 10_000
