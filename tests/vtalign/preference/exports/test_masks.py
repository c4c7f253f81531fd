import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtalign.preference.exports.masks import masked_text, read_masks
from vtalign.preference.words import split_words


def phrases(masked: str, text: str) -> list[str] | None:
    read = read_masks(masked, text)
    return None if read is None else [text[start:stop] for start, stop in read[0]]


@pytest.mark.parametrize(
    ("masked", "text", "expected", "paired"),
    [
        ("a <MASK> b </MASK> c", "a b c", ["b"], True),
        ("<MASK>a b</MASK> c", "a b c", ["a b"], True),
        ("a<MASK> b</MASK>, c", "a b, c", ["b"], True),
        ("a <MASK> b </MASK> <MASK> c </MASK>", "a b c", ["b", "c"], True),
        ("a <mask>  b </ MASK >  c", "a b c", ["b"], True),
        ("a <MASK> </MASK> b", "a b", [], True),
        ("a b", "a b", [], True),
        ("<MASK> a <MASK> b </MASK> c </MASK> d", "a b c d", ["a b c"], True),
        ("a <MASK> b", "a b", ["b"], False),
        ("a </MASK> b", "a b", [], False),
        ("a <MASK> b <MASK> c </MASK> d", "a b c d", ["b c"], False),
        ("a </MASK> b <MASK> c", "a b c", ["c"], False),
        ("<MASK> a </MASK> b </MASK> c", "a b c", ["a"], False),
        ("<MASK> ü 🎬 </MASK>\n- x", "ü 🎬\n- x", ["ü 🎬"], True),
    ],
)
def test_by_hand(masked: str, text: str, expected: list[str], paired: bool) -> None:
    assert phrases(masked, text) == expected
    read = read_masks(masked, text)
    assert read is not None and read[1] is paired


def test_masks_of_another_text_are_none() -> None:
    assert read_masks("a <MASK> b </MASK>", "a c") is None
    assert read_masks("A <MASK> b </MASK>", "a b") is None


@given(st.lists(st.text(alphabet="abü🎬.,- \n", min_size=1, max_size=6), min_size=1, max_size=8), st.data())
def test_spans_of_words_survive(pieces: list[str], data: st.DataObject) -> None:
    text = " ".join(pieces)
    words = split_words(text)
    marked = data.draw(st.lists(st.booleans(), min_size=len(words), max_size=len(words)))
    spans = tuple((word.start, word.stop) for word, is_marked in zip(words, marked, strict=True) if is_marked)
    assert read_masks(masked_text(text, spans), text) == (spans, True)
