"""Prompt and response ids: what the processor would give for the whole conversation, cut where they meet."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from vtalign.errors import InputError
from vtalign.models.encode import encode_prompts, encode_responses, encode_videos
from vtalign.models.positions import Grid
from vtalign.models.prompt import Prompt
from vtalign.models.requests import FrameSource
from vtalign.models.video_lm import VideoLM
from vtalign.video.view import Slot, VideoView

MakeView = Callable[..., VideoView]


def test_ids_pixels_and_positions_are_the_processors_and_the_models(
    lm: VideoLM, source: FrameSource, make_view: MakeView
) -> None:
    views = [make_view("video-a", 6), make_view("video-b", 2, 1.0), make_view("video-a", 6)]
    prompt = Prompt(("first", views[0], "second", views[1], "again", views[2], "what happens first ?"))
    [encoded], videos = encode_prompts(lm.parts, [prompt], source)
    content = [{"type": "text", "text": part} if isinstance(part, str) else {"type": "video"} for part in prompt.parts]
    text = lm.processor.apply_chat_template([{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True)
    expected = lm.processor(
        text=[text],
        videos=[source.frames(view) for view in views],
        video_metadata=[{"total_num_frames": len(v), "fps": v.fps, "frames_indices": list(range(len(v)))} for v in views],
        do_resize=False,
        do_sample_frames=False,
        return_tensors="pt",
    )
    assert encoded.ids.tolist() == expected["input_ids"][0].tolist()
    assert encoded.types.tolist() == expected["mm_token_type_ids"][0].tolist()
    assert len(videos) == 2
    torch.testing.assert_close(
        torch.cat([videos[view].inputs["pixel_values_videos"] for view in views]), expected["pixel_values_videos"]
    )
    positions, _ = lm.model.model.get_rope_index(
        expected["input_ids"], mm_token_type_ids=expected["mm_token_type_ids"], video_grid_thw=expected["video_grid_thw"]
    )
    assert encoded.positions.tolist() == positions[:, 0].tolist()


def test_golden_positions_of_qwen3_vl(lm: VideoLM, source: FrameSource, make_view: MakeView) -> None:
    """By hand: text counts up; a frame of 3 x 3 tokens starts at p and the text behind it goes on at p + 3."""
    [encoded], _ = encode_prompts(lm.parts, [Prompt((make_view("video-a", 4),))], source)
    starts = np.flatnonzero(np.diff(encoded.types) == 2) + 1
    for start in starts.tolist():
        p = int(encoded.positions[0, start - 1]) + 1
        assert encoded.positions[0, start : start + 9].tolist() == [p] * 9
        assert encoded.positions[1, start : start + 9].tolist() == [p, p, p, p + 1, p + 1, p + 1, p + 2, p + 2, p + 2]
        assert encoded.positions[2, start : start + 9].tolist() == [p, p + 1, p + 2] * 3
        assert encoded.positions[:, start + 9].tolist() == [p + 3] * 3
    assert len(starts) == 2 and encoded.positions[:, -1].tolist() == [len(encoded) - 1 - 2 * 6] * 3


def test_timestamps_follow_the_slot_clock_whatever_is_shown(lm: VideoLM, source: FrameSource, make_view: MakeView) -> None:
    view = make_view("video-a", 4)
    clean, shuffled = encode_videos(lm.parts, [view, view.with_contents([2, 3, 0, 1])], source).values()
    assert clean.text == shuffled.text and "<0.2 seconds>" in clean.text and "<1.2 seconds>" in clean.text
    one, other = (video.inputs["pixel_values_videos"] for video in (clean, shuffled))
    torch.testing.assert_close(one[: len(one) // 2], other[len(one) // 2 :])


def test_the_true_time_of_a_slot_is_shown(lm: VideoLM, source: FrameSource) -> None:
    late = VideoView((Slot("v", 0, 3.0), Slot("v", 1, 3.5)), 2.0)
    assert "<3.2 seconds>" in encode_videos(lm.parts, [late], source)[late].text


def test_odd_frames_repeat_the_last(lm: VideoLM, source: FrameSource, make_view: MakeView) -> None:
    odd, filled = make_view("video-a", 3), make_view("video-a", 3).with_contents([0, 1, 2])
    filled = VideoView((*filled.slots, replace(filled.slots[2], time=1.0)), 2.0)
    videos = encode_videos(lm.parts, [odd, filled, make_view("video-a", 1)], source)
    assert torch.equal(*(videos[view].inputs["pixel_values_videos"] for view in (odd, filled)))
    assert videos[odd].grid == Grid(2, 3, 3) and videos[make_view("video-a", 1)].grid == Grid(1, 3, 3)


def test_frames_of_another_size_and_frames_that_do_not_fit(
    lm: VideoLM, make_view: MakeView, make_source: Callable[..., FrameSource]
) -> None:
    assert encode_videos(lm.parts, [make_view()], make_source(32, 64))[make_view()].grid == Grid(2, 2, 4)
    with pytest.raises(InputError, match="multiples of 16"):
        encode_videos(lm.parts, [make_view()], make_source(40, 48))

    class Wrong:
        def frames(self, view: VideoView) -> np.ndarray:
            return np.zeros((3, 48, 48, 3), dtype=np.uint8)

    with pytest.raises(InputError, match=r"must be uint8 \(4, H, W, 3\)"):
        encode_videos(lm.parts, [make_view()], Wrong())


def test_special_tokens_in_texts(lm: VideoLM, source: FrameSource) -> None:
    with pytest.raises(InputError, match="video_pad"):
        encode_prompts(lm.parts, [Prompt(("what <|video_pad|> ?",))], source)
    [ids] = encode_responses(lm.parts, ["a <|video_pad|> b <|im_end|>"])
    assert ids[-1] == lm.tokenizer.eos_token_id and not lm.parts.template.special_ids.intersection(ids[:-1])
    assert lm.tokenizer.decode(ids[:-1]) == "a <|video_pad|> b <|im_end|>"


def test_a_response_is_what_the_whole_template_has_there(lm: VideoLM, source: FrameSource) -> None:
    for text in ("a red square moves left .", " leading space", "", "\nnew line", "9 . 5 seconds"):
        messages = [
            {"role": "user", "content": [{"type": "text", "text": "what ?"}]},
            {"role": "assistant", "content": [{"type": "text", "text": text}]},
        ]
        whole = lm.tokenizer(lm.processor.apply_chat_template(messages, tokenize=False))["input_ids"]
        [prompt], _ = encode_prompts(lm.parts, [Prompt(("what ?",))], source)
        [response] = encode_responses(lm.parts, [text])
        assert whole[: len(prompt) + len(response)] == [*prompt.ids.tolist(), *response]


def test_a_prompt_longer_than_the_model(lm: VideoLM, source: FrameSource, make_view: MakeView) -> None:
    with pytest.raises(InputError, match="max_frames"):
        encode_prompts(replace(lm.parts, max_positions=30), [Prompt((make_view(),))], source)
