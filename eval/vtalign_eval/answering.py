"""Answering the questions of a run: what earlier attempts left is taken over, the rest is shared out over the ranks."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from rich.console import Console

from vtalign.launch import Ranks
from vtalign.video.frames import FrameStore
from vtalign.video.isolated import DecodeWorkers
from vtalign_eval.answerer import Answerer
from vtalign_eval.benchmarks import Benchmark
from vtalign_eval.config import EvalConfig
from vtalign_eval.judging.judge import Judge
from vtalign_eval.likelihood import LIKELIHOODS, LikelihoodLog
from vtalign_eval.predict import PREDICTIONS, Question, ReplyLog, predict, windows
from vtalign_eval.progress import progress_bars
from vtalign_eval.rank_files import failures_handed_over, hand_over_failures, share_of
from vtalign_eval.reply import Reply
from vtalign_eval.views import show

if TYPE_CHECKING:
    from vtalign.models.video_lm import VideoLM
    from vtalign.remote.remote_lm import RemoteLM


@dataclass(frozen=True)
class Answers:
    """Replies in the order of the questions, the option scores where they are asked for, and how many replies were not there before."""

    replies: list[Reply]
    likelihoods: LikelihoodLog | None
    new: int


def answer(
    config: EvalConfig,
    benchmark: Benchmark,
    questions: Sequence[Question],
    lm: Answerer,
    judge: Judge | None,
    console: Console,
    ranks: Ranks,
) -> Answers | None:
    """Answer what is not answered yet in `config.out`. None on all ranks but the first, which have done their share.

    `judge`: is looked for before anything is asked.
    """
    log = ReplyLog(config.out / PREDICTIONS, ranks.index)
    log.require_only(questions, config.model)
    likelihoods = _likelihoods(config, benchmark, ranks.index)
    unscored = {question.key for question in likelihoods.missing(questions)} if likelihoods else set()
    todo = [question for question in questions if question.key not in log.replies or question.key in unscored]
    new = len(_unanswered(todo, log))
    if todo and config.server:
        cast("RemoteLM", lm).server.check()  # a finished run needs no server
    if todo and judge is not None and ranks.is_main:
        judge.check()  # not after hours of answering
    ranks.wait()  # all have read what there is: all deal out the same
    mine = share_of(todo, ranks.index, ranks.count)
    failed = _ask(config, lm, mine, log, likelihoods, console) if mine else {}
    if not ranks.is_main:
        hand_over_failures(config.out, ranks.index, failed)
    ranks.wait()
    if not ranks.is_main:
        return None
    failed |= failures_handed_over(config.out, ranks.count)
    if ranks.count > 1:
        log, likelihoods = ReplyLog(config.out / PREDICTIONS), _likelihoods(config, benchmark)
    # without video, siblings are one question, which another rank may have got an answer to
    replies = failed | log.replies
    return Answers([replies[question.key] for question in questions], likelihoods, new)


def _likelihoods(config: EvalConfig, benchmark: Benchmark, rank: int = 0) -> LikelihoodLog | None:
    return LikelihoodLog(config.out / LIKELIHOODS, benchmark, rank) if config.likelihood else None


def _ask(
    config: EvalConfig,
    lm: Answerer,
    todo: Sequence[Question],
    log: ReplyLog,
    likelihoods: LikelihoodLog | None,
    console: Console,
) -> dict[str, Reply]:
    """Answer into `log`, and score options into `likelihoods`, what is not there yet. Returns the failed replies, by key."""
    waiting = Counter(question.key for question in todo)
    failed: dict[str, Reply] = {}
    videos = sorted({question.item.video for question in todo})
    with progress_bars(console) as bars, DecodeWorkers(config.decode_workers, config.decode) as workers:
        looking = bars.add_task("videos", total=len(videos))
        asking = bars.add_task("questions", total=len(todo))

        def on_batch(questions: Sequence[Question], replies: Sequence[Reply]) -> None:
            log.add(questions, replies)
            failed.update({q.key: reply for q, reply in zip(questions, replies, strict=True) if reply.text is None})
            score([q for q in questions if q.key not in failed])  # while the frames are at hand
            bars.advance(asking, sum(waiting[q.key] for q in questions))

        def score(questions: Sequence[Question]) -> None:
            if likelihoods:
                # a config with a server asks for no likelihoods
                likelihoods.add(cast("VideoLM", lm), questions, shown, store, config.batch_size)

        def on_video(count: int) -> None:
            bars.advance(looking, count)

        shown = show(config.data, videos, lm.policy, config.control, config.seed, workers, on_video, config.frame_cache)
        store = FrameStore(config.data, shown.paths, lm.policy, reader=config.reader, workers=workers, cache=config.frame_cache)
        answered_before = sum(q.key in log.replies for q in todo)
        predict(lm, _unanswered(todo, log), shown, store, config.batch_size, on_batch)
        if likelihoods:
            unscored = likelihoods.missing([question for question in todo if question.key in log.replies])
            for ready, _ in windows(unscored, shown, store):
                score(ready)
        bars.advance(asking, answered_before)
    return failed


def _unanswered(questions: Sequence[Question], log: ReplyLog) -> list[Question]:
    """One question of each key that has no reply: without video, siblings are asked the same thing, and it is asked once."""
    found: dict[str, Question] = {}
    for question in questions:
        if question.key not in log.replies:
            found.setdefault(question.key, question)
    return list(found.values())
