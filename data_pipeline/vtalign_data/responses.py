"""Stage 7, responses: video-level responses of clips in right and perturbed order (TEMPLE's way), and questions on them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa

from vtalign.ids import seed_from, stable_id
from vtalign.models.prompt import Prompt
from vtalign.models.requests import FrameSource, Generation, Request
from vtalign.preference.pair import VIEW_KIND, group_id_of
from vtalign.preference.schema import OTHER_VIDEOS
from vtalign.remote.requests import ServerError
from vtalign_data.captions import Asking, ClipRequest
from vtalign_data.config import BuildConfig, ComposerConfig
from vtalign_data.questions import QuestionWriter, ToldClip
from vtalign_data.stage import BatchResult, Rejected, Row
from vtalign_data.usage import Usage
from vtalign_data.view_pairs import compares_views
from vtalign_data.writer import Writer, usage_of

_TEXTS = pa.list_(pa.string())
_COPIED = ("video_id", "video", "view_id", "view", "sampling", "perturbation_id", "perturbed_view_id", "perturbed_view", "name")
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("pair_id", "group_id", *_COPIED)),
        ("other_videos", OTHER_VIDEOS),
        ("strength", pa.int64()),
        ("seed", pa.int64()),
        ("parameters", pa.string()),
        *((name, pa.string()) for name in ("source", "kind", "prompt", "chosen", "rejected")),
        ("chosen_requests", _TEXTS),
        ("rejected_requests", _TEXTS),
        ("clip_texts", _TEXTS),  # the descriptions of the clean clips, for the filters
        ("stray", _TEXTS),  # special tokens that the model wrote into a description of either side
    ]
)


@dataclass(frozen=True)
class Told:
    """One video-level response, the ids of the requests that it is made of, the captions among them in order, and the special tokens
    that the model wrote into them."""

    text: str
    requests: list[str]
    clip_texts: list[str]
    stray: list[str]


@dataclass(frozen=True)
class Sides:
    """What is told of the clean and of a perturbed view. `made` says from what, where that is not the one composition of captions:
    `input` and the number of the `sample`; it is kept in the pair's `perturbation.parameters` under `response`."""

    clean: Told
    perturbed: Told
    made: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SidesOfRow:
    """What was made of one perturbation row: a pair of sides for each sample, and what was lost."""

    sides: list[Sides] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)


class ResponseSource(Protocol):
    """Where video-level responses come from: from captions (`caption_responses`), or from views (`view_responses`)."""

    @property
    def usage(self) -> Usage:
        """What the model was asked meanwhile."""
        ...

    def sides(self, rows: Sequence[Row]) -> list[SidesOfRow]:
        """Sides of each of the perturbation rows, in order."""
        ...


class Composer(Protocol):
    """Makes one response of each sequence of clip descriptions, or the error of a server that did not."""

    @property
    def usage(self) -> Usage: ...

    def compose(self, sequences: Sequence[Sequence[str]]) -> Sequence[str | ServerError]: ...


class JoinComposer:
    """Connectives around the descriptions, by template; no model."""

    usage = Usage()

    def __init__(self, config: ComposerConfig) -> None:
        self._config = config

    def compose(self, sequences: Sequence[Sequence[str]]) -> list[str]:
        return [self._join(texts) for texts in sequences]

    def _join(self, texts: Sequence[str]) -> str:
        config = self._config
        if len(texts) == 1:
            return config.single.format(texts[0])
        frames = [config.first, *[config.middle] * (len(texts) - 2), config.last]
        return config.separator.join(frame.format(text) for frame, text in zip(frames, texts, strict=True))


class ModelComposer:
    """The model merges the descriptions, which it is given as text only. `sample`: which of several texts of one prompt."""

    def __init__(
        self, config: ComposerConfig, writer: Writer, source: FrameSource, batch_size: int, seed: int, sample: int = 0
    ) -> None:
        self._config, self._writer, self._source, self._batch_size = config, writer, source, batch_size
        self._seed = (seed, sample) if sample else (seed,)
        self.usage = Usage()

    def compose(self, sequences: Sequence[Sequence[str]]) -> list[str | ServerError]:
        prompts = [self._config.merge_prompt.format(captions="\n".join(texts)) for texts in sequences]
        distinct = list(dict.fromkeys(prompts))
        length, temperature = self._config.max_new_tokens, self._config.temperature
        requests = [Request(Prompt((text,)), length, temperature, seed_from("compose", text, *self._seed)) for text in distinct]
        made = self._writer.generations(requests, self._source, batch_size=self._batch_size)
        self.usage += usage_of(made)
        written = dict(zip(distinct, made, strict=True))
        return [answer.text if isinstance(answer := written[prompt], Generation) else answer for prompt in prompts]


def clip_text(caption: str) -> str:
    """A description as it is put into other texts: single spaces, no full stop at its end."""
    return " ".join(caption.split()).rstrip(".").rstrip()


def response_prompt(config: BuildConfig, view_id: str) -> str:
    """What the video-level responses to a view answer."""
    return config.response_prompts[seed_from("prompt", view_id, config.seed) % len(config.response_prompts)]


