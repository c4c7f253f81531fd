import pickle
from pathlib import Path

import pytest

from vtalign.video.frames import FrameStore
from vtalign.video.isolated import DecodeWorkers
from vtalign.video.sample import FramePolicy
from vtalign_data import captions, ingest, scan, score
from vtalign_data.runners.task import DEVICE, TOOLS, VIDEO_LM, WORKERS, WRITER, Task, made, task
from vtalign_data.runners.tools import WorkTools
from vtalign_data.stage import BatchResult
from vtalign_data.usage import Usage


def tell(batch: list[int], *given: object, **named: object) -> BatchResult:
    return BatchResult([{"batch": batch, "given": given, "named": named}])


def said_by(work: "Task[int]", tools: WorkTools) -> dict[str, object]:
    (row,) = work.run(tools, [1, 2]).rows
    return row


def test_plain_arguments_stay_and_marks_become_tools(toy_tools: WorkTools) -> None:
    row = said_by(task(tell, 3, WORKERS, folder=TOOLS), toy_tools)
    assert row == {"batch": [1, 2], "given": (3, toy_tools.workers), "named": {"folder": toy_tools}}
    assert said_by(task(tell, DEVICE), toy_tools)["given"] == (toy_tools.config.device,)


def test_what_is_made_is_made_once(toy_tools: WorkTools) -> None:
    count: list[int] = []
    thing = made(lambda n: count.append(n) or object(), 7)
    around = made(lambda inner, *, again: (inner, again), thing, again=thing)
    first, second = said_by(task(tell, around), toy_tools), said_by(task(tell, thing), toy_tools)
    ((inner, again),) = first["given"]
    assert inner is again is second["given"][0] and count == [7]


def test_a_task_that_was_sent_makes_a_shared_thing_once(toy_tools: WorkTools) -> None:
    store = made(list, ())
    sent = pickle.loads(pickle.dumps(task(tell, store, made(tuple, store))))
    sent.run(toy_tools, [1])
    assert [entry.make for entry in toy_tools._made] == [list, tuple]


def probe(batch: list[Path], *workers: DecodeWorkers) -> BatchResult:
    found = [workers[number % len(workers)].probe(path) for number, path in enumerate(batch)]
    return BatchResult([{"found": info} for info in found], usage=Usage(model_calls=1))


def test_the_passes_over_videos_are_those_of_the_process_that_made_them(toy_tools: WorkTools, small_corpus: Path) -> None:
    videos = sorted((small_corpus / "train" / "videos").glob("*.mp4"))[:3]
    both = task(probe, WORKERS, made(DecodeWorkers, 1))
    with toy_tools:
        assert [both.run(toy_tools, batch).usage for batch in (videos, videos[:1])] == [
            Usage(1, decodes=3, probes=3),
            Usage(1, decodes=1, probes=1),
        ]
        assert task(tell).run(toy_tools, []).usage == Usage()


@pytest.mark.parametrize(
    ("work", "place"),
    [
        (task(tell, 3), "driver"),
        (task(scan.scan, Path("x")), "driver"),
        (task(scan.scan, Path("x")).spread(), "decode"),
        (task(ingest.ingest, Path("x"), WORKERS, "pyav"), "decode"),
        (task(tell, made(FrameStore, Path("x"), {}, FramePolicy(), workers=WORKERS)), "decode"),
        (task(score.score_candidates, VIDEO_LM, made(FrameStore, Path("x"), {}, FramePolicy()), 1), "model"),
        (task(captions.write_captions, None, made(lambda model: model, VIDEO_LM), None, 1), "model"),
        (task(tell, TOOLS), "model"),
        (task(tell, WORKERS, DEVICE), "model"),
        (task(captions.write_captions, None, WRITER, made(FrameStore, Path("x"), {}, FramePolicy()), 1), "model"),
        (task(captions.write_captions, None, WRITER, made(FrameStore, Path("x"), {}, FramePolicy()), 1).gathered(), "driver"),
    ],
)
def test_who_does_it(work: "Task[int]", place: str) -> None:
    assert work.place == place
