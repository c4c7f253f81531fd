"""Write the synthetic corpus: train, validation and held-out splits of mp4 files with captions, questions and SFT rows.

Layout of each split folder: `videos/*.mp4`, `captions.jsonl` (what is true), `questions.jsonl` (with conflict groups; not for train)
and, for train, `sft.jsonl` in LLaVA's `conversations` layout, whose text about several clips is unreliable about time.
"""

import json
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from vtalign.artifacts import claim_run_folder, write_atomic, write_json
from vtalign.errors import InputError
from vtalign.ids import seed_from, stable_id
from vtalign_data.synth.questions import (
    CAPTION_PROMPTS,
    HELDOUT_TEMPLATES,
    TRAIN_TEMPLATES,
    VALIDATION_TEMPLATES,
    Asker,
    Question,
)
from vtalign_data.synth.render import render_story, write_mp4
from vtalign_data.synth.world import (
    CLIP_SECONDS,
    FPS,
    Event,
    altered,
    caption,
    random_story,
    told_story,
)

MAX_CLIPS = 4
# One in five held-out families shows a single clip; the rest have two to four.
_SINGLE_EVERY = 5
_TARGETS = {"direction": ("move",), "speed": ("move",), "action": ("action",), "attribute_change": ("size", "turn")}
Rows = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class Video:
    """One video to write: its name within the split, the family of siblings that it belongs to, and what it shows."""

    name: str
    family: str
    story: tuple[Event, ...]

    @property
    def path(self) -> str:
        return f"videos/{self.name}.mp4"


