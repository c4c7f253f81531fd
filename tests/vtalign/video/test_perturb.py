"""Laws of the engine that every perturbation obeys, on any view."""

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vtalign.errors import InputError, PerturbationError
from vtalign.video.perturb import PerturbationSpec, Perturbed, Segments, compose, perturb, perturbations_for
from vtalign.video.view import Slot, VideoView

from .view_strategies import partitions, rising_views, specs, views

SEEDS = st.integers(0, 3)
REASONS = ("too_short", "no_change", "transformed")
OTHER = VideoView(tuple(Slot("video-z", 3 * i, i / 2) for i in range(5)), 2.0)


def outcome(view: VideoView, spec: PerturbationSpec, segments: Segments | None, seed: int) -> Perturbed | str:
    try:
        return perturb(view, spec, segments=segments, seed=seed, distractors=[OTHER])
    except PerturbationError as error:
        return str(error)


@st.composite
def cases(draw: st.DrawFn) -> tuple[VideoView, PerturbationSpec, Segments | None, int]:
    view = draw(st.one_of(views(), rising_views()))
    segments = draw(st.none() | partitions(len(view))) if len(view) else None
    return view, draw(specs()), segments, draw(SEEDS)


@settings(max_examples=400)
@given(cases())
def test_every_result_keeps_the_laws(case: tuple[VideoView, PerturbationSpec, Segments | None, int]) -> None:
    view, spec, segments, _ = case
    before = view.to_json()
    result = outcome(*case)
    assert outcome(*case) == result and view.to_json() == before, "pure and deterministic"
    if isinstance(result, str):
        assert result.startswith(f"{spec.label}: ")
        reason, detail = result.removeprefix(f"{spec.label}: ").split(": ", 1)
        assert reason in REASONS and detail
        return
    new = result.view
    assert new.shown != view.shown, "never the identity on what is shown"
    times = [slot.time for slot in new.slots]
    assert new.fps == view.fps and all(a < b for a, b in pairwise(times)), "the clock runs on"
    shared = min(len(new), len(view))
    assert times[:shared] == [slot.time for slot in view.slots[:shared]], "and is the clock of the clean view"
    assert set(new.video_ids) <= {*view.video_ids, *(OTHER.video_ids if spec.needs_distractors else ())}
    assert result.bounds[0][0] == 0 and result.bounds[-1][1] == len(new)
    assert all(a[1] == b[0] for a, b in pairwise(result.bounds)), "segments_after cover the new view"
    if segments is not None:
        for after in result.segments_after:
            start, stop = segments[after.source]
            assert after.changed == (new.shown[after.start : after.stop] != view.shown[start:stop])
    assert Perturbed.from_dict(json.loads(json.dumps(result.to_dict()))) == result


@given(cases())
def test_a_still_cannot_be_perturbed(case: tuple[VideoView, PerturbationSpec, Segments | None, int]) -> None:
    """But by showing another video, or by changing its pixels."""
    view, spec, segments, seed = case
    if len(view) and not any(one.needs_distractors or one.registered.image_space for one in (spec, *spec.steps)):
        still = VideoView(tuple(Slot("video-a", 5, slot.time) for slot in view.slots), view.fps)
        assert isinstance(outcome(still, spec, segments, seed), str)


def test_blanks_are_black_whichever_video_they_stand_in_for() -> None:
    view = VideoView((Slot("video-a", None, 0.0), Slot("video-b", None, 0.5)), 2.0)
    with pytest.raises(PerturbationError, match="no_change"):
        perturb(view, PerturbationSpec(name="reverse", strength=2), seed=0)


@given(views(min_slots=2), specs(), SEEDS)
def test_seeded_by_content_not_by_when(view: VideoView, spec: PerturbationSpec, seed: int) -> None:
    """What was drawn before, for another view, changes nothing."""
    first = outcome(view, spec, None, seed)
    other = VideoView((*view.slots, Slot("video-c", 1, view.slots[-1].time + 1)), view.fps)
    outcome(other, spec, None, seed)
    assert outcome(VideoView.from_json(view.to_json()), spec, None, seed) == first


