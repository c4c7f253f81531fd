from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from vtalign.errors import InputError
from vtalign.models.video_lm import VideoLM
from vtalign.video.frames import FrameStore
from vtalign.video.isolated import DecodeWorkers
from vtalign_eval.benchmarks.temporal_shapes import load
from vtalign_eval.config import Control
from vtalign_eval.items import Item
from vtalign_eval.predict import Question, Reply, ReplyLog, predict, question_key
from vtalign_eval.views import show

ITEM = Item("q0", "v.mp4", "f", "order", "which ?", ("a", "b"), "a")


def questions_of(data: Path) -> list[Question]:
    return [Question(item.question_id, item, item.question, 6) for item in load(data)]


@pytest.fixture
def ask(lm: VideoLM, workers: DecodeWorkers, shapes: Path) -> Callable[..., dict[str, Reply]]:
    def run(questions: Sequence[Question], batch_size: int = 8, control: Control = "none") -> dict[str, Reply]:
        replies: dict[str, Reply] = {}

        def on_batch(asked: Sequence[Question], made: Sequence[Reply]) -> None:
            replies.update({q.key: reply for q, reply in zip(asked, made, strict=True)})

        shown = show(shapes, sorted({q.item.video for q in questions}), lm.policy, control, 0, workers, lambda _: None)
        predict(lm, questions, shown, FrameStore(shapes, shown.paths, lm.policy, workers=workers), batch_size, on_batch)
        return replies

    return run


@pytest.mark.parametrize("batch_size", [1, 5, 64])
def test_neither_order_nor_batch_size_changes_a_reply(
    shapes: Path, ask: Callable[..., dict[str, Reply]], batch_size: int
) -> None:
    questions = questions_of(shapes)
    expected = ask(questions)
    assert len(expected) == 24 and len({reply.text for reply in expected.values()}) > 3
    assert ask(questions[::-1], batch_size) == expected


def test_controls_show_something_else_and_text_shows_nothing(shapes: Path, ask: Callable[..., dict[str, Reply]]) -> None:
    questions = questions_of(shapes)
    plain, blind, still = ask(questions), ask(questions, control="text"), ask(questions, control="repeated-frame")
    assert plain != still
    # without a video, the same question gets the same reply whatever the video
    assert len({reply.text for reply in blind.values()}) == len({q.text for q in questions}) == 3


def test_questions_of_an_unreadable_video_are_failures_and_the_others_are_answered(
    lm: VideoLM, workers: DecodeWorkers, shapes: Path, tmp_path: Path
) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "f0-a.mp4").write_bytes((shapes / "videos" / "f0-a.mp4").read_bytes())
    (tmp_path / "videos" / "f0-b.mp4").write_bytes(b"no video")
    questions = [q for q in questions_of(shapes) if q.item.family in ("f0", "f1")]
    replies: dict[str, Reply] = {}

    def on_batch(asked: Sequence[Question], made: Sequence[Reply]) -> None:
        replies.update({q.item.question_id: reply for q, reply in zip(asked, made, strict=True)})

    videos = sorted({q.item.video for q in questions})
    shown = show(tmp_path, videos, lm.policy, "none", 0, workers, lambda _: None)
    predict(lm, questions, shown, FrameStore(tmp_path, shown.paths, lm.policy, workers=workers), 8, on_batch)
    assert set(replies) == {q.item.question_id for q in questions}
    assert {key.split(":")[0] for key, reply in replies.items() if reply.text is not None} == {"f0-a"}
    assert replies["f1-a:order"].failure == "missing"
    assert replies["f0-b:order"].failure not in (None, "missing")


def test_a_file_that_goes_bad_after_it_was_looked_at_is_a_failure(
    lm: VideoLM, workers: DecodeWorkers, shapes: Path, tmp_path: Path
) -> None:
    (tmp_path / "videos").mkdir()
    target = tmp_path / "videos" / "f0-a.mp4"
    target.write_bytes((shapes / "videos" / "f0-a.mp4").read_bytes())
    questions = [q for q in questions_of(shapes) if q.item.video == "videos/f0-a.mp4"]
    shown = show(tmp_path, ["videos/f0-a.mp4"], lm.policy, "none", 0, workers, lambda _: None)
    target.write_bytes(b"gone bad")
    replies: list[Reply] = []
    store = FrameStore(tmp_path, shown.paths, lm.policy, workers=workers)
    predict(lm, questions, shown, store, 8, lambda _, made: replies.extend(made))
    assert len(replies) == 3 and all(reply.text is None and reply.failure for reply in replies)


def test_the_log_gives_back_what_it_was_given_and_ignores_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "predictions.jsonl"
    questions = [Question(f"key-{n}", ITEM, "which ?", 6) for n in range(3)]
    replies = [Reply("zwölf", 4), Reply("b", 6, cut=True, uncontrolled=True), Reply(None, failure="corrupt")]
    ReplyLog(path).add(questions, replies)
    assert ReplyLog(path).replies == {"key-0": replies[0], "key-1": replies[1]}  # the failure is tried again
    path.write_bytes(path.read_bytes()[:-3])
    log = ReplyLog(path)
    assert log.replies == {"key-0": replies[0]}
    log.add(questions[1:2], replies[1:2])
    assert ReplyLog(path).replies == {"key-0": replies[0], "key-1": replies[1]}


def test_a_log_of_another_model_is_refused(tmp_path: Path) -> None:
    log = ReplyLog(tmp_path / "predictions.jsonl")
    log.add([Question("key-0", ITEM, "which ?", 6)], [Reply("a")])
    log.require_only([Question("key-0", ITEM, "which ?", 6), Question("key-1", ITEM, "which ?", 6)], "m")
    with pytest.raises(InputError, match="1 of its replies are of other weights, processor or videos than m has now"):
        log.require_only([Question("key-1", ITEM, "which ?", 6)], "m")


def test_keys_tell_apart_whatever_decides_a_reply() -> None:
    base = ("model-1", "which ?", "sha", "none", 0, 32)
    others = [("model-2",), ("what ?",), ("sha-2",), ("text",), None, (8,)]
    keys = {question_key(*base)}
    for place, other in enumerate(others):
        if other:
            keys.add(question_key(*base[:place], *other, *base[place + 1 :]))
    assert len(keys) == 6
    # the seed decides a reply only where something is drawn
    assert question_key(*base) == question_key("model-1", "which ?", "sha", "none", 1, 32)
    assert question_key("m", "t", "s", "shuffled", 0, 8) != question_key("m", "t", "s", "shuffled", 1, 8)
