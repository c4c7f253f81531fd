"""The page is one file: escaped, and nothing in it points outside."""

import re

import pytest
from markupsafe import Markup

from vtalign.report.page import Section, Tile, page
from vtalign.report.tables import table, text_table

HOSTILE = '<script>alert("x")</script>'


def test_plain_text_is_escaped_everywhere() -> None:
    text = page(
        HOSTILE,
        HOSTILE,
        [Section(HOSTILE, HOSTILE, [table([HOSTILE], [[HOSTILE]], HOSTILE)])],
        [Tile(HOSTILE, HOSTILE, HOSTILE)],
        HOSTILE,
    )
    assert "<script" not in text
    assert text.count("&lt;script&gt;") == 12  # the title stands twice


def test_blocks_are_trusted_markup_and_plain_blocks_are_not() -> None:
    assert "<b>kept</b>" in page("t", "l", [Section("s", blocks=[Markup("<b>kept</b>")])])
    assert "&lt;b&gt;" in page("t", "l", [Section("s", blocks=["<b>text</b>"])])  # type: ignore[list-item]


def test_control_characters_of_replies_are_shown_and_not_sent() -> None:
    text = page("t", "\x1b[2Jgone\x00\x7f", [Section("s", blocks=[text_table(["a"], [["tab\there\nand\x08"]])])])
    assert "\u241b[2Jgone\u2400\u2421" in text and "tab\there\nand\u2408" in text
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", text)


def test_a_page_refers_to_nothing_outside() -> None:
    text = page("t", "l", [Section("s", blocks=[table(["a"], [["b"]])])], [Tile("a", "1")])
    assert not re.search(r"https?:|//[a-z]|@import|<link|<script|url\(", text)


@pytest.mark.parametrize(
    ("values", "aligned"),
    [
        ([1, 2345], True),
        (["+1.5", "−0.3"], True),
        ([1, ""], True),
        ([1, "n/a"], False),
        (["", ""], False),
        (["01-ingest", "kept"], False),
        (["01-scan (files)", "", "03c-shots"], False),
        (["12.3 s", "[1.0, 2.0]", "2-3"], True),
    ],
)
def test_a_column_is_aligned_right_only_when_all_of_it_is_numbers(values: list[object], aligned: bool) -> None:
    text = table(["column"], [[value] for value in values])
    assert (text.count('class="number"') == 1 + len(values)) is aligned
    assert aligned or 'class="number"' not in text


def test_texts_that_begin_with_a_number_are_texts() -> None:
    assert 'class="number"' not in text_table(["question"], [["2 balls fall, which one first?"]])
