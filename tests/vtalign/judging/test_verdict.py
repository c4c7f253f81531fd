import pytest

from vtalign.judging.verdict import read_verdict, without_thoughts


@pytest.mark.parametrize(
    ("said", "right"),
    [
        ("Correct", True),
        ("Incorrect", False),
        ("**Incorrect**.", False),
        ("incorrect.", False),
        ("**Correct**", True),
        ("Verdict: Correct", True),
        ("Correct\nThe reply names the right option.", True),
        ("Incorrect\nThe correct answer is B.", False),
        ("Correct. The reply names the right option.", None),
        ("Correct. On reflection the reply is not correct", None),
        ("Correct, but it names both, so it is wrong", None),
        ("correct: no", None),
        ("Correct\nActually wrong", None),
        ("Correct\nNo, it isn't.", None),
        ("The reply means left.\n\nIncorrect", False),
        ("<think>Is it correct? Correct, I think.</think>\nIncorrect", False),
        ("<think>not incorrect</think>Correct", True),
        ("", None),
        ("Yes", None),
        ("Correct or Incorrect", None),
        ("Correct\nIncorrect", None),
        ("Correct. No: incorrect.", None),
        ("Correctly said", None),
        ("Correct, though partly incorrect", None),
        ("Correct answer is B", None),
        ("The reply is not correct.", None),
        ("I cannot say whether this is Correct", None),
    ],
)
def test_a_verdict_is_one_word_that_stands_alone(said: str, right: bool | None) -> None:
    assert read_verdict(said) is right


def test_thoughts_end_with_their_last_mark() -> None:
    assert without_thoughts("<think>a</think>b</think>\nCorrect") == "\nCorrect"
    assert without_thoughts("<think>cut off") == "<think>cut off"