def write_corpus(out: Path, videos: int, seed: int) -> None:
    """Write `videos` training videos, `videos // 4` validation and `videos * 3 // 4` held-out families (two or three videos each).

    No video is in two splits. The same arguments give the same bytes. Raises InputError for fewer than 8 videos or a folder of
    another corpus; a folder that is already complete is left as it is.
    """
    if videos < 8:
        raise InputError(f"--videos {videos}: a corpus needs at least 8")
    claim_run_folder(out, {"videos": videos, "seed": seed, "version": 1}, "data synth")
    if (out / "corpus.json").is_file():
        return
    plan = {
        "train": _train_split(videos, random.Random(seed_from("train", seed))),
        "validation": _asked_split(videos // 4, "v", VALIDATION_TEMPLATES, random.Random(seed_from("validation", seed))),
        "heldout": _asked_split(videos * 3 // 4, "h", HELDOUT_TEMPLATES, random.Random(seed_from("heldout", seed))),
    }
    total = sum(len(split[0]) for split in plan.values())
    with tqdm(total=total, desc="synthetic videos", unit="video", mininterval=0.5) as bar:
        for name, (shown, rows) in plan.items():
            folder = out / name / "videos"
            folder.mkdir(parents=True, exist_ok=True)
            for video in shown:
                _write_video(folder / f"{video.name}.mp4", video)
                bar.update()
            for file, content in {**rows, "captions": [_caption_row(video) for video in shown]}.items():
                lines = "".join(json.dumps(row) + "\n" for row in content)
                write_atomic(out / name / f"{file}.jsonl", lines)
    counts = {name: {"videos": len(shown), **{k: len(v) for k, v in rows.items()}} for name, (shown, rows) in plan.items()}
    write_json(out / "corpus.json", {"seed": seed, "fps": FPS, "clip_seconds": CLIP_SECONDS, "splits": counts})


def _write_video(path: Path, video: Video) -> None:
    partial = path.with_name(f".{path.name}.partial.mp4")
    write_mp4(partial, render_story(list(video.story)))
    os.replace(partial, path)


def _train_split(videos: int, rng: random.Random) -> tuple[list[Video], Rows]:
    shown, rows = [], []
    for index in range(videos):
        story = random_story(rng, rng.choices(range(1, MAX_CLIPS + 1), (1, 3, 3, 3))[0])
        video = Video(f"t{index:05d}", f"t{index:05d}", tuple(story))
        shown.append(video)
        rows += [_sft_row(video, prompt, answer) for prompt, answer in _sft_texts(story, rng)]
    return shown, {"sft": rows}


def _sft_texts(story: list[Event], rng: random.Random) -> Iterator[tuple[str, str]]:
    asker = Asker(TRAIN_TEMPLATES, rng)
    yield rng.choice(CAPTION_PROMPTS), caption(told_story(story, rng))
    for _ in range(3):
        question = asker.static(story)
        yield question.text, question.answer
    told = told_story(story, rng)
    question = asker.order(told) if len(told) > 1 else asker.match(told[0])
    yield question.text, question.answer
    question = asker.temporal(rng.choice(told_story(story, rng)))
    yield question.text, question.answer


def _sft_row(video: Video, prompt: str, answer: str) -> dict[str, Any]:
    turns = [{"from": "human", "value": f"<video>\n{prompt}"}, {"from": "gpt", "value": answer}]
    return {"id": stable_id("sft", video.name, prompt, answer), "video": video.path, "conversations": turns}


def _caption_row(video: Video) -> dict[str, Any]:
    clips = [f"{event.clause} ." for event in video.story]
    return {
        "video": video.path,
        "family": video.family,
        "events": len(clips),
        "clips": clips,
        "caption": caption(list(video.story)),
    }


def _asked_split(
    families: int, prefix: str, templates: dict[str, tuple[str, ...]], rng: random.Random
) -> tuple[list[Video], Rows]:
    """Families of siblings with the same static content and one temporal aspect different, and questions about them."""
    shown: list[Video] = []
    questions: list[dict[str, Any]] = []
    targets = list(_TARGETS)
    for index in range(families):
        family, aspect = f"{prefix}{index:05d}", targets[index % len(targets)]
        clips = 1 if index % _SINGLE_EVERY == 0 else rng.randint(2, MAX_CLIPS)
        story, which = _story_with(aspect, clips, rng)
        sibling = [*story[:which], altered(story[which], aspect, rng), *story[which + 1 :]]
        base, changed = (Video(f"{family}-{tag}", family, tuple(told)) for tag, told in (("a", story), ("b", sibling)))
        members = [base, changed]
        asker = Asker(templates, rng)
        for number in range(2):
            pair = _pair_about(asker, aspect, story[which], sibling[which], direct=number == 0)
            questions += _group(f"{family}-{aspect}-{number}", (base, changed), pair)
        if clips > 1:
            swapped = Video(f"{family}-c", family, tuple(_swap(story, rng)))
            members.append(swapped)
            for number, by in enumerate(("object", "event")):
                first = asker.order(story, by=by)
                second = replace(first, answer=_answer_order(first, swapped))
                questions += _group(f"{family}-order-{number}", (base, swapped), (first, second))
        for video in members:
            questions += [_question_row(video, question, None) for question in _static_questions(asker, video)]
        shown += members
    return shown, {"questions": questions}


def _story_with(aspect: str, clips: int, rng: random.Random) -> tuple[list[Event], int]:
    """A story that has an event of which `aspect` can be changed, and the index of that event."""
    kinds = _TARGETS[aspect]
    while True:
        story = random_story(rng, clips)
        which = rng.randrange(clips)
        if story[which].kind in kinds:
            return story, which


def _pair_about(asker: Asker, aspect: str, event: Event, other: Event, *, direct: bool) -> tuple[Question, Question]:
    """One question with its answers for the event and for its altered sibling."""
    question = asker.contrast(aspect, event, other) if direct else asker.matching(aspect, event, other)
    wrong = next(option for option in question.options if option != question.answer)
    return question, replace(question, answer=wrong)


def _static_questions(asker: Asker, video: Video) -> list[Question]:
    """Two different questions about what is there."""
    first = asker.static(list(video.story))
    while True:
        second = asker.static(list(video.story))
        if second.text != first.text:
            return [first, second]


def _swap(story: list[Event], rng: random.Random) -> list[Event]:
    """The same clips in another order in which every pair of neighbours of the question may have changed: full reversal or rotation."""
    if len(story) == 2 or rng.random() < 0.5:
        return story[::-1]
    by = rng.randrange(1, len(story))
    return story[by:] + story[:by]


def _answer_order(question: Question, video: Video) -> str:
    """Which option of an order question happens first in this video."""

    def place(option: str) -> int:
        return next(i for i, event in enumerate(video.story) if option in (f"the {event.thing}", event.clause))

    return min(question.options, key=place)


def _group(name: str, videos: tuple[Video, Video], pair: tuple[Question, Question]) -> list[dict[str, Any]]:
    """Rows of a conflict group; where both videos have the same answer the rows stand alone."""
    group = name if pair[0].answer != pair[1].answer else None
    return [_question_row(video, question, group) for video, question in zip(videos, pair, strict=True)]


def _question_row(video: Video, question: Question, group: str | None) -> dict[str, Any]:
    return {
        "question_id": stable_id("question", video.name, question.text, question.template),
        "video": video.path,
        "family": video.family,
        "aspect": question.aspect,
        "group": group,
        "events": len(video.story),
        "template": question.template,
        "question": question.text,
        "options": list(question.options),
        "answer": question.answer,
    }
