"""Frame policies that fit a family, and everything that is refused: one line each."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vtalign.errors import InputError
from vtalign.models.encode import encode_prompts
from vtalign.models.load import load_video_lm
from vtalign.models.prompt import Prompt
from vtalign.models.requests import FrameSource, Row
from vtalign.models.rows import build_batch
from vtalign.models.video_lm import VideoLM, model_parts
from vtalign.video.sample import FramePolicy
from vtalign.video.view import VideoView

from .family_checkpoints import FIXED, SIDE

MakeView = Callable[..., VideoView]
LoadLM = Callable[..., VideoLM]
Folder = Callable[[str], Path]
LONG = "a red square moves left , then a blue circle grows . " * 36


def test_the_default_policy_is_one_that_the_model_takes(family: str, load: LoadLM) -> None:
    policy = load(family).policy
    expected = {"size": (SIDE, SIDE), "max_pixels": SIDE**2, "multiple": 1} if family in FIXED else {"multiple": 8}
    assert policy == FramePolicy(**expected)  # type: ignore[arg-type]


def test_frames_of_a_fixed_size_may_not_fill_the_context(checkpoints: Folder, tmp_path: Path) -> None:
    folder = _copied(checkpoints("llava_next_video"), tmp_path)
    _edit(folder / "config.json", lambda config: config["text_config"].update(max_position_embeddings=160))
    assert load_video_lm(folder, device="cpu").policy.max_frames == 20


def test_a_policy_that_the_family_cannot_take(family: str, checkpoints: Folder) -> None:
    wrong = FramePolicy(multiple=12) if family not in FIXED else FramePolicy(size=(SIDE, 2 * SIDE))
    expected = "exactly 16x16 pixels.*`size` to" if family in FIXED else "multiples of 8 pixels.*multiple=12"
    _refused(lambda: load_video_lm(checkpoints(family), device="cpu", policy=wrong), expected, family)
    if family in FIXED:
        _refused(lambda: load_video_lm(checkpoints(family), device="cpu", policy=FramePolicy()), "says multiple=28", family)
    else:
        _refused(
            lambda: load_video_lm(checkpoints(family), device="cpu", policy=FramePolicy(size=(16, 20))),
            r"size=\[16, 20\]",
            family,
        )
        assert load_video_lm(checkpoints(family), device="cpu", policy=FramePolicy(size=(16, 24))).policy.size == (16, 24)


def test_frames_and_prompts_that_do_not_fit(
    family: str, load: LoadLM, frames: FrameSource, make_view: MakeView, make_source: Callable[..., FrameSource]
) -> None:
    parts, prompt = load(family).parts, Prompt((make_view("video-a", 4), "what ?"))
    for rows, source, changed, expected in (
        (("x",), make_source(20, 20), {}, "frames of 20x20 pixels, this model needs"),
        (("x",), frames, {"min_frames": 5}, "4 frame.*at least 5.*min_frames"),
        (
            ("x",),
            frames,
            {"max_positions": 10},
            r"a prompt about view .*video video-a.* tokens \(\d+ visual\) does not fit .* 10",
        ),
        (
            ("x", LONG),
            frames,
            {"max_positions": 200},
            r"a response about view .*video video-a.* of \d{3} tokens needs \d{3} positions .* the model has 200",
        ),
    ):
        _refused(lambda r=rows, s=source, c=changed: build_batch(replace(parts, **c), [Row(prompt, r)], s), expected, "")  # type: ignore[misc]


def _other_size(config: dict[str, Any]) -> None:
    """Twice the frame: four times the visual tokens, which the processor knows nothing of."""
    vision = config["vision_config"]
    vision["image_size"] = [32, 32] if isinstance(vision["image_size"], list) else 32


def _other_merge(config: dict[str, Any]) -> None:
    config["vision_config"]["patch_size"] = 8


@pytest.mark.parametrize("family", sorted(FIXED - {"llava_next_video"} | {"qwen2_vl", "video_llama_3"}))
def test_a_processor_that_does_not_fit_the_model(family: str, checkpoints: Folder, tmp_path: Path) -> None:
    lm = load_video_lm(checkpoints(family), device="cpu")
    config = type(lm.model.config).from_dict(_changed(lm.model.config.to_dict(), family))
    policy = FramePolicy(size=(32, 32)) if family in FIXED else lm.policy
    expected = "placeholders where the model makes 1[67]" if family in FIXED else "patch_size 4"
    _refused(lambda: model_parts(config, lm.processor, policy, "mine"), f"mine: .*({expected})", "mine")


def _changed(config: dict[str, Any], family: str) -> dict[str, Any]:
    (_other_size if family in FIXED else _other_merge)(config)
    return config


def test_frames_that_a_processor_makes_zero(checkpoints: Folder, make_view: MakeView, tmp_path: Path) -> None:
    """SmolVLM drops frames of zeros as padding; a black frame is one where nothing is subtracted."""
    folder = _copied(checkpoints("smolvlm"), tmp_path)
    _edit(folder / "processor_config.json", lambda record: record["video_processor"].update(do_normalize=False))

    class Black:
        def frames(self, view: VideoView) -> np.ndarray:
            return np.zeros((len(view), SIDE, SIDE, 3), np.uint8)

    lm = load_video_lm(folder, device="cpu")
    _refused(lambda: encode_prompts(lm.parts, [Prompt((make_view(),))], Black()), "only zeros of a frame", "video-a")


def test_no_num2words(checkpoints: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transformers.models.smolvlm.processing_smolvlm.num2words", None)
    _refused(lambda: load_video_lm(checkpoints("smolvlm"), device="cpu"), r"num2words.*required.*vtalign\[smolvlm\]", "smolvlm")


def test_a_processor_without_videos(checkpoints: Folder) -> None:
    lm = load_video_lm(checkpoints("internvl"), device="cpu")

    class Images:
        tokenizer = lm.tokenizer

    _refused(lambda: model_parts(lm.model.config, Images(), lm.policy, "mine"), "has no video processor", "mine")


def _copied(folder: Path, target: Path) -> Path:
    return Path(shutil.copytree(folder, target / "copy"))


def _edit(record: Path, change: Callable[[dict[str, Any]], object]) -> None:
    data = json.loads(record.read_text())
    change(data)
    record.write_text(json.dumps(data))


def _refused(action: Callable[[], object], expected: str, name: str) -> None:
    with pytest.raises(InputError, match=expected) as caught:
        action()
    assert "\n" not in str(caught.value) and name in str(caught.value)
