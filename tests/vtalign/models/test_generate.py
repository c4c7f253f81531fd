"""Writing responses: equal to transformers' own `generate`, independent of the batch, ended and stripped as promised."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from vtalign.errors import InputError
from vtalign.models.feature_store import PatchStore
from vtalign.models.generate import generate_batch
from vtalign.models.prompt import Prompt
from vtalign.models.requests import FrameSource, Generation, Request
from vtalign.models.video_lm import VideoLM
from vtalign.video.view import VideoView

MakeView = Callable[..., VideoView]


def _requests(make_view: MakeView, **settings: Any) -> list[Request]:
    a, b, odd = make_view("video-a", 4), make_view("video-b", 2), make_view("video-c", 5)
    prompts = [
        Prompt((a, "describe the video .")),
        Prompt(("what happens first ?",)),
        Prompt((odd, "what ?")),
        Prompt((a, "what happens first ? a red square")),
        Prompt(("a", b, "then", a)),
        Prompt((a, "describe the video .")),
    ]
    return [Request(prompt, max_new_tokens=4 + 3 * n, **settings) for n, prompt in enumerate(prompts)]


def _by_transformers(lm: VideoLM, request: Request, source: FrameSource) -> str:
    parts = request.prompt.parts
    content = [{"type": "text", "text": part} if isinstance(part, str) else {"type": "video"} for part in parts]
    text = lm.processor.apply_chat_template([{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True)
    views = request.prompt.views
    clocks = [{"total_num_frames": len(v), "fps": v.fps, "frames_indices": list(range(len(v)))} for v in views]
    visual: dict[str, Any] = {}
    if views:
        visual = {"videos": [source.frames(v) for v in views], "video_metadata": clocks}
        visual |= {"do_resize": False, "do_sample_frames": False}
    inputs = lm.processor(text=[text], return_tensors="pt", **visual)
    ids = lm.model.generate(**inputs, max_new_tokens=request.max_new_tokens, do_sample=False)
    special = lm.parts.template.special_ids
    return str(lm.tokenizer.decode([i for i in ids[0, inputs["input_ids"].shape[1] :].tolist() if i not in special])).strip()


def test_greedy_equals_transformers_generate(lm: VideoLM, source: FrameSource, make_view: MakeView) -> None:
    requests = _requests(make_view)
    expected = [_by_transformers(lm, request, source) for request in requests]
    finished: list[int] = []
    assert lm.generate(requests, source, batch_size=4, on_done=finished.append) == expected
    assert lm.generate(requests, source, batch_size=1) == expected
    assert sum(finished) == len(requests) and len(set(expected)) > 3


def test_sampling_depends_on_the_seed_and_not_on_the_batch(lm: VideoLM, source: FrameSource, make_view: MakeView) -> None:
    requests = [Request(r.prompt, 12, temperature=1.0, seed=n) for n, r in enumerate(_requests(make_view))]
    together = lm.generate(requests, source)
    assert together == lm.generate(requests, source)
    assert together == [lm.generate([request], source)[0] for request in requests]
    assert together[::-1] == lm.generate(requests[::-1], source, batch_size=3)
    assert together[0] != together[5]  # one prompt, two seeds
    mixed = [requests[0], Request(requests[1].prompt, 12)]
    assert lm.generate(mixed, source) == [together[0], lm.generate(mixed[1:], source)[0]]


def test_sampling_follows_the_distribution(lm: VideoLM, source: FrameSource) -> None:
    prompt = Prompt(("what ?",))
    draws = 3000
    made = lm.generations([Request(prompt, 1, temperature=0.7, seed=s) for s in range(draws)], source, batch_size=draws)
    text = lm.processor.apply_chat_template(
        [{"role": "user", "content": [{"type": "text", "text": "what ?"}]}], tokenize=False, add_generation_prompt=True
    )
    with torch.no_grad():
        logits = lm.model(**lm.processor(text=[text], return_tensors="pt")).logits[0, -1]
    probabilities = (logits / 0.7).softmax(-1)
    # compare as what is seen: decoded, stripped texts
    chance: dict[str, float] = {}
    for token, probability in enumerate(probabilities.tolist()):
        seen = "" if token in lm.parts.template.special_ids else lm.tokenizer.decode([token]).strip()
        chance[seen] = chance.get(seen, 0.0) + probability
    for seen, expected in sorted(chance.items(), key=lambda item: -item[1])[:5]:
        share = np.mean([generation.text == seen for generation in made])
        assert share == pytest.approx(expected, abs=4 * (expected * (1 - expected) / draws) ** 0.5 + 1e-6)


class _Dictated:
    """Makes a model say given token ids, whatever it reads: adds to the logits of its head, step by step."""

    def __init__(self, model: Any, scripts: list[list[int]]) -> None:
        self.scripts, self.step = scripts, 0
        self.handle = model.lm_head.register_forward_hook(self._say)

    def _say(self, module: torch.nn.Module, inputs: Any, logits: torch.Tensor) -> torch.Tensor:
        said = torch.zeros_like(logits).reshape(-1, logits.shape[-1])
        for row, script in enumerate([s for s in self.scripts if len(s) > self.step]):
            said[row, script[self.step]] = 1e4
        self.step += 1
        return logits + said.reshape(logits.shape)


def test_ends_and_special_tokens_are_told_and_stripped(make_lm: Callable[..., VideoLM], source: FrameSource) -> None:
    lm = make_lm()
    end, pad = lm.parts.template.end_of_turn, lm.parts.video_token_id
    words = lm.tokenizer("a red square", add_special_tokens=False)["input_ids"]
    scripts = [[*words[:1], pad, *words[1:], end], [end], words + words]
    _Dictated(lm.model, scripts)
    lengths = [16, 16, 2 * len(words)]
    prompts = [Prompt((f"what {n} ?",)) for n in range(3)]
    requests = [Request(p, n) for p, n in zip(prompts, lengths, strict=True)]
    made = generate_batch(lm.model, lm.parts, requests, source, PatchStore())
    assert made[0] == Generation("a red square", len(words) + 2, "end", ("<|video_pad|>",))
    assert made[1] == Generation("", 1, "end")
    assert made[2].ended == "length" and made[2].tokens == 2 * len(words)


def test_impossible_requests() -> None:
    for settings in ({"max_new_tokens": 0}, {"temperature": -1.0}, {"seed": -1}):
        with pytest.raises(InputError):
            Request(Prompt(("what ?",)), **settings)


def test_no_requests_no_rows(lm: VideoLM, source: FrameSource) -> None:
    assert lm.generate([], source) == [] and lm.score([], source) == []
