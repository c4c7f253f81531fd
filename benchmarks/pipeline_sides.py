"""One measurement of making responses to videos and their perturbed views: `pipeline.py` starts it.

`side` of the job is `ours` (`vtalign data build`'s own function) or `temple`: TEMPLE's way of working, with its libraries, on the
requests that our build made of the same videos. Both start with nothing loaded and end with what they made on disk.
"""

import json
import os
import resource
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from measure import Seconds, measuring_process, peak_megabytes
from pipeline_requests import VideoWork
from torch.nn.modules.module import register_module_forward_hook
from transformers import AutoModelForImageTextToText, AutoProcessor

Json = dict[str, Any]


def measure(job: Json) -> Json:
    counter = ForwardCounter()
    made = {"ours": ours, "temple": temple}[job["side"]](job)
    return {**made, **counter.counts, "peak_mb": peak_megabytes("cpu")}


class TreeClock:
    """Seconds since it was made; `cpu` is that of this process and of the decoder processes that it has ended."""

    def __init__(self) -> None:
        self._wall, self._cpu = self._now()

    def __call__(self) -> dict[str, float]:
        wall, cpu = self._now()
        return {"wall": wall - self._wall, "cpu": cpu - self._cpu}

    @staticmethod
    def _now() -> tuple[float, float]:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return time.perf_counter(), sum(usage.ru_utime + usage.ru_stime for usage in used)


class ForwardCounter:
    """What the model of this process is given, whoever loads it: `forwards` of the language model, its `rows` and `positions` (padding
    included) and `frames_encoded`. Counted by hooks on the modules themselves, which are looked for until they are met."""

    def __init__(self) -> None:
        self.counts = {"forwards": 0, "rows": 0, "positions": 0, "frames_encoded": 0}
        self._wanted: dict[str, Callable[..., None]] = {
            "InternVLForConditionalGeneration": self._language,
            "InternVLVisionModel": self._vision,
        }
        self._handle = register_module_forward_hook(self._meet, with_kwargs=True)

    def _meet(self, module: torch.nn.Module, args: tuple[Any, ...], kwargs: Json, output: Any) -> None:
        count = self._wanted.pop(type(module).__name__, None)
        if count is not None:
            count(module, args, kwargs, output)
            module.register_forward_hook(count, with_kwargs=True)
        if not self._wanted:
            self._handle.remove()

    def _language(self, _: torch.nn.Module, args: tuple[Any, ...], kwargs: Json, output: Any) -> None:
        rows, length = kwargs["input_ids"].shape
        self.counts["forwards"] += 1
        self.counts["rows"] += rows
        self.counts["positions"] += rows * length

    def _vision(self, _: torch.nn.Module, args: tuple[Any, ...], kwargs: Json, output: Any) -> None:
        self.counts["frames_encoded"] += len(kwargs["pixel_values"] if "pixel_values" in kwargs else args[0])


@dataclass
class StageClock:
    """A `BuildProgress` that notes when each stage began."""

    clock: TreeClock
    began: list[tuple[str, Seconds]] = field(default_factory=list)

    def start(self, stage: str, total: int, unit: str) -> None:
        self.began.append((stage, self.clock()))

    def advance(self, items: int, lost: Sequence[Any]) -> None:
        pass

    def say(self, line: str) -> None:
        pass


def ours(job: Json) -> Json:
    """A build of `job["config"]`, from listing to pairs with scores. `cpu` of a stage is this process's alone: that of the decoder
    processes is known when they have ended, and counted in the whole build."""
    from vtalign_data.build import run_build
    from vtalign_data.config import BuildConfig

    clock = TreeClock()
    progress = StageClock(clock)
    summary = run_build(BuildConfig(**job["config"]), progress)
    seconds = clock()
    stages = {
        name: {unit: after[unit] - start[unit] for unit in start}
        for (name, start), (_, after) in pairwise(progress.began)  # the last one, which selects pairs, is not timed
    }
    usages = {stage.name: stage.usage.to_dict() for stage in summary.stages}
    return {"seconds": seconds, "stages": stages, "usages": usages, "pairs": summary.pairs}


