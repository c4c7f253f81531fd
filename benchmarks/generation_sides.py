"""One measurement of answering questions about a video: `generation.py` starts it.

`side` of the job is `shared` (`VideoLM.generate`: all questions at once) or `plain` (transformers' own `generate`, one at a time).
"""

from typing import Any

import torch
from checkpoint import FPS, SIDE, frame_count, make_frames
from measure import Clock, Seconds, measuring_process, peak_megabytes
from transformers import AutoModelForImageTextToText, AutoProcessor

Answers = list[tuple[str, int]]
"""Text and number of new tokens, end of turn included."""


def measure(job: dict[str, Any]) -> dict[str, Any]:
    return {"shared": shared, "plain": plain}[job["side"]](job)


def shared(job: dict[str, Any]) -> dict[str, Any]:
    """Answers to all questions; seconds of `job["repeats"]` calls after one to warm up."""
    from noise import Noise

    from vtalign.models.encode import encode_prompts
    from vtalign.models.load import load_video_lm
    from vtalign.models.prompt import Prompt
    from vtalign.models.requests import Request

    lm = load_video_lm(job["checkpoint"], dtype=job["dtype"], device=job["device"])
    source = Noise([0], frame_count(job["visual"]), SIDE)
    (view,) = source.views.values()
    requests = [Request(Prompt((view, question)), job["new_tokens"]) for question in job["questions"]]
    seconds: list[Seconds] = []
    for _ in range(1 + job["repeats"]):
        clock = Clock(job["device"])
        made = lm.generations(requests, source)
        seconds.append(clock())
    ids = [prompt.ids.tolist() for prompt in encode_prompts(lm.parts, [request.prompt for request in requests], source)[0]]
    answers = [(answer.text, answer.tokens) for answer in made]
    return {"answers": answers, "seconds": seconds[1:], "prompt_ids": ids, "peak_mb": peak_megabytes(job["device"])}


@torch.no_grad()
def plain(job: dict[str, Any]) -> dict[str, Any]:
    """Answers one at a time, processor and all; seconds of every question, the first answered once before to warm up."""
    device, dtype = job["device"], getattr(torch, job["dtype"])
    processor = AutoProcessor.from_pretrained(job["checkpoint"])
    model = AutoModelForImageTextToText.from_pretrained(job["checkpoint"], dtype=dtype, attn_implementation="sdpa").to(device)
    frames = make_frames(frame_count(job["visual"]), SIDE, 0)
    answers: Answers = []
    seconds: list[Seconds] = []
    prompts: list[list[int]] = []
    for question in [job["questions"][0], *job["questions"]]:
        clock = Clock(device)
        content = [{"type": "video"}, {"type": "text", "text": question}]
        message = [{"role": "user", "content": content}]
        text = processor.apply_chat_template(message, tokenize=False, add_generation_prompt=True)
        clip = {"total_num_frames": len(frames), "fps": FPS, "frames_indices": list(range(len(frames)))}
        inputs = processor(
            text=[text], videos=[frames], video_metadata=[clip], do_sample_frames=False, do_resize=False, return_tensors="pt"
        ).to(device, dtype)
        made = model.generate(**inputs, max_new_tokens=job["new_tokens"], do_sample=False)
        new = made[0, inputs["input_ids"].shape[1] :]
        answers.append((processor.tokenizer.decode(new, skip_special_tokens=True).strip(), len(new)))
        seconds.append(clock())
        prompts.append(inputs["input_ids"][0].tolist())
    return {"answers": answers[1:], "seconds": seconds[1:], "prompt_ids": prompts[1:], "peak_mb": peak_megabytes(device)}


if __name__ == "__main__":
    measuring_process(measure)
