"""Stage 7, responses: video-level responses of clips in right and perturbed order (TEMPLE's way), and questions on them."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import pyarrow as pa

from vtalign.ids import seed_from, stable_id
from vtalign.models.prompt import Prompt
from vtalign.models.requests import FrameSource, Request
from vtalign.models.video_lm import VideoLM
from vtalign.preference.pair import VIEW_KIND, group_id_of
from vtalign.preference.schema import OTHER_VIDEOS
from vtalign_data.captions import Asking, ClipRequest
from vtalign_data.config import BuildConfig, ComposerConfig
from vtalign_data.questions import QuestionWriter, ToldClip
from vtalign_data.stage import BatchResult, Rejected, Row
from vtalign_data.view_pairs import compares_views

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


class Composer(Protocol):
    """Makes one response of each sequence of clip descriptions."""

    def compose(self, sequences: Sequence[Sequence[str]]) -> list[str]: ...


class JoinComposer:
    """Connectives around the descriptions, by template; no model."""

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
    """The model merges the descriptions, which it is given as text only."""

    def __init__(self, config: ComposerConfig, model: VideoLM, source: FrameSource, batch_size: int, seed: int) -> None:
        self._config, self._model, self._source = config, model, source
        self._batch_size, self._seed = batch_size, seed

    def compose(self, sequences: Sequence[Sequence[str]]) -> list[str]:
        prompts = [self._config.merge_prompt.format(captions="\n".join(texts)) for texts in sequences]
        distinct = list(dict.fromkeys(prompts))
        length, temperature = self._config.max_new_tokens, self._config.temperature
        requests = [Request(Prompt((text,)), length, temperature, seed_from("compose", text, self._seed)) for text in distinct]
        written = dict(zip(distinct, self._model.generate(requests, self._source, batch_size=self._batch_size), strict=True))
        return [written[prompt] for prompt in prompts]


def clip_text(caption: str) -> str:
    """A description as it is put into other texts: single spaces, no full stop at its end."""
    return " ".join(caption.split()).rstrip(".").rstrip()


def make_candidates(
    views: Sequence[Sequence[Row]],
    captions: Mapping[str, Row],
    asking: Asking,
    composer: Composer,
    config: BuildConfig,
    placeholders: Sequence[str],
) -> BatchResult:
    """Candidate pairs of one batch of views, each given by its perturbation rows.

    A perturbed sequence with a clip that could not be described, or was described by nothing at all, is lost.
    """
    result = BatchResult()
    usable: list[tuple[Row, list[ToldClip], list[ToldClip]]] = []
    for rows in views:
        requests = asking.clean(rows[0])
        for row in rows:
            asked = asking.perturbed(row, requests)
            lost = _lost(row, (*requests, *asked), captions, placeholders if config.composer.method == "model" else ())
            if lost is not None:
                result.rejected.append(lost)
                continue
            sources = [piece["source"] for piece in row["pieces"]]
            usable.append((row, _told(requests, range(len(requests)), captions), _told(asked, sources, captions)))
    sequences = [[clip.text for clip in clips] for _, clean, perturbed in usable for clips in (clean, perturbed)]
    responses = iter(composer.compose(sequences))
    writers: dict[str, QuestionWriter] = {}
    for row, clean, perturbed in usable:
        view_id = row["view_id"]
        stray = sorted({token for clip in (*clean, *perturbed) for token in captions[clip.request_id]["stray"]})
        common = {
            **{name: row[name] for name in (*_COPIED, "other_videos", "strength", "seed", "parameters")},
            "clip_texts": [clip.text for clip in clean],
            "stray": stray,
        }
        prompt = config.response_prompts[seed_from("prompt", view_id, config.seed) % len(config.response_prompts)]
        sides = (next(responses), next(responses))
        used = ([clip.request_id for clip in clean], [clip.request_id for clip in perturbed])
        if compares_views(row) and "self" in config.sources:  # both sides are the clean response; questions would be alike too
            result.rows.append(_candidate(common, VIEW_KIND, "self", prompt, sides, used))
        elif "self" in config.sources:
            result.rows.append(_candidate(common, "response", "self", prompt, sides, used))
        if compares_views(row) or "text" not in config.sources:
            continue
        writer = writers.setdefault(view_id, QuestionWriter(config.questions, view_id, config.seed))
        for text, question in writer.ask(clean, perturbed):
            answers = (config.questions.answer.format(question.right.text), config.questions.answer.format(question.wrong.text))
            anchor = [question.anchor.request_id] if question.anchor else []
            parents = ([*anchor, question.right.request_id], [*anchor, question.wrong.request_id])
            result.rows.append(_candidate(common, question.kind, "text", text, answers, parents))
    return result


def _candidate(
    common: Row, kind: str, source: str, prompt: str, sides: tuple[str, str], requests: tuple[list[str], list[str]]
) -> Row:
    chosen, rejected = sides
    group_id = group_id_of(common["view_id"], prompt, chosen)
    return {
        **common,
        "pair_id": stable_id("pair", group_id, rejected, common["perturbation_id"], kind, *requests),
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


def _lost(row: Row, requests: Sequence[ClipRequest], captions: Mapping[str, Row], placeholders: Sequence[str]) -> Rejected | None:
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