@torch.no_grad()
def temple(job: Json) -> Json:
    """TEMPLE's scripts (lscpku/TEMPLE: preprocess.py, generate_meta_data.py, generate_dpo_data.py, inference/generator_base.py).

    Shots from one pass over a video; then request by request, one `generate()` each: descriptions of clips from one decode of their
    frames, responses to clips or to the video from a decode of the clean frames each, put into the perturbed order in memory, and
    responses from descriptions without any. Rows are appended to a file one by one.

    In its favour: PySceneDetect in place of TransNetV2, no similarity of clips, no second pass for sharp frames, no penalty on
    repetitions.
    """
    from scenedetect import ContentDetector, detect

    clock = TreeClock()
    out = Path(job["out"])
    writer = OneByOne(job["checkpoint"])
    counts: Counter[str] = Counter()
    parts: Counter[str] = Counter()
    responses = []
    works = [VideoWork.from_dict(row) for row in job["works"]]
    for work in works:
        part = TreeClock()
        counts["cuts"] += len(detect(work.path, ContentDetector()))
        counts["decodes"] += 1
        parts["shots"] += part()["wall"]
    with out.open("w", encoding="utf-8") as file:
        for work in works:
            part = TreeClock()
            captions: dict[str, str] = {}
            if work.captions:
                frames = decode(work.path, work.clean)
                counts["decodes"] += 1
                for asked in work.captions:
                    captions[asked.id] = writer.write(asked.prompt, frames[work.places(asked.frames)], job["caption_tokens"])
            parts["captions"] += part()["wall"]
            part = TreeClock()
            for asked in work.responses:
                shown = None
                if asked.frames:
                    shown = decode(work.path, work.clean)[work.places(asked.frames)]
                    counts["decodes"] += 1
                text = writer.write(asked.filled(captions), shown, job["response_tokens"], job["temperature"])
                responses.append(asked.id)
                file.write(json.dumps({"video": work.path, "id": asked.id, "response": text}) + "\n")
                file.flush()
            parts["responses"] += part()["wall"]
        os.fsync(file.fileno())
    usage = {"model_calls": writer.calls, "prompt_tokens": writer.read, "generated_tokens": writer.written, **counts}
    return {"seconds": clock(), "stages": dict(parts), "usage": usage, "responses": len(responses)}


def decode(path: str, indices: Sequence[int]) -> Any:
    """uint8 (N, H, W, 3) at the video's own size, as TEMPLE's tools/loader.py reads them."""
    from decord import VideoReader

    return VideoReader(path).get_batch(list(indices)).asnumpy()


class OneByOne:
    """A processor and `generate()` for a prompt at a time; counts calls and tokens, those of a video included."""

    def __init__(self, checkpoint: str) -> None:
        self._processor = AutoProcessor.from_pretrained(checkpoint)
        self._model = AutoModelForImageTextToText.from_pretrained(
            checkpoint, dtype=torch.float32, attn_implementation="sdpa"
        ).eval()
        self.calls = self.read = self.written = 0

    def write(self, prompt: str, frames: Any | None, new_tokens: int, temperature: float = 0.0) -> str:
        content: list[Json] = [{"type": "text", "text": prompt}]
        videos: Json = {}
        if frames is not None:
            content.insert(0, {"type": "video"})
            clip = {"total_num_frames": len(frames), "fps": 1.0, "frames_indices": list(range(len(frames)))}
            videos = {"videos": [frames], "video_metadata": [clip], "do_sample_frames": False}
        text = self._processor.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
        )
        inputs = self._processor(text=[text], **videos, return_tensors="pt")
        sampling: Json = {"do_sample": True, "temperature": temperature, "top_k": 0} if temperature else {"do_sample": False}
        made = self._model.generate(**inputs, max_new_tokens=new_tokens, **sampling)
        new = made[0, inputs["input_ids"].shape[1] :]
        self.calls += 1
        self.read += inputs["input_ids"].shape[1]
        self.written += len(new)
        return str(self._processor.tokenizer.decode(new, skip_special_tokens=True).strip())


if __name__ == "__main__":
    measuring_process(measure)
