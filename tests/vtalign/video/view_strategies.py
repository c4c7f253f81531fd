"""Hypothesis strategies for views, segments and specs; duplicates, blanks and irregular clocks included."""

from itertools import pairwise

from hypothesis import strategies as st

from vtalign.video.perturb import PerturbationSpec, Segments, compose
from vtalign.video.view import FrameTransform, Slot, VideoView


@st.composite
def clocks(draw: st.DrawFn, length: int) -> list[float]:
    times = [0.0]
    for _ in range(length - 1):
        times.append(round(times[-1] + draw(st.sampled_from([0.25, 0.5, 0.6])), 6))
    return times[:length]


@st.composite
def views(draw: st.DrawFn, min_slots: int = 0, max_slots: int = 24) -> VideoView:
    """Any view: few different contents, so that duplicate frames, stills and palindromes come up often."""
    contents = st.tuples(
        st.sampled_from(["video-a", "video-b"]),
        st.sampled_from([None, 0, 1, 2, 7]),
        st.sampled_from([None, FrameTransform("blur", 1)]),
    )
    kinds = draw(st.lists(contents, min_size=1, max_size=4))
    length = draw(st.integers(min_slots, max_slots))
    times = draw(clocks(length))
    chosen = draw(st.lists(st.sampled_from(kinds), min_size=length, max_size=length))
    return VideoView(
        tuple(Slot(v, f, t, tr) for (v, f, tr), t in zip(chosen, times, strict=True)), draw(st.sampled_from([1.0, 2.0]))
    )


@st.composite
def rising_views(draw: st.DrawFn, min_slots: int = 2, max_slots: int = 32) -> VideoView:
    """An ordinary clean view: source frames rise, none comes twice."""
    steps = draw(st.lists(st.integers(1, 9), min_size=min_slots, max_size=max_slots))
    frames = [sum(steps[:index]) for index in range(len(steps))]
    return VideoView(tuple(Slot("video-a", f, i * 0.5) for i, f in enumerate(frames)), 2.0)


@st.composite
def partitions(draw: st.DrawFn, length: int) -> Segments:
    """Any segments that cover `length` >= 1 slots."""
    inner = sorted(draw(st.sets(st.integers(1, length - 1), max_size=8))) if length > 1 else []
    edges = [0, *inner, length]
    return tuple(pairwise(edges))


def simple_specs() -> st.SearchStrategy[PerturbationSpec]:
    strength = st.sampled_from([2, 3, 4, 5, 8, 16])
    groups = st.sampled_from(["even", "temple"])
    return st.one_of(
        st.builds(PerturbationSpec, name=st.just("shuffle"), strength=strength, groups=groups),
        st.builds(PerturbationSpec, name=st.just("reverse"), strength=strength, groups=groups),
        st.builds(PerturbationSpec, name=st.just("reverse"), strength=st.integers(1, 16), frames=st.just("reversed")),
        st.builds(PerturbationSpec, name=st.just("drop"), strength=strength),
        st.builds(
            PerturbationSpec,
            name=st.just("speed"),
            strength=st.sampled_from([2, 3, 4]),
            direction=st.sampled_from(["fast", "slow"]),
            affected=st.sampled_from(["all", "one"]),
        ),
        st.builds(PerturbationSpec, name=st.sampled_from(["mask", "pixel_mask"]), strength=st.integers(2, 13)),
        st.builds(
            PerturbationSpec, name=st.just("local_shuffle"), strength=strength, units=st.sampled_from(["frames", "segments"])
        ),
        st.builds(PerturbationSpec, name=st.just("segment_exclude"), strength=strength),
        st.builds(
            PerturbationSpec,
            name=st.just("segment_exclude"),
            strength=strength,
            start=st.sampled_from([0.0, 0.7, 3.0]),
            stop=st.sampled_from([3.2, 5.0]),
        ),
        st.builds(PerturbationSpec, name=st.sampled_from(["sparse_subsample", "crop", "blur", "noise"]), strength=strength),
        st.builds(PerturbationSpec, name=st.just("mirror"), strength=st.integers(1, 16)),
        st.builds(
            PerturbationSpec, name=st.just("insert_distractor"), strength=strength, place=st.sampled_from(["replace", "after"])
        ),
    )


def specs() -> st.SearchStrategy[PerturbationSpec]:
    return st.one_of(simple_specs(), st.lists(simple_specs(), min_size=2, max_size=3).map(lambda steps: compose(*steps)))
