import pytest

from vtalign.judging.config import JudgeConfig
from vtalign_data.annotated.annotation import Annotation, prompt_of
from vtalign_data.annotated.config import AnnotationConfig
from vtalign_data.annotated.correctness import chosen_option, token_f1, verdict_by_rule
from vtalign_data.annotated.forms import truth_in_form_of

CONFIG = AnnotationConfig()
WHERE = Annotation("qa", "Where does the ball go?", "to the left", ("to the right", "to the left", "up"))
MOVES = Annotation("qa", "Does the ball move?", "Yes", ())
WHAT = Annotation("qa", "What runs?", "a brown dog")
CAPTION = Annotation("caption", "", "A man opens a door and walks out.")


def test_how_each_is_asked() -> None:
    assert prompt_of(WHERE, CONFIG).splitlines() == [
        "Where does the ball go?", "A. to the right", "B. to the left", "C. up", "Answer with the letter of the right option."
    ]  # fmt: skip
    assert prompt_of(MOVES, CONFIG) == "Does the ball move?\nAnswer yes or no."
    assert prompt_of(WHAT, CONFIG) == "What runs?" and prompt_of(CAPTION, CONFIG) == CONFIG.caption_prompt


@pytest.mark.parametrize(
    ("reply", "taken"),
    [
        ("B", "to the left"),
        ("b.", "to the left"),
        ("(B)", "to the left"),
        ("B. to the left", "to the left"),
        ("To the left.", "to the left"),
        ("The answer is C, because it flies.", "up"),
        ("It goes to the right", "to the right"),
        ("A ball", None),
        ("A or B", None),
        ("It does not go up", None),
        ("I cannot see it", None),
        ("", None),
    ],
)
def test_which_option_is_taken(reply: str, taken: str | None) -> None:
    assert chosen_option(reply, WHERE) == taken
    verdict = {None: "undecided", "to the left": "right"}.get(taken, "wrong")
    assert verdict_by_rule(reply, WHERE, CONFIG) == verdict


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ("Yes", "right"),
        ("yes, it does", "right"),
        ("No.", "wrong"),
        ("No, it does not move.", "wrong"),
        ("Nobody knows", "undecided"),
        ("Yes and no", "undecided"),
        ("No idea", "undecided"),
        ("No way to tell", "undecided"),
        ("No ball is there", "undecided"),
        ("The answer is yes.", "right"),
        ("No. It stands still. Is it day? Yes.", "wrong"),
    ],
)
def test_yes_and_no(reply: str, verdict: str) -> None:
    assert verdict_by_rule(reply, MOVES, CONFIG) == verdict


@pytest.mark.parametrize(
    ("annotation", "reply", "verdict"),
    [
        (WHAT, "A brown dog.", "right"),
        (WHAT, "I see a brown dog there", "right"),
        (WHAT, "cat", "wrong"),
        (WHAT, "the dog", "undecided"),
        (WHAT, "an ox", "wrong"),
        (CAPTION, "a man opens a door and walks out", "right"),
        (CAPTION, "A man opens a door.", "undecided"),
        (CAPTION, "Two birds fly over water.", "wrong"),
    ],
)
def test_open_answers_are_wrong_by_rule_only_where_asked_and_few_words_are_shared(
    annotation: Annotation, reply: str, verdict: str
) -> None:
    asked = AnnotationConfig(max_overlap_answer=0.0, max_overlap_caption=0.5)
    assert verdict_by_rule(reply, annotation, asked) == verdict
    judge = JudgeConfig(model="judge")
    for config in (CONFIG, asked.model_copy(update={"judge": judge})):
        assert verdict_by_rule(reply, annotation, config) == ("right" if verdict == "right" else "undecided")


@pytest.mark.parametrize(
    ("reply", "truth"), [("2", "two"), ("A bicycle.", "bike"), ("He runs.", "running"), ("Downwards", "down")]
)
def test_a_paraphrase_is_not_called_wrong(reply: str, truth: str) -> None:
    assert verdict_by_rule(reply, Annotation("qa", "What?", truth), CONFIG) == "undecided"


def test_options_that_are_letters_or_yes_and_no() -> None:
    letters = Annotation("qa", "Which?", "C", ("C", "A", "B"))
    assert [chosen_option(reply, letters) for reply in ("A", "B", "C", "A. C")] == [None, None, None, "C"]
    words = Annotation("qa", "Does it move?", "Yes", ("Yes", "No"))
    said = ["No idea.", "No way to tell", "No.", "Yes, it does", "B", "A. Yes"]
    assert [chosen_option(reply, words) for reply in said] == [None, None, "No", "Yes", "No", "Yes"]


def test_token_f1_by_hand() -> None:
    assert token_f1("a dog runs", "The dog, a cat") == pytest.approx(2 * 1 / (2 + 2))
    assert token_f1("a dog", "a bird") == 0.0 and token_f1("a dog", "birds") == 0.0 and token_f1("Dog!", "dog") == 1.0


@pytest.mark.parametrize(
    ("annotation", "reply", "truth"),
    [
        (WHERE, "A", "B"),
        (WHERE, "(a)", "(b)"),
        (WHERE, "C.", "B."),
        (WHERE, "A. to the right", "B. to the left"),
        (WHERE, "A: To the right.", "B: To the left."),
        (WHERE, "Up.", "To the left."),
        (WHERE, "It goes up because it flies", "B. to the left"),
        (MOVES, "No", "Yes"),
        (MOVES, "no.", "yes."),
        (MOVES, "NO", "YES"),
        (MOVES, "No, it stands", "Yes."),
        (WHAT, "cat", "a brown dog"),
        (WHAT, "Cat.", "A brown dog."),
        (CAPTION, "birds", "A man opens a door and walks out."),
    ],
)
def test_the_truth_takes_the_form_of_the_answer(annotation: Annotation, reply: str, truth: str) -> None:
    assert truth_in_form_of(reply, annotation) == truth