def test_the_same_in_another_process() -> None:
    code = (
        "from vtalign.video.perturb import *; from vtalign.video.view import *;"
        "v=VideoView(tuple(Slot('video-a',i,i/2) for i in range(32)),2.0);"
        "print(perturb(v,PerturbationSpec(name='shuffle',strength=16),seed=7).view.view_id)"
    )
    ids = set()
    for hash_seed in ("1", "2"):
        environment = {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(sys.path)}
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
        ids.add(ran.stdout)
    view = VideoView(tuple(Slot("video-a", i, i / 2) for i in range(32)), 2.0)
    assert ids == {perturb(view, PerturbationSpec(name="shuffle", strength=16), seed=7).view.view_id + "\n"}


def test_another_seed_or_video_is_another_draw() -> None:
    spec = PerturbationSpec(name="shuffle", strength=16)
    view = VideoView(tuple(Slot("video-a", i, i / 2) for i in range(32)), 2.0)
    other = VideoView(tuple(Slot("video-b", i, i / 2) for i in range(32)), 2.0)
    orders = {tuple(perturb(v, spec, seed=s).parameters["order"]) for v in (view, other) for s in range(5)}
    assert len(orders) == 10


@settings(max_examples=200)
@given(cases(), st.lists(specs(), max_size=6))
def test_perturbations_for_gives_different_ones_and_accounts_for_the_rest(
    case: tuple[VideoView, PerturbationSpec, Segments | None, int], asked: list[PerturbationSpec]
) -> None:
    view, _, segments, seed = case
    kept, refused = perturbations_for(view, asked, segments, seed, [OTHER])
    assert len({result.view.shown for result in kept} | {view.shown}) == len(kept) + 1
    assert len(kept) + len(refused) == len(asked)
    assert all(reason.startswith(f"{spec.label}: ") for spec, reason in refused)
    assert all(outcome(view, result.spec, segments, seed) == result for result in kept)


def test_two_strengths_with_one_result_are_one() -> None:
    view = VideoView(tuple(Slot("video-a", i, i / 2) for i in range(14)), 2.0)
    clips = tuple((2 * i, 2 * i + 2) for i in range(7))
    asked = [PerturbationSpec(name="shuffle", strength=r, groups="temple") for r in (16, 8, 7, 6, 5, 4, 2)]
    kept, refused = perturbations_for(view, asked, clips, 0)
    # 7 clips: r = 7, 6, 5 and 4 all make groups of one clip.
    assert [result.spec.strength for result in kept] == [7, 2]
    assert [(spec.strength, reason.split(": ")[1]) for spec, reason in refused] == [
        (16, "too_short"),
        (8, "too_short"),
        (6, "duplicate"),
        (5, "duplicate"),
        (4, "duplicate"),
    ]


def test_shuffle_and_reverse_of_two_groups_are_one() -> None:
    view = VideoView(tuple(Slot("video-a", i, i / 2) for i in range(8)), 2.0)
    kept, refused = perturbations_for(view, [PerturbationSpec(name=n, strength=2) for n in ("shuffle", "reverse")], None, 0)
    assert [r.spec.name for r in kept] == ["shuffle"] and refused[0][1] == "reverse-2: duplicate: shows the same as shuffle-2"


@pytest.mark.parametrize("length", [0, 1])
def test_views_without_order_are_too_short(length: int) -> None:
    view = VideoView(tuple(Slot("video-a", i, i / 2) for i in range(length)), 2.0)
    with pytest.raises(PerturbationError, match=r"reverse-1.*too_short"):
        perturb(view, PerturbationSpec(name="reverse", strength=1, frames="reversed"), seed=0)


def test_bad_segments_are_the_callers_mistake() -> None:
    view = VideoView(tuple(Slot("video-a", i, i / 2) for i in range(8)), 2.0)
    with pytest.raises(InputError, match="end at slot 7"):
        perturb(view, PerturbationSpec(name="drop", strength=2), segments=((0, 3), (3, 7)), seed=0)


# Composition


