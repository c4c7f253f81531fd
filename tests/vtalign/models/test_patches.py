"""Views that show the same frames share what is encoded of them, and that changes no number, in any family."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from vtalign.models.encode import encode_videos
from vtalign.models.feature_store import PatchStore
from vtalign.models.features import encoder_outputs, feature_tensors, from_patches, patch_outputs, visual_inputs
from vtalign.models.patches import cut_patch, patch_keys
from vtalign.models.prompt import Prompt
from vtalign.models.requests import FrameSource, Request, Row
from vtalign.models.rows import branch_logps, build_batch
from vtalign.models.video_lm import VideoLM
from vtalign.video.view import FrameTransform, Slot, VideoView

from .family_checkpoints import SIDE
from .plain_transformers import ONE, TWO, LoadLM, MakeView


class BlackBlanks:
    """Frames of a source, blank slots black as `FrameStore` shows them."""

    def __init__(self, source: FrameSource) -> None:
        self._source = source

    def frames(self, view: VideoView) -> NDArray[np.uint8]:
        shown = self._source.frames(view)
        shown[[slot.frame is None for slot in view.slots]] = 0
        return shown


def perturbed_views(make_view: MakeView) -> list[VideoView]:
    """Clean, reversed in pairs and frame by frame, dropped to an odd number, slowed, half of it blank, and of another video."""
    clean = make_view("video-a", 6)
    contents = ([4, 5, 2, 3, 0, 1], [5, 4, 3, 2, 1, 0], [0, 0, 1, 1, 2, 2])
    odd = VideoView(tuple(replace(clean.slots[at], time=time / 2.0) for time, at in enumerate((0, 1, 2, 3, 5))), clean.fps)
    blanks = VideoView(tuple(replace(slot, frame=None if at % 4 > 1 else slot.frame) for at, slot in enumerate(clean.slots)), 2.0)
    blank_b = VideoView(tuple(replace(slot, video_id="video-b", frame=None) for slot in clean.slots), 2.0)
    return [clean, *map(clean.with_contents, contents), odd, blanks, blank_b, make_view("video-b", 3)]


def test_keys_say_what_is_shown_and_at_which_size() -> None:
    faded = FrameTransform("blur", 3)
    slots = (Slot("a", 0, 0.0), Slot("a", 7, 0.5), Slot("a", None, 1.0), Slot("b", None, 1.5), Slot("a", 7, 2.0, faded))
    view = VideoView(slots, 2.0)
    black = ("", None, None)
    assert patch_keys(view, 2, (8, 16)) == (
        ((8, 16), ("a", 0, None), ("a", 7, None)),
        ((8, 16), black, black),
        ((8, 16), ("a", 7, faded), ("a", 7, faded)),  # the last frame fills the last patch
    )
    assert patch_keys(view, 1, (8, 16))[1] != patch_keys(view, 1, (8, 16))[4]
    assert not set(patch_keys(view, 2, (8, 16))) & set(patch_keys(view, 2, (16, 8)))


@torch.no_grad()
def test_patches_are_cut_where_frames_follow_each_other(
    family: str, load: LoadLM, frames: FrameSource, make_view: MakeView
) -> None:
    parts = load(family).parts
    clean = make_view("video-a", 6)
    moved = clean.with_contents([4, 5, 0, 1, 2, 3])
    videos = encode_videos(parts, [clean, moved], frames)
    there = {key: at for at, key in enumerate(videos[clean].patches)}
    assert len(there) == 6 // parts.geometry.temporal_patch == videos[clean].grid.frames
    for at, key in enumerate(videos[moved].patches):
        expected = cut_patch(parts.family, videos[clean].inputs, len(there), there[key])
        found = cut_patch(parts.family, videos[moved].inputs, len(there), at)
        for name in parts.family.pixels:
            torch.testing.assert_close(found[name], expected[name], atol=0, rtol=0)


@torch.no_grad()
def test_features_of_patches_are_those_of_whole_views(
    family: str, load: LoadLM, frames: FrameSource, make_view: MakeView
) -> None:
    lm = load(family)
    views = perturbed_views(make_view)
    visual = visual_inputs(lm.parts.family, encode_videos(lm.parts, views, BlackBlanks(frames)), views)
    assert visual is not None and visual.repeats_patches
    inner = lm.model
    by_patch = from_patches(visual, *patch_outputs(inner, visual, list(visual.places), inner.device))
    for index, found in enumerate(by_patch):
        [whole] = encoder_outputs(inner, visual, [index])
        assert type(found.pooler_output) is type(whole.pooler_output)
        for one, other in zip(feature_tensors(found), feature_tensors(whole), strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_log_probs_stay_and_distinct_patches_are_encoded_once(
    family: str, load: LoadLM, frames: FrameSource, make_view: MakeView
) -> None:
    lm, source = load(family), BlackBlanks(frames)
    views = perturbed_views(make_view)
    batch = build_batch(lm.parts, [Row(Prompt((view, "what ?")), (ONE, TWO)) for view in views], source)
    assert batch.visual is not None
    whole_views = replace(batch, visual=replace(batch.visual, family=replace(lm.parts.family, patch_axis=None)))
    expected, _ = branch_logps(lm.model, whole_views)
    # patches of one frame: 6 + 3 and black; of two: (01 23 45) (54 32 10) (00 11 22) (55), black, and (01 22) of the other
    distinct = 10 if lm.parts.geometry.temporal_patch == 1 else 13
    with encoded_frames(lm) as counted:
        found, mask = branch_logps(lm.model, batch)
    assert counted == [distinct * lm.parts.geometry.temporal_patch]
    torch.testing.assert_close(found[mask], expected[mask], atol=1e-5, rtol=0)


@torch.no_grad()
def test_batches_of_one_call_share_patches(family: str, load: LoadLM, frames: FrameSource, make_view: MakeView) -> None:
    lm, source = load(family), BlackBlanks(frames)
    rows = [Row(Prompt((view, "what ?")), (ONE,)) for view in perturbed_views(make_view)]
    alone = [lm.score([row], source)[0][0] for row in rows]
    temporal = lm.parts.geometry.temporal_patch
    with encoded_frames(lm) as counted:
        together = lm.score(rows, source, batch_size=2)
    assert sum(counted) == (10 if temporal == 1 else 13 * temporal)
    for (score,), expected in zip(together, alone, strict=True):
        np.testing.assert_allclose(score.token_logps, expected.token_logps, atol=1e-5, rtol=0)
    requests = [Request(row.prompt, max_new_tokens=6) for row in rows]
    written = [lm.generate([request], source)[0] for request in requests]
    with encoded_frames(lm) as counted:
        assert lm.generate(requests, source, batch_size=2) == written
    assert sum(counted) == (10 if temporal == 1 else 13 * temporal)


@torch.no_grad()
def test_views_of_several_sizes_in_one_call(load: LoadLM, make_source: Callable[..., FrameSource], make_view: MakeView) -> None:
    """The same frames at another size are other patches."""
    lm = load("qwen3_vl")
    small, large = make_view("video-a", 4), make_view("video-a", 4, 1.0)

    class BySize:
        def frames(self, view: VideoView) -> NDArray[np.uint8]:
            return make_source(16, 24 if view.fps == 1.0 else 16).frames(view)

    rows = [Row(Prompt((view, "what ?")), (ONE,)) for view in (small, large, small.with_contents([2, 3, 0, 1]))]
    alone = [branch_logps(lm.model, build_batch(lm.parts, [row], BySize()))[0] for row in rows]
    together, _ = branch_logps(lm.model, build_batch(lm.parts, rows, BySize()))
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=0)


@torch.no_grad()
def test_pixels_of_known_features_stay_where_they_are(
    load: LoadLM, make_source: Callable[..., FrameSource], make_view: MakeView
) -> None:
    lm, views = load("video_llama_3"), [make_view()]
    visual = visual_inputs(lm.parts.family, encode_videos(lm.parts, views, make_source(16, 16)), views)
    filled = PatchStore().fill(lm.model, visual)
    assert visual is not None and filled is not None
    for moved, pixels in ((visual.to("meta"), "meta"), (filled.to("meta"), "cpu")):
        [frames], [mask] = moved.inputs["pixel_values_videos"], moved.inputs["video_compression_mask"]
        assert (frames.device.type, mask.device.type) == (pixels, "meta")


@torch.no_grad()
def test_the_longest_unused_patches_leave_a_full_store(
    load: LoadLM, make_source: Callable[..., FrameSource], make_view: MakeView
) -> None:
    lm = load("internvl")
    a, b = make_view("video-a", 4), make_view("video-b", 4)
    store = PatchStore()
    encoded: list[int] = []

    def fill(view: VideoView) -> torch.Tensor:
        visual = visual_inputs(lm.parts.family, encode_videos(lm.parts, [view], make_source(SIDE, SIDE)), [view])
        with encoded_frames(lm) as counted:
            filled = store.fill(lm.model, visual)
        encoded.append(sum(counted))
        assert filled is not None and filled.features is not None
        return feature_tensors(filled.features[0])[0]

    first = fill(a)
    store._room = 0  # no more than is held: what comes now drives out what is there
    fill(b)
    again = fill(a)
    fill(a)
    assert encoded == [4, 4, 4, 0]
    torch.testing.assert_close(again, first)


class encoded_frames:
    """Counts the frames of each call of the vision encoder while the block runs."""

    def __init__(self, lm: VideoLM) -> None:
        self._lm = lm

    def __enter__(self) -> list[int]:
        counted: list[int] = []
        family, geometry = self._lm.parts.family, self._lm.parts.geometry
        flat = family.pixels[1:2] == ("video_grid_thw",)

        def count(module: torch.nn.Module, args: tuple[torch.Tensor, ...], kwargs: dict[str, torch.Tensor]) -> None:
            if flat:
                counted.append(int(kwargs["grid_thw"][:, 0].sum()) * geometry.temporal_patch)
            else:
                counted.append(len(kwargs["pixel_values"] if "pixel_values" in kwargs else args[0]))

        self._handle = self._lm.model.get_submodule(family.encoder).register_forward_pre_hook(count, with_kwargs=True)
        return counted

    def __exit__(self, *_: object) -> None:
        self._handle.remove()
