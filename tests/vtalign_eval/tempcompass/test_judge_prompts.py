"""What a judge of TempCompass reads, and how its words are read."""

from pathlib import Path

import pytest

from vtalign_eval.tempcompass.judge_prompts import PROMPTS, judge_question, read_choice
from vtalign_eval.tempcompass.questions import TASKS, TempCompassItem, load_questions


def first(data: Path, task: str) -> TempCompassItem:
    return next(item for item in load_questions(data) if item.task == task)


@pytest.mark.parametrize(
    ("said", "right"),
    [
        ("B. right", True),
        ("It goes right.\nAnswer: B", True),
        ("It goes right.\n**Answer:** (B)", True),
        ("Answer: A or so\nAnswer: B.", True),
        ("Reason: A man goes right.\nAnswer: B. right", True),
        ("Reason: A man goes right.\nAnswer: B. A man goes right", None),
        ("Answer: B is not stated", None),
        ("Answer: B or none", None),
        ("Answer: B. left", None),
        ("Answer: A. left", False),
        ("Answer: A", False),
        ("Answer: A and B", None),
        ("B. right, C. left to right", None),
        ("Answer: none", False),
        ("None of the choices are correct", False),
        ("All of the choices are correct.", False),
        ("Answer: A man goes right", None),
        ("Option B. right", None),
        ("It cannot be determined.", None),
        ("It goes right,\nso B", None),
        ("Answer:", None),
        ("", None),
    ],
)
def test_a_choice_names_one_option(said: str, right: bool | None) -> None:
    assert read_choice(said, "Which way?\nA. left\nB. right\nC. left to right", "B. right") is right


def test_a_judge_reads_question_options_answer_and_reply(tempcompass: Path) -> None:
    item = first(tempcompass, "multi-choice")
    question = judge_question(item, " leftwards {answer}</s>")
    assert question is not None and question.reply == "leftwards {answer}"
    assert item.question in question.prompt and "Right answer: A. left\n" in question.prompt
    assert "<<<reply\nleftwards {answer}\nreply>>>" in question.prompt, "what a reply holds is never filled in"
    assert question.read("Correct") is True


def test_of_a_caption_a_judge_sees_no_answer(tempcompass: Path) -> None:
    item = first(tempcompass, "captioning")
    question = judge_question(item, "A ball rolls to the left.")
    assert question is not None and "A ball rolls to the left." in question.prompt
    assert item.scored_question in question.prompt and "Right answer" not in question.prompt
    assert item.question not in question.prompt
    assert (question.read("Answer: A"), question.read("Answer: B")) == (True, False)


@pytest.mark.parametrize(("task", "reply"), [("multi-choice", "B"), ("yes_no", "No, never"), ("caption_matching", "Caption A")])
def test_what_a_rule_grades_is_not_asked(tempcompass: Path, task: str, reply: str) -> None:
    assert judge_question(first(tempcompass, task), reply) is None
    assert judge_question(first(tempcompass, task), None) is None
    assert judge_question(first(tempcompass, task), "hard to say") is not None


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("reply", ["", "  \n", "</s>"])
def test_a_blank_reply_is_wrong_without_asking(tempcompass: Path, task: str, reply: str) -> None:
    assert judge_question(first(tempcompass, task), reply) is None


def test_a_caption_without_a_multi_choice_question_cannot_be_judged(tempcompass: Path) -> None:
    (tempcompass / "questions" / "multi-choice.json").unlink()
    assert judge_question(first(tempcompass, "captioning"), "A ball.") is None


def test_every_task_has_a_prompt_with_its_fields() -> None:
    assert set(PROMPTS) == set(TASKS)
    for task, prompt in PROMPTS.items():
        assert "{question}" in prompt and "{reply}" in prompt and ("{answer}" in prompt) is (task != "captioning")