@given(rising_views(min_slots=8), SEEDS)
def test_a_composition_is_its_steps_one_after_the_other(view: VideoView, seed: int) -> None:
    bounds = ((0, 2), (2, 4), (4, 5), (5, len(view)))
    first, second = PerturbationSpec(name="shuffle", strength=4), PerturbationSpec(name="drop", strength=2)
    one = perturb(view, first, segments=bounds, seed=seed)
    two = perturb(one.view, second, segments=one.bounds, seed=seed)
    both = perturb(view, compose(first, second), segments=bounds, seed=seed)
    assert both.view == two.view and both.bounds == two.bounds
    assert [a.source for a in both.segments_after] == [one.segments_after[a.source].source for a in two.segments_after]
    assert [step["name"] for step in both.parameters["steps"]] == ["shuffle", "drop"]


@given(rising_views(min_slots=4))
def test_a_composition_that_undoes_itself_is_refused(view: VideoView) -> None:
    back = PerturbationSpec(name="reverse", strength=1, frames="reversed")
    with pytest.raises(PerturbationError, match="no_change"):
        perturb(view, compose(back, back), seed=0)


def test_turning_motion_inside_each_clip_is_a_composition() -> None:
    view = VideoView(tuple(Slot("video-a", i, i / 2) for i in range(6)), 2.0)
    in_place = compose(
        PerturbationSpec(name="reverse", strength=2), PerturbationSpec(name="reverse", strength=1, frames="reversed")
    )
    result = perturb(view, in_place, segments=((0, 3), (3, 6)), seed=0)
    assert [slot.frame for slot in result.view.slots] == [2, 1, 0, 5, 4, 3]
    assert [(a.source, a.changed) for a in result.segments_after] == [(0, True), (1, True)]


def test_a_step_that_cannot_be_done_names_itself() -> None:
    view = VideoView(tuple(Slot("video-a", i, i / 2) for i in range(6)), 2.0)
    spec = compose(PerturbationSpec(name="drop", strength=2), PerturbationSpec(name="shuffle", strength=3))
    with pytest.raises(PerturbationError, match=r"compose-3.*: too_short: .*there are 1 \(in step shuffle-3\)"):
        perturb(view, spec, segments=((0, 2), (2, 4), (4, 6)), seed=0)


# A user's own perturbation, installed as a package with an entry point

MODULE = """
from vtalign.video.change import Change, Piece, on_clock
def blink(view, spec, segments, seed):
    from dataclasses import replace
    slots = [replace(s, frame=None) if i % spec.options["every"] == 0 else s for i, s in enumerate(view.slots)]
    pieces = tuple(Piece(a, b, i) for i, (a, b) in enumerate(segments))
    return Change(on_clock(view, slots), pieces, {"every": spec.options["every"]})
def telltale(view, spec, segments, seed):
    from dataclasses import replace
    return Change(replace(view, slots=view.slots[::-1]), (Piece(0, len(view), 0),), {})
def idle(view, spec, segments, seed):
    return Change(view, tuple(Piece(a, b, i) for i, (a, b) in enumerate(segments)), {})
def torn(view, spec, segments, seed):
    return Change(on_clock(view, view.slots[::-1]), (Piece(0, 1, 0),), {})
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "blinkpack.py").write_text(MODULE)
    info = tmp_path / "blinkpack-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: blinkpack\nVersion: 1.0\n")
    names = "\n".join(f"{name} = blinkpack:{name}" for name in ("blink", "telltale", "idle", "torn"))
    (info / "entry_points.txt").write_text(f"[vtalign.perturbations]\n{names}\n")
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.usefixtures("installed")
def test_an_installed_perturbation_is_used() -> None:
    view = VideoView(tuple(Slot("video-a", i, i / 2) for i in range(6)), 2.0)
    result = perturb(view, PerturbationSpec(name="blink", strength=2, options={"every": 3}), seed=0)
    assert [slot.frame for slot in result.view.slots] == [None, 1, 2, None, 4, 5]
    assert [a.changed for a in result.segments_after] == [True, True] and result.parameters == {"every": 3}
    assert result.spec.label == "blink-2[every=3]"


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(("name", "says"), [("telltale", "clock"), ("idle", "no_change"), ("torn", "broken: segments")])
def test_an_installed_perturbation_is_held_to_the_laws(name: str, says: str) -> None:
    view = VideoView(tuple(Slot("video-a", i, i / 2) for i in range(6)), 2.0)
    with pytest.raises(PerturbationError, match=says):
        perturb(view, PerturbationSpec(name=name, strength=2), seed=0)
