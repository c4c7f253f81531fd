"""Prediction: every question of a video while its frames are at hand, every finished batch on disk before the next one starts."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vtalign.artifacts import append_jsonl, read_jsonl
from vtalign.config import Config, validate_config
from vtalign.errors import InputError, VideoError
from vtalign.ids import stable_id
from vtalign.models.prompt import Prompt
from vtalign.models.requests import Generation, Request
from vtalign.remote.requests import ServerError
from vtalign.video.frames import FrameStore
from vtalign_eval.answerer import Answerer, reply_of
from vtalign_eval.items import Item
from vtalign_eval.rank_files import file_of_rank, files_of_all_ranks
from vtalign_eval.reply import Reply
from vtalign_eval.views import ShownVideos

PREDICTIONS = "predictions.jsonl"
_WINDOW = 256 * 2**20  # bytes of decoded frames that are fetched at a time


@dataclass(frozen=True)
class Question:
    """An item as it is asked: its key is a hash of everything that decides the reply."""

    key: str
    item: Item
    text: str
    max_new_tokens: int


def question_key(model: str, text: str, video_hash: str | None, control: str, seed: int, max_new_tokens: int) -> str:
    """Hash of what is asked: weights, processor and frame policy (`model`), prompt, video bytes, control, reply length."""
    return stable_id("reply", model, text, video_hash, control, seed if control == "shuffled" else None, max_new_tokens)


class _LogRow(Config):
    key: str
    question_id: str
    reply: str
    tokens: int
    cut: bool
    uncontrolled: bool


class ReplyLog:
    """Replies in append-only JSONL files, one row per question; a torn last line from a kill is not counted.

    Reads what all ranks left beside `path`, writes the file of `rank`.
    """

    def __init__(self, path: Path, rank: int = 0) -> None:
        self._path = file_of_rank(path, rank)
        self.replies: dict[str, Reply] = {}
        for file in files_of_all_ranks(path):
            for row in read_jsonl(file):
                parsed = validate_config(_LogRow, row, f"{file}; remove the file to start again")
                self.replies[parsed.key] = Reply(parsed.reply, parsed.tokens, parsed.cut, parsed.uncontrolled)

    def require_only(self, questions: Sequence[Question], model: str) -> None:
        """Raises InputError where the file holds replies to something else that this run asks."""
        foreign = self.replies.keys() - {question.key for question in questions}
        if foreign:
            raise InputError(
                f"{self._path}: {len(foreign)} of its replies are of other weights, processor or videos than {model} has now; "
                "choose another output folder or remove this one"
            )

    def add(self, questions: Sequence[Question], replies: Sequence[Reply]) -> None:
        """Keep replies, durably. Failures are not kept: a resumed run tries those again."""
        pairs = [(question, reply) for question, reply in zip(questions, replies, strict=True) if reply.text is not None]
        self.replies.update({question.key: reply for question, reply in pairs})
        append_jsonl(self._path, [_log_row(question, reply) for question, reply in pairs])


def predict(
    lm: Answerer,
    questions: Sequence[Question],
    shown: ShownVideos,
    store: FrameStore,
    batch_size: int,
    on_batch: Callable[[Sequence[Question], Sequence[Reply]], None],
) -> None:
    """Ask `questions` and hand each finished batch to `on_batch`. Neither their order nor the batch size changes a reply.

    Videos that fail here join `shown.failures`; their questions are handed over as failed ones.
    """
    for asked, lost in windows(questions, shown, store):
        if lost:
            on_batch(lost, [failed_reply(shown.failures[q.item.video]) for q in lost])
        for start in range(0, len(asked), batch_size):
            batch = asked[start : start + batch_size]
            requests = [Request(prompt_of(q, shown), q.max_new_tokens) for q in batch]

            def on_made(
                places: Sequence[int], made: Sequence[Generation | ServerError], batch: Sequence[Question] = batch
            ) -> None:
                of = [batch[place] for place in places]
                on_batch(of, [reply_of(m, q.item.video in shown.unchanged) for q, m in zip(of, made, strict=True)])

            lm.generations(requests, store, batch_size=batch_size, on_made=on_made)


def windows(
    questions: Sequence[Question], shown: ShownVideos, store: FrameStore
) -> Iterator[tuple[list[Question], list[Question]]]:
    """Questions of whole videos whose frames are decoded and at hand, and the lost ones, whose videos failed (see `shown.failures`)."""
    for window in _windows(_in_order(questions, shown), shown, store):
        views = {q.item.video: shown.views[q.item.video] for q in window if q.item.video in shown.views}
        failed = store.prefetch([view for view in views.values() if view is not None])
        for video_id, error in failed.items():
            shown.failures.update({video: error for video, view in views.items() if view and view.slots[0].video_id == video_id})
        asked = [q for q in window if q.item.video not in shown.failures]
        yield asked, [q for q in window if q.item.video in shown.failures]


def prompt_of(question: Question, shown: ShownVideos) -> Prompt:
    view = shown.views[question.item.video]
    return Prompt((question.text,) if view is None else (view, question.text))


def _log_row(question: Question, reply: Reply) -> dict[str, Any]:
    row = {"key": question.key, "question_id": question.item.question_id, "reply": reply.text}
    return {**row, "tokens": reply.tokens, "cut": reply.cut, "uncontrolled": reply.uncontrolled}


def failed_reply(error: VideoError) -> Reply:
    return Reply(None, failure=error.reason, detail=error.detail)


def _in_order(questions: Sequence[Question], shown: ShownVideos) -> list[Question]:
    """Questions of one video side by side, videos of one length side by side (little padding)."""

    def place(question: Question) -> tuple[int, str, int, str]:
        view = shown.views.get(question.item.video)
        return len(view) if view else 0, question.item.video, len(question.text), question.item.question_id

    return sorted(questions, key=place)


def _windows(questions: Sequence[Question], shown: ShownVideos, store: FrameStore) -> Iterator[list[Question]]:
    """Runs of whole videos whose decoded frames fit into the window together (at least one video each)."""
    window: list[Question] = []
    used, last = 0, None
    for question in questions:
        video = question.item.video
        if video != last:
            view = shown.views.get(video)
            size = len(view) * store.policy.max_pixels * 3 if view else 0
            if window and used + size > _WINDOW:
                yield window
                window, used = [], 0
            used, last = used + size, video
        window.append(question)
    if window:
        yield window