def make_candidates(
    views: Sequence[Sequence[Row]],
    captions: Mapping[str, Row],
    asking: Asking,
    source: ResponseSource | None,
    config: BuildConfig,
) -> BatchResult:
    """Candidate pairs of one batch of views, each given by its perturbation rows.

    `source`: None where no responses are asked for. Questions are made of captions of single clips: one that was asked with the
    previous clip in view is no answer about its clip alone. A row of which no response could be made gives no questions either, and
    so does one that compares views: both sides would be alike.
    """
    rows = [row for of_view in views for row in of_view]
    result = BatchResult()
    with_questions = "text" in config.sources and bool(config.questions.kinds)
    responses = source.sides(rows) if source else [SidesOfRow() for _ in rows]
    writers: dict[str, QuestionWriter] = {}
    for row, told in zip(rows, responses, strict=True):
        result.rejected.extend(told.rejected)
        result.rows.extend(_response(row, sides, config) for sides in told.sides)
        if with_questions and (told.sides or not source) and not compares_views(row):
            writer = writers.setdefault(row["view_id"], QuestionWriter(config.questions, row["view_id"], config.seed))
            questions = _questions(row, captions, asking, writer, config)
            if isinstance(questions, Rejected):
                result.rejected.append(questions)
            else:
                result.rows.extend(questions)
    return BatchResult(result.rows, result.rejected, source.usage if source else Usage())


def _response(row: Row, sides: Sides, config: BuildConfig) -> Row:
    common = {
        **_copied(row),
        "clip_texts": sides.clean.clip_texts,
        "stray": sorted({*sides.clean.stray, *sides.perturbed.stray}),
    }
    if sides.made:
        parameters = {**json.loads(row["parameters"]), "response": sides.made}
        common["parameters"] = json.dumps(parameters, sort_keys=True, separators=(",", ":"))
    prompt = response_prompt(config, row["view_id"])
    requests = (sides.clean.requests, sides.perturbed.requests)
    kind = VIEW_KIND if compares_views(row) else "response"
    return _candidate(common, kind, "self", prompt, (sides.clean.text, sides.perturbed.text), requests, sides.made)


def _questions(
    row: Row, captions: Mapping[str, Row], asking: Asking, writer: QuestionWriter, config: BuildConfig
) -> list[Row] | Rejected:
    requests = asking.clean(row)
    asked = asking.perturbed(row, requests)
    lost = lost_caption(row, (*requests, *asked), captions, ())
    if lost is not None:
        return lost
    clean = _told(requests, range(len(requests)), captions)
    perturbed = _told(asked, [piece["source"] for piece in row["pieces"]], captions)
    common = {
        **_copied(row),
        "clip_texts": [clip.text for clip in clean],
        "stray": stray_tokens((clip.request_id for clip in (*clean, *perturbed)), captions),
    }
    rows = []
    for text, question in writer.ask(clean, perturbed):
        answers = (config.questions.answer.format(question.right.text), config.questions.answer.format(question.wrong.text))
        anchor = [question.anchor.request_id] if question.anchor else []
        parents = ([*anchor, question.right.request_id], [*anchor, question.wrong.request_id])
        rows.append(_candidate(common, question.kind, "text", text, answers, parents, {}))
    return rows


def _copied(row: Row) -> Row:
    return {name: row[name] for name in (*_COPIED, "other_videos", "strength", "seed", "parameters")}


def _candidate(
    common: Row,
    kind: str,
    source: str,
    prompt: str,
    sides: tuple[str, str],
    requests: tuple[list[str], list[str]],
    made: dict[str, Any],
) -> Row:
    chosen, rejected = sides
    group_id = group_id_of(common["view_id"], prompt, chosen)
    return {
        **common,
        "pair_id": stable_id("pair", group_id, rejected, common["perturbation_id"], kind, *requests, *([made] if made else [])),
        "group_id": group_id,
        "kind": kind,
        "source": source,
        "prompt": prompt,
        "chosen": chosen,
        "rejected": rejected,
        "chosen_requests": requests[0],
        "rejected_requests": requests[1],
    }


def _told(requests: Sequence[ClipRequest], sources: Sequence[int], captions: Mapping[str, Row]) -> list[ToldClip]:
    return [
        ToldClip(clip_text(captions[request.request_id]["text"]), request.request_id, source)
        for request, source in zip(requests, sources, strict=True)
    ]


def stray_tokens(request_ids: Iterable[str], captions: Mapping[str, Row]) -> list[str]:
    """Special tokens that the model wrote into any of these captions, sorted."""
    return sorted({token for request_id in request_ids for token in captions[request_id]["stray"]})


def lost_caption(
    row: Row, requests: Sequence[ClipRequest], captions: Mapping[str, Row], placeholders: Sequence[str]
) -> Rejected | None:
    """Why nothing can be told of a perturbation row: a caption that is missing, empty, or has one of `placeholders` in it."""
    for request in requests:
        caption = captions.get(request.request_id)
        where = f"{row['video']}: {request.request_id}"
        if caption is None:
            return Rejected(row["perturbation_id"], "failed", "no_caption", where)
        if not clip_text(caption["text"]):
            return Rejected(row["perturbation_id"], "filtered", "empty_caption", where)
        if found := [token for token in placeholders if token in caption["text"]]:
            # such a text cannot be put into a merge prompt; joined responses meet the same rule in the filter stage
            return Rejected(row["perturbation_id"], "filtered", "placeholder", f"{row['video']}: {found[0]}")
    return None
