"""What only one text says is marked, and without the marks both texts are as they were."""

from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup, escape

from vtalign.report.diff import diff_words, differing_words

MARKS = ('<mark class="chosen">', '<mark class="rejected">', "</mark>")


def unmarked(text: Markup) -> str:
    plain = str(text)
    for mark in MARKS:
        plain = plain.replace(mark, "")
    return plain


def test_only_what_differs_is_marked() -> None:
    chosen, rejected = diff_words("a red square moves right.", "a red square moves left.")
    assert chosen == 'a red square moves <mark class="chosen">right</mark>.'
    assert rejected == 'a red square moves <mark class="rejected">left</mark>.'


def test_neighbouring_words_share_one_mark() -> None:
    assert diff_words("it grows very slowly now", "it shrinks now")[0] == 'it <mark class="chosen">grows very slowly</mark> now'


def test_markup_in_a_response_stays_text() -> None:
    _, rejected = diff_words("a dog", "a <script>alert(1)</script> dog")
    assert "<script" not in rejected and "&lt;" in rejected


@given(st.text(max_size=60), st.text(max_size=60))
def test_marks_change_no_character(left: str, right: str) -> None:
    chosen, rejected = diff_words(left, right)
    assert unmarked(chosen) == str(escape(left)) and unmarked(rejected) == str(escape(right))


@given(st.text(max_size=60))
def test_equal_texts_have_no_marks(text: str) -> None:
    assert "<mark" not in diff_words(text, text)[0]


def test_a_response_that_repeats_itself_is_not_compared_word_by_word() -> None:
    """A thousand words that say one thing would take minutes; what is the same at both ends is still not marked."""
    chosen, rejected = "It begins. " + "on and " * 2000 + "ends.", "It begins. " + "and so on " * 2000 + "ends."
    (only_chosen,), (only_rejected,) = differing_words(chosen, rejected)
    assert (only_chosen, only_rejected) == ((11, len(chosen) - 6), (11, len(rejected) - 6))


def test_marks_are_characters_of_the_texts() -> None:
    assert differing_words("a red  square", "a blue square,") == ([(2, 5)], [(2, 6), (13, 14)])
