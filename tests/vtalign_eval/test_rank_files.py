import random
from pathlib import Path

import pytest

from vtalign_eval.benchmarks.temporal_shapes import TEMPORAL_SHAPES, load
from vtalign_eval.metrics import columns_of
from vtalign_eval.outcomes import outcome_of
from vtalign_eval.predict import PREDICTIONS, Question, ReplyLog
from vtalign_eval.rank_files import failures_handed_over, file_of_rank, files_of_all_ranks, hand_over_failures, share_of
from vtalign_eval.reply import Reply
from vtalign_eval.statistics import cluster_bootstrap

RANKS = range(1, 9)


@pytest.fixture
def questions(shapes: Path) -> list[Question]:
    return [Question(f"key-{item.question_id}", item, item.question, 6) for item in load(shapes)]


def measured(questions: list[Question], log: ReplyLog) -> object:
    """What is measured of the replies in a log, as a run measures it."""
    replies = {q.item.question_id: log.replies[q.key] for q in questions}
    items = [q.item for q in questions]
    outcomes = [outcome_of(i, replies[i.question_id], TEMPORAL_SHAPES.grade(replies[i.question_id].text, i)) for i in items]
    return cluster_bootstrap(columns_of(outcomes, TEMPORAL_SHAPES), seed=0, resamples=200)


@pytest.mark.parametrize("ranks", RANKS)
def test_every_question_is_on_one_rank_and_every_video_whole(questions: list[Question], ranks: int) -> None:
    shares = [share_of(questions, rank, ranks) for rank in range(ranks)]
    assert sorted(q.key for share in shares for q in share) == sorted(q.key for q in questions)
    videos = [{q.item.video for q in share} for share in shares]
    assert sum(map(len, videos)) == 8 and max(map(len, videos)) - min(map(len, videos)) <= 1
    shuffled = random.Random(ranks).sample(questions, len(questions))
    assert [{q.key for q in share_of(shuffled, rank, ranks)} for rank in range(ranks)] == [{q.key for q in s} for s in shares]


def test_more_ranks_than_videos_leave_some_with_nothing(questions: list[Question]) -> None:
    assert [len(share_of(questions[:2], rank, 3)) for rank in range(3)] == [2, 0, 0]
    assert share_of([], 0, 2) == []


def test_any_number_of_ranks_gives_the_same_replies_and_the_same_numbers(questions: list[Question], tmp_path: Path) -> None:
    """The mistake of lmms-eval before its #1089: numbers that depend on which rank met which aspect first."""
    drawn = random.Random(1)
    said = {q.key: Reply(drawn.choice(["left", "right", "Left.", "neither"]), tokens=drawn.randint(1, 6)) for q in questions}
    found = []
    for ranks in RANKS:
        folder = tmp_path / str(ranks)
        folder.mkdir()
        order = random.Random(ranks).sample(questions, len(questions))
        for rank in reversed(range(ranks)):
            share = share_of(order, rank, ranks)
            ReplyLog(folder / PREDICTIONS, rank).add(share, [said[q.key] for q in share])
        log = ReplyLog(folder / PREDICTIONS)
        assert log.replies == said
        found.append(measured(order, log))
    assert all(numbers == found[0] for numbers in found)


def test_a_torn_line_of_one_rank_costs_that_line_only(questions: list[Question], tmp_path: Path) -> None:
    path = tmp_path / PREDICTIONS
    for rank in range(3):
        share = share_of(questions, rank, 3)
        ReplyLog(path, rank).add(share, [Reply(f"said by {rank}")] * len(share))
    torn = file_of_rank(path, 2)
    torn.write_bytes(torn.read_bytes()[:-4])
    lost = {q.key for q in questions} - ReplyLog(path).replies.keys()
    assert len(lost) == 1
    # one rank takes over what three began: nothing that another rank wrote is touched
    log = ReplyLog(path)
    log.add([q for q in questions if q.key in lost], [Reply("again")])
    assert ReplyLog(path).replies.keys() == {q.key for q in questions} and torn.read_bytes()[-1:] != b"\n"


def test_files_of_all_ranks_are_found_and_no_others(tmp_path: Path) -> None:
    path = tmp_path / "predictions.jsonl"
    assert files_of_all_ranks(path) == []
    for name in ("predictions.rank-3.jsonl", "predictions.rank-1.jsonl", "predictions.jsonl", "likelihoods.rank-1.jsonl"):
        (tmp_path / name).touch()
    assert [file.name for file in files_of_all_ranks(path)] == [
        "predictions.jsonl",
        "predictions.rank-1.jsonl",
        "predictions.rank-3.jsonl",
    ]


def test_failures_reach_the_first_rank_and_those_of_an_earlier_attempt_do_not(tmp_path: Path) -> None:
    hand_over_failures(tmp_path, 5, {"old": Reply(None, failure="timeout")})  # of six ranks that were killed
    hand_over_failures(tmp_path, 1, {"a": Reply(None, failure="missing")})
    hand_over_failures(tmp_path, 2, {})
    assert failures_handed_over(tmp_path, 3) == {"a": Reply(None, failure="missing")}
    assert not list(tmp_path.iterdir())
