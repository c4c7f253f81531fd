import pytest

from vtalign_eval.contamination.text import gram_size, text_matches, words_of

QUESTION = "Which of the two things that happen in the video comes first, the fall or the jump?"  # 17 words


def test_words_ignore_case_punctuation_and_width() -> None:
    assert words_of("The man's  HAT — is it ＲＥＤ?") == ["the", "man", "s", "hat", "is", "it", "red"]


@pytest.mark.parametrize(("words", "size"), [(7, None), (8, 8), (12, 12), (13, 13), (40, 13)])
def test_short_questions_are_matched_whole_and_very_short_ones_not_at_all(words: int, size: int | None) -> None:
    assert gram_size(words, 13, 8) == size


def test_thirteen_words_in_a_row_are_a_match_and_twelve_are_not() -> None:
    words = words_of(QUESTION)
    texts = {"thirteen": "so: " + " ".join(words[2:15]).upper(), "twelve": " ".join(words[2:14]) + " something else"}
    (match,) = text_matches({"q": QUESTION}, texts, 13, 8)
    assert (match.question, match.texts) == ("q", ("thirteen",))
    assert match.overlap == " ".join(words[2:15])
    assert match.share == 1 / 5  # one of the question's five 13-grams
    assert text_matches({"q": QUESTION}, {"twelve": texts["twelve"]}, 13, 8) == []
    assert len(text_matches({"q": QUESTION}, {"twelve": texts["twelve"]}, 12, 8)) == 1


def test_the_overlap_is_the_longest_run_that_is_covered() -> None:
    words = words_of(QUESTION)
    apart = {"begin": " ".join(words[:5]), "end": " ".join(words[6:])}
    (match,) = text_matches({"q": QUESTION}, apart, 5, 5)
    assert match.overlap == " ".join(words[6:]) and match.texts == ("begin", "end")
    (whole,) = text_matches({"q": QUESTION}, {"same": QUESTION}, 5, 5)
    assert (whole.overlap, whole.share) == (" ".join(words), 1.0)


def test_a_question_below_thirteen_words_must_be_there_as_a_whole() -> None:
    question = "In which direction does the red ball roll now?"  # 9 words
    assert text_matches({"q": question}, {"t": "in which direction does the red ball roll"}, 13, 8) == []
    assert len(text_matches({"q": question}, {"t": "Tell me: " + question}, 13, 8)) == 1
    assert text_matches({"q": "What happens in the video?"}, {"t": "What happens in the video?"}, 13, 8) == []
