"""Which other video a view is given: by content and seed alone, never its own, in bounded memory."""

import random
from collections import Counter

from vtalign.video.perturb import PerturbationSpec, compose
from vtalign.video.view import Slot, VideoView
from vtalign_data import distractors
from vtalign_data.distractors import distractor_pool, pick_distractor, view_of
from vtalign_data.perturbations import make_perturbations

INSERT = PerturbationSpec(name="insert_distractor", strength=2)
SHUFFLE = PerturbationSpec(name="shuffle", strength=2)


def clipped(number: int) -> dict:
    view = VideoView(tuple(Slot(f"video-{number}", frame, frame / 2) for frame in range(8)), 2.0)
    return {
        "view_id": view.view_id,
        "video_id": f"video-{number}",
        "video": f"{number}.mp4",
        "view": view.to_json(),
        "sampling": "{}",
        "segments": [{"start": start, "stop": start + 4} for start in (0, 4)],
    }


ROWS = [clipped(number) for number in range(30)]


def test_a_pool_only_where_a_spec_asks() -> None:
    assert distractor_pool(ROWS, [SHUFFLE], 0) == []
    assert {d.video_id for d in distractor_pool(ROWS, [compose(SHUFFLE, INSERT)], 0)} == {row["video_id"] for row in ROWS}


def test_the_pool_does_not_depend_on_the_order_of_rows(monkeypatch) -> None:
    monkeypatch.setattr(distractors, "POOL", 8)
    shuffled = random.Random(1).sample(ROWS, len(ROWS))
    pool = distractor_pool(ROWS, [INSERT], 0)
    assert len(pool) == 8 and pool == distractor_pool(shuffled, [INSERT], 0)
    assert set(pool) != set(distractor_pool(ROWS, [INSERT], 1))


def test_never_its_own_video_and_many_of_the_others() -> None:
    pool = distractor_pool(ROWS, [INSERT], 0)
    picked = {row["video_id"]: pick_distractor(row, pool, 0) for row in ROWS}
    assert all(other is not None and other.video_id != video_id for video_id, other in picked.items())
    assert len(Counter(other.video_id for other in picked.values() if other)) > 12
    assert pick_distractor(ROWS[3], [d for d in pool if d.video_id == "video-3"], 0) is None
    assert pick_distractor(ROWS[3], [], 0) is None


def test_the_row_names_the_path_of_what_it_shows() -> None:
    pool = distractor_pool(ROWS, [INSERT], 0)
    shuffled, inserted = make_perturbations(ROWS[:1], [SHUFFLE, INSERT], 0, pool).rows
    assert shuffled["other_videos"] == []
    other = pick_distractor(ROWS[0], pool, 0)
    assert other is not None and inserted["other_videos"] == [{"video_id": other.video_id, "video": other.video}]
    assert set(VideoView.from_json(inserted["perturbed_view"]).video_ids) == {"video-0", other.video_id}
    assert set(view_of(other).video_ids) == {other.video_id}


def test_a_corpus_of_one_video_has_none() -> None:
    (lost,) = make_perturbations(ROWS[:1], [INSERT], 0, distractor_pool(ROWS[:1], [INSERT], 0)).rejected
    assert (lost.outcome, lost.reason) == ("filtered", "no_distractor")
