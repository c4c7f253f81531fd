import string

from hypothesis import given
from hypothesis import strategies as st

from vtalign_data.config import QuestionConfig
from vtalign_data.questions import Asked, QuestionWriter, ToldClip, after_questions, match_questions, order_questions


def told(texts: str, sources: list[int] | None = None) -> list[ToldClip]:
    """One clip per letter."""
    places = sources or list(range(len(texts)))
    return [ToldClip(text, f"request-{text}", source) for text, source in zip(texts, places, strict=True)]


def pairs(questions: list[Asked]) -> list[tuple[str, str]]:
    return [(question.right.text, question.wrong.text) for question in questions]


def test_order_by_hand() -> None:
    assert pairs(order_questions(told("abc"), told("acb"))) == [("b", "c")]
    assert pairs(order_questions(told("abc"), told("cba"))) == [("a", "b"), ("a", "c"), ("b", "c")]
    assert pairs(order_questions(told("abc"), told("ac"))) == []
    assert pairs(order_questions(told("aba"), told("baa"))) == []  # `a` names no single clip


def test_after_by_hand() -> None:
    asked = after_questions(told("abc"), told("acb"))
    assert [(q.anchor.text, q.right.text, q.wrong.text) for q in asked if q.anchor] == [("a", "b", "c")]
    assert after_questions(told("abc"), told("cab")) == []  # b follows a in both, c follows nothing
    assert pairs(after_questions(told("abcd"), told("acd"))) == [("b", "c")]


def test_match_by_hand() -> None:
    """Clip 0 is told as x once perturbed."""
    assert pairs(match_questions(told("ab"), told("xb"))) == [("a", "x")]
    assert pairs(match_questions(told("ab"), told("bb"))) == []  # b is true of the clean video as well
    assert pairs(match_questions(told("abc"), told("xay", [2, 0, 1]))) == [("c", "x"), ("b", "y")]
    assert pairs(match_questions(told("ab"), told("xa", [0, 1]))) == [("b", "a")][:0]  # a is told of both


sequences = st.text(string.ascii_lowercase[:5], min_size=1, max_size=7)


@given(sequences, sequences)
def test_the_right_answer_is_true_of_the_clean_sequence_only(clean: str, perturbed: str) -> None:
    a, b = told(clean), told(perturbed, [k % len(clean) for k in range(len(perturbed))])
    for question in order_questions(a, b):
        first, second = question.right.text, question.wrong.text
        assert clean.index(first) < clean.index(second) and perturbed.index(second) < perturbed.index(first)
        assert all(clean.count(text) == perturbed.count(text) == 1 for text in (first, second))
    for question in after_questions(a, b):
        assert question.anchor is not None
        anchor = question.anchor.text
        assert anchor + question.right.text in clean and anchor + question.wrong.text not in clean
        assert anchor + question.wrong.text in perturbed and anchor + question.right.text not in perturbed
    for question in match_questions(a, b):
        assert question.right.text in clean and question.right.text not in perturbed
        assert question.wrong.text in perturbed and question.wrong.text not in clean


@given(sequences)
def test_the_same_sequence_gives_no_question(clean: str) -> None:
    for make in (order_questions, after_questions, match_questions):
        assert make(told(clean), told(clean)) == []


def test_options_are_balanced_and_nothing_is_asked_twice() -> None:
    config = QuestionConfig(per_perturbation=3, order=("{a}|{b}",), after=("{a}",), match=("{a}|{b}",))
    first, second = 0, 0
    for number in range(40):
        writer = QuestionWriter(config, f"view-{number}", seed=1)
        asked = writer.ask(told("abcd"), told("dcba"))
        again = writer.ask(told("abcd"), told("dcba"))
        contents = [question.content for _, question in (*asked, *again)]
        assert len(set(contents)) == len(contents)
        here = [text.startswith(question.right.text) for text, question in (*asked, *again) if question.kind == "order"]
        assert len(here) == 6 and sum(here) == 3
        first, second = first + here[0], second + (not here[0])
    assert first > 8 and second > 8  # which half comes first is drawn by view


def test_the_writer_is_a_function_of_view_and_seed() -> None:
    def ask(view_id: str, seed: int) -> list[str]:
        return [text for text, _ in QuestionWriter(QuestionConfig(), view_id, seed).ask(told("abcdef"), told("fedcba"))]

    assert ask("view-1", 0) == ask("view-1", 0)
    assert len({tuple(ask(f"view-{k}", 0)) for k in range(8)}) > 4
    assert len({tuple(ask("view-1", k)) for k in range(8)}) > 4
