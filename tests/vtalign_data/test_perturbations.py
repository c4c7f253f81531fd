import json

from vtalign.video.perturb import PerturbationSpec, perturb
from vtalign.video.view import Slot, VideoView
from vtalign_data.perturbations import make_perturbations

VIEW = VideoView(tuple(Slot("video-0", frame, frame / 2) for frame in range(8)), 2.0)
ROW = {
    "view_id": VIEW.view_id,
    "video_id": "video-0",
    "video": "a.mp4",
    "view": VIEW.to_json(),
    "sampling": "{}",
    "segments": [{"start": start, "stop": start + 4} for start in (0, 4)],
}
SHUFFLE, REVERSE = PerturbationSpec(name="shuffle", strength=2), PerturbationSpec(name="reverse", strength=2)
BACKWARDS = PerturbationSpec(name="reverse", strength=16, frames="reversed")


def test_a_grid_on_the_clips_of_a_view() -> None:
    result = make_perturbations([ROW], [SHUFFLE, REVERSE, BACKWARDS, PerturbationSpec(name="shuffle", strength=4)], seed=3)
    assert [(row["name"], row["strength"]) for row in result.rows] == [("shuffle", 2), ("reverse", 16)]
    swapped, backwards = result.rows
    made = perturb(VIEW, SHUFFLE, segments=((0, 4), (4, 8)), seed=3)
    assert VideoView.from_json(swapped["perturbed_view"]) == made.view
    assert [(piece["source"], piece["changed"]) for piece in swapped["pieces"]] == [(1, False), (0, False)]
    assert [(piece["source"], piece["changed"]) for piece in backwards["pieces"]] == [(1, True), (0, True)]
    assert PerturbationSpec.model_validate(json.loads(backwards["parameters"])["spec"]) == BACKWARDS
    assert swapped["view_id"] == VIEW.view_id and swapped["perturbed_view_id"] == made.view.view_id


def test_what_is_refused_is_counted_with_its_reason() -> None:
    result = make_perturbations([ROW], [SHUFFLE, REVERSE, PerturbationSpec(name="drop", strength=4)], seed=3)
    assert {loss.id.split("/")[1]: (loss.outcome, loss.reason) for loss in result.rejected} == {
        "reverse-2": ("filtered", "duplicate"),
        "drop-4": ("filtered", "too_short"),
    }


def test_ids_tell_perturbations_apart() -> None:
    rows = [row for seed in (1, 2) for row in make_perturbations([ROW], [SHUFFLE, BACKWARDS], seed).rows]
    assert len({row["perturbation_id"] for row in rows}) == 4
