"""Which answers become pairs, from known answers: no model writes here, the machinery is what is tested."""

from collections.abc import Sequence

from vtalign.judging.replier import OnSaid, Said
from vtalign.video.perturbation_spec import PerturbationSpec
from vtalign.video.view import Slot, VideoView
from vtalign_data.annotated.annotation import Annotation, prompt_of
from vtalign_data.annotated.answers import Questioning
from vtalign_data.annotated.candidates import make_annotated
from vtalign_data.annotated.config import AnnotationConfig
from vtalign_data.candidate import candidate_pair
from vtalign_data.config import FilterConfig
from vtalign_data.filter import filter_candidates
from vtalign_data.perturbations import make_perturbations
from vtalign_data.stage import BatchResult, Row
from vtalign_data.usage import Usage

VIEW = VideoView(tuple(Slot("video-0", frame, frame / 2) for frame in range(12)), 2.0)
ROW = {
    "view_id": VIEW.view_id,
    "video_id": "video-0",
    "video": "a.mp4",
    "view": VIEW.to_json(),
    "sampling": "{}",
    "segments": [{"start": start, "stop": start + 4} for start in (0, 4, 8)],
}
SPECS = [PerturbationSpec(name="mask", strength=8), PerturbationSpec(name="local_shuffle", strength=4)]
(MASKED, SHUFFLED) = ROWS = make_perturbations([ROW], SPECS, 0).rows
WHERE = Annotation("qa", "Where does it go?", "left", ("right", "left"))
DOOR = Annotation("caption", "", "A man opens a door.")
WALK = Annotation("caption", "", "He walks to the garden.")


class JudgeByWord:
    """A judge with one criterion: what says `open` is right. It keeps what it was asked."""

    name = "by-word"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def check(self) -> None:
        pass

    def reply(self, prompts: Sequence[str], on_said: OnSaid) -> None:
        self.asked += prompts
        for place, prompt in enumerate(prompts):
            answer = prompt.rpartition("<<<")[2]
            said = None if "silence" in answer else "Correct" if "open" in answer else "Incorrect"
            on_said(place, Said(said, None if said else "server_timeout"))


def made(
    said: dict[tuple[str, Annotation], str], *annotations: Annotation, judge: JudgeByWord | None = None, known: bool = False
) -> BatchResult:
    """Candidates where the model said `said[view_id, annotation]`."""
    questioning = Questioning(AnnotationConfig(require_known=known, max_overlap_caption=0.5), "model-0", 0)
    answers: dict[str, Row] = {}
    for (view_id, annotation), text in said.items():
        request_id = questioning.request_id(view_id, annotation)
        prompt = prompt_of(annotation, questioning.config)
        answers[request_id] = {"request_id": request_id, "video_id": "video-0", "prompt": prompt, "text": text, "stray": []}
    table = {"video-0": {one.id_for("video-0"): one for one in annotations}}
    return make_annotated([ROWS], table, answers, questioning, judge)


def reasons(result: BatchResult) -> list[str]:
    return [lost.reason for lost in result.rejected]


def test_wrong_answers_become_pairs_and_the_others_are_counted() -> None:
    result = made({(MASKED["perturbed_view_id"], WHERE): "A", (SHUFFLED["perturbed_view_id"], WHERE): "B"}, WHERE)
    (row,), (lost,) = result.rows, result.rejected
    assert (row["chosen"], row["rejected"], row["source"], row["kind"], row["name"]) == ("B", "A", "annotation", "qa", "mask")
    assert (lost.reason, lost.outcome) == ("right", "filtered")
    pair = candidate_pair(row)
    assert pair.chosen_spans == ((0, 1),) and pair.rejected_spans == ((0, 1),) and pair.view == VIEW
    assert pair.rejected_view is None and pair.perturbed_view is not None and pair.rejected_requests


def test_what_no_rule_decides_is_left_out_or_judged() -> None:
    said = {(MASKED["perturbed_view_id"], WHERE): "Hard to say", (SHUFFLED["perturbed_view_id"], WHERE): "It is silence"}
    assert reasons(made(said, WHERE)) == ["undecided", "undecided"]
    judge = JudgeByWord()
    result = made(said, WHERE, judge=judge)
    assert [row["rejected"] for row in result.rows] == ["Hard to say"] and result.rows[0]["chosen"] == "B. left"
    assert reasons(result) == ["server_timeout"] and result.rejected[0].outcome == "failed"
    assert result.usage == Usage(model_calls=2), "the judge's calls"
    assert len(judge.asked) == 2 and all("Right answer: left" in prompt and "A. right" in prompt for prompt in judge.asked)


def test_an_answer_that_another_true_caption_bears_out_is_not_wrong() -> None:
    said = {
        (MASKED["perturbed_view_id"], DOOR): "A man opens a door.",
        (SHUFFLED["perturbed_view_id"], DOOR): "Two birds fly over the sea.",
    }
    result = made(said, DOOR, WALK)
    assert sorted(reasons(result)) == ["right", "undecided"], "wrong of the second caption, right of the first"
    assert {row["chosen"] for row in result.rows} == {DOOR.truth, WALK.truth} and {row["kind"] for row in result.rows} == {
        "caption"
    }


def test_what_the_model_does_not_know_on_the_clean_view_can_be_left_out() -> None:
    wrong = {(row["perturbed_view_id"], WHERE): "A" for row in ROWS}
    assert len(made({**wrong, (VIEW.view_id, WHERE): "B"}, WHERE, known=True).rows) == 2
    result = made({**wrong, (VIEW.view_id, WHERE): "A"}, WHERE, known=True)
    assert not result.rows and reasons(result) == ["unknown_on_clean"] * 2


def test_a_clean_answer_or_verdict_that_is_lost_is_no_proof_of_knowledge() -> None:
    wrong = {(row["perturbed_view_id"], WHERE): "A" for row in ROWS}
    result = made(wrong, WHERE, known=True)
    assert not result.rows and {(lost.outcome, lost.reason) for lost in result.rejected} == {("failed", "no_answer")}
    result = made({**wrong, (VIEW.view_id, WHERE): "It is silence"}, WHERE, known=True, judge=JudgeByWord())
    assert not result.rows and {(lost.outcome, lost.reason) for lost in result.rejected} == {("failed", "server_timeout")}


def test_an_answer_that_is_not_there_is_a_failure() -> None:
    assert [(lost.outcome, lost.reason) for lost in made({}, WHERE).rejected] == [("failed", "no_answer")] * 2


def test_answers_of_few_letters_are_not_lost_to_containment() -> None:
    """`2` is part of `12`, and another number."""
    count = Annotation("qa", "How many?", "12", ("2", "12"))
    result = made({(MASKED["perturbed_view_id"], count): "2", (SHUFFLED["perturbed_view_id"], count): "2"}, count)
    kept = filter_candidates([result.rows], FilterConfig(max_length_ratio_question=3), ["<video>"])
    assert [row["chosen"] for row in kept.rows] == ["12"] and [lost.reason for lost in kept.rejected] == ["duplicate"]
