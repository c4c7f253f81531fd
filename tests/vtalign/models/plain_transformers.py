"""The reference of the family tests: the processor on a whole conversation, one sequence at a time, through the model as it is."""

from collections.abc import Callable
from typing import Any

import torch

from vtalign.models.prompt import Prompt
from vtalign.models.requests import FrameSource, Request, Row
from vtalign.models.video_lm import VideoLM
from vtalign.video.view import VideoView

MakeView = Callable[..., VideoView]
LoadLM = Callable[..., VideoLM]

ONE, TWO = "a red square moves left .", "a blue circle grows ."
LONG = "a red square moves left , then a blue circle grows . " * 4
TWELVE = ("", "x", ONE, TWO, LONG, "what ?", "y", TWO + TWO, ONE, "left", "then", "a")


def varied_rows(make_view: MakeView) -> list[Row]:
    """K = 1, 3, 12; branches of one token, equal and very unequal; views of 2, 3 and 4 frames, one that stands still; no view."""
    a, still = make_view("video-a", 4), make_view("video-b", 4).with_contents([0, 0, 1, 1])
    return [
        Row(Prompt((a, "describe the video .")), (ONE,)),
        Row(Prompt((a, "what happens first ?")), (ONE, ONE, "")),
        Row(Prompt((make_view("video-c", 3, 1.0), "what ?")), TWELVE),
        Row(Prompt(("what happens ?",)), (ONE, TWO)),
        Row(Prompt(("first", a, "then", still, "what happens first ?")), (LONG, "x")),
        Row(Prompt((make_view("video-d", 2), "describe the video .")), (TWO,)),
    ]


def processor_inputs(lm: VideoLM, prompt: Prompt, source: FrameSource, response: str | None = None) -> dict[str, Any]:
    """What the processor makes of a conversation, up to the generation prompt or with a response and its end."""
    content = [{"type": "text", "text": part} if isinstance(part, str) else {"type": "video"} for part in prompt.parts]
    turn = [{"role": "user", "content": content}]
    text = lm.processor.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
    if response is not None:
        template = lm.parts.template
        text += template.lead + response + lm.tokenizer.convert_ids_to_tokens(template.end_of_turn)
    visual: dict[str, Any] = {}
    if prompt.views:
        clocks = [
            {
                "total_num_frames": len(view),
                "fps": view.fps,
                "duration": len(view) / view.fps,
                "frames_indices": list(range(len(view))),
            }
            for view in prompt.views
        ]
        videos = [source.frames(view) for view in prompt.views]
        visual = {"videos": videos, "video_metadata": clocks, "do_resize": False, "do_sample_frames": False}
        visual |= lm.parts.family.video_options
    made = lm.processor(text=[text], return_tensors="pt", **visual)
    return {name: value for name, value in made.items() if name not in ("token_type_ids", "video_metadata")}


def separate_logps(lm: VideoLM, row: Row, source: FrameSource) -> list[torch.Tensor]:
    """Log-probs of a row's responses, each as a sequence of its own."""
    start = processor_inputs(lm, row.prompt, source)["input_ids"].shape[1]
    found = []
    for response in row.responses:
        inputs = processor_inputs(lm, row.prompt, source, response)
        ids = inputs["input_ids"][0]
        logits = lm.model(**inputs, use_cache=False).logits[0].float().log_softmax(-1)
        found.append(logits[torch.arange(start - 1, len(ids) - 1), ids[start:]])
    return found


def largest_error(logps_and_mask: tuple[torch.Tensor, torch.Tensor], reference: list[torch.Tensor]) -> float:
    logps, mask = logps_and_mask
    assert [int(real.sum()) for real in mask] == [len(expected) for expected in reference]
    return max(float((row[real] - expected).abs().max()) for row, real, expected in zip(logps, mask, reference, strict=True))


def by_generate(lm: VideoLM, request: Request, source: FrameSource) -> str:
    inputs = processor_inputs(lm, request.prompt, source)
    ids = lm.model.generate(**inputs, max_new_tokens=request.max_new_tokens, do_sample=False)[0]
    words = [token for token in ids[inputs["input_ids"].shape[1] :].tolist() if token not in lm.parts.template.special_ids]
    return str(lm.tokenizer.decode(words, clean_up_tokenization_spaces=False)).strip()


def seconds_per_grid(inputs: dict[str, Any]) -> float:
    return float(torch.as_tensor(inputs["second_per_grid_ts"]).reshape(-1)[0])


def original_positions(lm: VideoLM, ids: list[int], given: dict[str, Any], step: float) -> torch.Tensor:
    """Positions as the code that trained the Qwen families has them: whatever follows goes on at the largest position + 1."""
    if lm.parts.family.positions["trained"].__name__ == "counted":
        return torch.arange(len(ids))[None]
    per_frame = lm.parts.family.model_type.startswith("qwen3")
    grids = [[t, h // 2, w // 2] for t, h, w in given.get("video_grid_thw", torch.zeros(0, 3)).tolist()]
    grids = [[1, h, w] for t, h, w in grids for _ in range(int(t))] if per_frame else grids
    pieces: list[torch.Tensor] = []
    at = 0
    while at < len(ids):
        start = int(pieces[-1].max()) + 1 if pieces else 0
        if ids[at] != lm.parts.video_token_id or not grids:
            pieces.append(torch.full((3, 1), start))
            at += 1
            continue
        t, h, w = grids.pop(0)
        axes = torch.meshgrid((torch.arange(t) * step).long(), torch.arange(h), torch.arange(w), indexing="ij")
        pieces.append(torch.stack([axis.flatten() for axis in axes]) + start)
        at += t * h * w
    return torch.cat(pieces, dim=1)[:, None]
