import pytest

from vtalign.judging.verdict import read_verdict


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("Correct", True),
        ("**Incorrect**.", False),
        ("Verdict: correct", True),
        ("<think>Incorrect?</think>Correct", True),
        ("Because it says so.\nIncorrect", False),
        ("Correct\nIncorrect", None),
        ("Correct, though partly incorrect", None),
        ("Correctly done", None),
        ("I cannot tell", None),
        ("", None),
    ],
)
def test_only_one_clear_word_is_a_verdict(said: str, verdict: bool | None) -> None:
    assert read_verdict(said) is verdict
