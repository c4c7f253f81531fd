"""`PreferencePair`, what it is made of, and the groups that share a row in training."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from vtalign.ids import stable_id
from vtalign.models.prompt import Prompt
from vtalign.video.view import VideoView

Source = Literal["self", "annotation", "text"]
"""Who wrote the two sides: the model itself, people, or a program that put texts together."""

SOURCES: tuple[str, ...] = get_args(Source)

VIEW_KIND = "view"
"""`kind` of a pair that says the same on both sides and differs in what is shown: for losses that compare views alone."""

Spans = tuple[tuple[int, int], ...]
"""(start, stop) character offsets, rising, without overlap."""


@dataclass(frozen=True)
class AppliedPerturbation:
    """Which perturbation the rejected side comes from. `parameters`: its `spec` with all options, and what exactly was `done`."""

    name: str
    strength: int
    seed: int
    parameters: dict[str, Any]

    @property
    def label(self) -> str:
        return f"{self.name}-{self.strength}"


@dataclass(frozen=True)
class Scores:
    """What a model says of a pair: token-summed log-probs (nats), token counts with the end of turn; None where not measured.

    divergence: how far the perturbation moves what the model expects while it reads the chosen response, the mean over its tokens
    of the Jensen-Shannon divergence (nats, at most log 2) of the next-token distributions on the clean and on the perturbed view.
    first_token_kl: KL(clean || perturbed) of the first of them, nats (the temporal divergence score of ArrowRL,
    https://arxiv.org/abs/2506.03340). ches: the length-normalised CHES score of the two responses, see `vtalign.preference.ches`.
    """

    logp_chosen: float
    logp_rejected: float
    tokens_chosen: int
    tokens_rejected: int
    logp_chosen_perturbed: float | None = None
    divergence: float | None = None
    first_token_kl: float | None = None
    ches: float | None = None

    @property
    def margin(self) -> float:
        """log p(chosen) - log p(rejected) on the clean view, nats."""
        return self.logp_chosen - self.logp_rejected


@dataclass(frozen=True)
class TokenLogps:
    """Log-probs (nats) of every token of the two responses on the clean view, and of the chosen one on the perturbed view, the end
    of turn last; they sum up to `Scores`."""

    chosen: tuple[float, ...]
    rejected: tuple[float, ...]
    chosen_perturbed: tuple[float, ...] | None = None


@dataclass(frozen=True)
class PreferencePair:
    """One prompt and two sides (schema version 1, one row of `pairs/`).

    `view` is the clean view, None for a pair of text alone (its `view_id` is empty, `video_id` names what its prompt tells of, and
    `video` may be empty); `sampling` says how it was sampled (frame policy and reader), `rejected_view` is the view of the
    rejected side where that differs (VDPO), `perturbed_view` what the perturbation made of `view`. `video` is a path relative
    to the root of the corpus; `other_videos` are (video_id, path) of the videos that a view shows besides it. `kind` names how
    the pair was made (`response`, or a kind of question), `*_requests` are the ids of the model's answers that a side is put
    together from.
    """

    pair_id: str
    group_id: str
    video_id: str
    video: str
    view_id: str
    view: VideoView | None
    prompt: str
    chosen: str
    rejected: str
    source: Source
    kind: str = "response"
    sampling: dict[str, Any] | None = None
    rejected_view: VideoView | None = None
    perturbed_view: VideoView | None = None
    perturbation: AppliedPerturbation | None = None
    chosen_spans: Spans = ()
    rejected_spans: Spans = ()
    chosen_requests: tuple[str, ...] = ()
    rejected_requests: tuple[str, ...] = ()
    scores: Scores | None = None
    token_logps: TokenLogps | None = None
    difficulty: float | None = None
    fingerprint: str | None = None
    other_videos: tuple[tuple[str, str], ...] = ()

    @property
    def paths(self) -> dict[str, str]:
        """video_id -> path of every video that the pair's views may show."""
        if self.view is None:
            return {}
        return {self.video_id: self.video, **dict(self.other_videos)}

    @property
    def clean_prompt(self) -> Prompt:
        """The prompt as the model meets it, in scoring and in training alike."""
        return video_prompt(self.view, self.prompt) if self.view is not None else Prompt((self.prompt,))


@dataclass(frozen=True)
class PreferenceGroup:
    """The pairs that share view, prompt and chosen response: one row `[prompt | chosen | rejected ..]`."""

    group_id: str
    pairs: tuple[PreferencePair, ...]

    @property
    def prompt(self) -> Prompt:
        return self.pairs[0].clean_prompt

    @property
    def chosen(self) -> str:
        return self.pairs[0].chosen


def video_prompt(view: VideoView, text: str) -> Prompt:
    """The video first, then the text: the one order in which pairs are asked, scored and trained."""
    return Prompt((view, text))


def group_id_of(view_id: str, prompt: str, chosen: str) -> str:
    return stable_id("group", view_id, prompt, chosen)


def group_pairs(pairs: Iterable[PreferencePair]) -> list[PreferenceGroup]:
    """Groups sorted by id, their pairs sorted by id."""
    members: dict[str, list[PreferencePair]] = {}
    for pair in pairs:
        members.setdefault(pair.group_id, []).append(pair)
    return [PreferenceGroup(key, tuple(sorted(members[key], key=lambda pair: pair.pair_id))) for key in sorted(members)]
