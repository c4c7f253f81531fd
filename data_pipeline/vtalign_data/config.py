"""`BuildConfig`: all that decides which preference pairs a folder of videos gives."""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from vtalign.config import Config, validate_config
from vtalign.models.positions import Positions
from vtalign.preference.pair import Source
from vtalign.remote.config import ServerSettings
from vtalign.video.limits import DecodeLimits
from vtalign.video.perturbation_spec import PerturbationSpec
from vtalign.video.sample import FramePolicy
from vtalign_data.annotated.config import AnnotationConfig
from vtalign_data.ingest_config import ColumnConfig, Extension, IngestConfig
from vtalign_data.response_config import ResponseConfig, WriterServer
from vtalign_data.runners.config import RunnerConfig
from vtalign_data.score_filter_config import ScoreFilterConfig
from vtalign_data.templates import check_fields
from vtalign_data.text_pairs.config import TextConfig
from vtalign_data.video_selection_config import GroupConfig, SelectConfig, ShotConfig


class FrameOverride(Config):
    """What to change of the model's own frame policy; None keeps the model's value."""

    fps: float | None = None
    max_frames: int | None = None
    count: int | None = None
    min_frames: int | None = None
    max_pixels: int | None = None

    def apply(self, policy: FramePolicy) -> FramePolicy:
        """Raises ConfigError where both together make no policy."""
        return validate_config(FramePolicy, {**policy.model_dump(), **self.model_dump(exclude_none=True)}, "frames")


class ClipConfig(Config):
    """Where one clip ends and the next begins, on the slots of a view."""

    method: Literal["scenes", "transnetv2", "uniform"] = Field(
        "scenes", description="scenes: PySceneDetect's cuts; transnetv2: TransNetV2's (an extra); uniform: every `seconds`"
    )
    seconds: float = Field(2.0, gt=0, description="uniform: length of a clip, seconds")
    threshold: float = Field(
        2.0, gt=0, description="scenes: the change to a frame over that around it (AdaptiveDetector's adaptive_threshold)"
    )
    min_content: float = Field(
        27.0, ge=0, le=255, description="scenes: least change to a frame (AdaptiveDetector's min_content_val)"
    )
    detect_fps: float = Field(8.0, gt=0, description="scenes: frames per second that are looked at, at most")
    transnetv2_threshold: float = Field(0.5, gt=0, lt=1, description="transnetv2: probability of a transition (TEMPLE: 0.5)")
    min_slots: int = Field(2, ge=1, description="a shorter clip joins the one before it (motion needs two frames)")
    min_clips: int = Field(2, ge=2, description="a video with fewer clips is filtered: it has no order")
    max_clips: int = Field(32, ge=2, description="a video with more clips is filtered: its composed response would be a list")
    shots: ShotConfig = Field(ShotConfig(), description="scenes, transnetv2: which shots count")
    groups: GroupConfig = Field(GroupConfig(), description="scenes, transnetv2: which shots are one clip")
    frames: Literal["view", "sharpest"] = Field(
        "view",
        description="what the caption of a clip is asked of: all its frames, or its two sharpest ones (TEMPLE), which show no motion "
        "and so hide what `speed` and `frames: reversed` change",
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.min_clips > self.max_clips:
            raise ValueError(f"min_clips {self.min_clips} is above max_clips {self.max_clips}")
        if self.method == "uniform" and self.frames == "sharpest":
            raise ValueError("frames: sharpest needs shots: method scenes or transnetv2")
        return self


class CaptionConfig(Config):
    """How the model describes one clip: on its own, or, `relative`, what is new in it after the clip that is shown before it."""

    prompt: str = Field("Describe what happens in this video in one short sentence.", min_length=1)
    relative: bool = Field(False, description="responses are told from captions that are asked with the previous clip (TEMPLE)")
    relative_prompt: str = Field(
        "{previous}{clip}The second video follows the first one. Describe in one short sentence what happens in the second video "
        "and what is new in it.",
        description="relative: what is asked; {previous} and {clip} stand for the clips",
    )
    max_new_tokens: int = Field(64, ge=1)
    temperature: float = Field(0.0, ge=0, description="0 is greedy")

    @field_validator("relative_prompt")
    @classmethod
    def _has_both_clips(cls, value: str) -> str:
        return check_fields(value, {"previous", "clip"}, {"previous", "clip"})


class ComposerConfig(Config):
    """How clip descriptions become one video-level response.

    `join` writes them behind connectives; `model` asks the model, with text only, to merge them (TEMPLE's way).
    """

    method: Literal["join", "model"] = "join"
    single: str = Field("{0}.", description="join: the response where there is one clip only")
    first: str = "First, {0}."
    middle: str = "Then, {0}."
    last: str = "Finally, {0}."
    separator: str = " "
    merge_prompt: str = Field(
        "These sentences describe the parts of one video, in order:\n{captions}\n"
        "Merge them into one paragraph that tells what happens in this order. Add nothing.",
        description="model: what is asked; {captions} is one line per clip",
    )
    max_new_tokens: int = Field(256, ge=1, description="model: length of the merged response")
    temperature: float = Field(0.0, ge=0)

    @field_validator("single", "first", "middle", "last")
    @classmethod
    def _one_caption(cls, value: str) -> str:
        return check_fields(value, {"0"}, {"0"})

    @field_validator("merge_prompt")
    @classmethod
    def _has_captions(cls, value: str) -> str:
        return check_fields(value, {"captions"}, {"captions"})


QuestionKind = Literal["order", "after", "match"]


class QuestionConfig(Config):
    """Questions put together from clip descriptions (source `text`): what is chosen is true of the clean view, what is rejected
    would be true of the perturbed one. {a} and {b} are clip descriptions without full stop, in the order in which they are named.
    """

    kinds: tuple[QuestionKind, ...] = ("order", "after", "match")
    per_perturbation: int = Field(1, ge=1, description="questions of each kind for one perturbed view, at most")
    order: tuple[str, ...] = Field(
        (
            "Which happens first in the video: {a}, or {b}?",
            "Which of these comes first in the video? {a}, or {b}?",
            "What do we see earlier in the video: {a}, or {b}?",
        ),
        min_length=1,
    )
    after: tuple[str, ...] = Field(
        (
            "What happens in the video right after this: {a}?",
            "In the video, what comes next after this: {a}?",
        ),
        min_length=1,
    )
    match: tuple[str, ...] = Field(
        (
            "Which is right about the video: {a}, or {b}?",
            "Which of these happens in the video: {a}, or {b}?",
        ),
        min_length=1,
    )
    answer: str = Field("{0}.", description="how a clip description is given as the answer")

    @field_validator("order", "match")
    @classmethod
    def _two_options(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(check_fields(template, {"a", "b"}, {"a", "b"}) for template in value)

    @field_validator("after")
    @classmethod
    def _one_anchor(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(check_fields(template, {"a"}, {"a"}) for template in value)

    @field_validator("answer")
    @classmethod
    def _one_caption(cls, value: str) -> str:
        return check_fields(value, {"0"}, {"0"})


class FilterConfig(Config):
    """Thresholds of the pair filters (rules: vtalign_data/filter.py)."""

    max_length_ratio: float = Field(1.5, ge=1, description="longer side over shorter side, in characters (TEMPLE: 1.5)")
    max_length_ratio_drop: float = Field(
        4.0, ge=1, description="the same for `drop` and `segment_exclude`, whose rejected side is shorter by nature"
    )
    max_length_ratio_question: float = Field(3.0, ge=1, description="the same for questions: answers of a few words differ more")
    placeholders: tuple[str, ...] = Field(
        ("<video>", "<image>", "<|video_pad|>", "<|image_pad|>", "<|vision_start|>", "<|vision_end|>", "<|video|>", "<|image|>"),
        description="media placeholders that no prompt or response may contain; the model's own special tokens are added",
    )


class BalanceConfig(Config):
    """Chosen and rejected should not be told apart by length."""

    max_accuracy: float = Field(0.55, ge=0.5, le=1, description="of a classifier that sees lengths only; 1 = keep all pairs")


class BuildConfig(Config):
    """`vtalign data build`: videos in, preference pairs out."""

    videos: Path = Field(
        description="a folder, a glob (`videos/**/*.mp4`), or a manifest: .txt (a path per line), .jsonl, .csv, .tsv, .parquet"
    )
    model: str | None = Field(
        None, description="path or Hub id of a video LLM, which describes the clips (unless `server` does) and scores the pairs"
    )
    server: WriterServer | None = Field(
        None, description="a model behind an OpenAI-compatible server, which writes instead; without `model` pairs have no scores"
    )
    out: Path = Field(description="run folder; an interrupted run in it is continued")
    root: Path | None = Field(None, description="manifest paths are relative to it and stay inside (default: the manifest's)")
    columns: ColumnConfig = ColumnConfig()
    extensions: tuple[Extension, ...] | None = Field(
        None, min_length=1, description="files with other ones are not taken (default: of folders those of videos, else any)"
    )
    limit: int | None = Field(None, ge=1, description="take the first so many of the listed files, in order of their paths")
    ingest: IngestConfig = IngestConfig()
    seed: int = 0
    frames: FrameOverride = FrameOverride()
    reader: Literal["pyav", "opencv", "decord"] = "pyav"
    limits: DecodeLimits = DecodeLimits()
    select: SelectConfig = SelectConfig()
    clips: ClipConfig = ClipConfig()
    perturbations: tuple[PerturbationSpec, ...] = Field(
        (
            *(PerturbationSpec(name="shuffle", strength=strength) for strength in (16, 8, 4, 2)),
            *(PerturbationSpec(name="reverse", strength=strength) for strength in (16, 8, 4, 2)),
            PerturbationSpec(name="reverse", strength=16, frames="reversed"),
            *(PerturbationSpec(name="drop", strength=strength) for strength in (4, 2)),
            *(PerturbationSpec(name="speed", strength=strength) for strength in (4, 2)),
        ),
        min_length=1,
        description="the grid, on the clips of a view; of several that show the same there, the first one stays; image-space ones "
        "(crop, blur, ..) make pairs of kind `view`, for training of kind vdpo",
    )
    captions: CaptionConfig = CaptionConfig()
    responses: ResponseConfig = ResponseConfig()
    composer: ComposerConfig = ComposerConfig()
    prompts: Path | None = Field(
        None, description="folder of prompt files that stand for the texts here (`vtalign data prompts`)"
    )
    response_prompts: tuple[str, ...] = Field(
        (
            "Describe what happens in the video, in the order in which it happens.",
            "Tell what happens in this video from beginning to end.",
            "What happens in this video? Keep to the order of events.",
            "Give a step-by-step account of the video.",
        ),
        min_length=1,
        description="what the video-level responses answer; one per video, so that its responses share a row",
    )
    questions: QuestionConfig = QuestionConfig()
    sources: tuple[Source, ...] = Field(
        ("self", "text"),
        min_length=1,
        description="which pairs are made: self = responses that the model wrote, text = questions on its descriptions, annotation",
    )
    annotations: AnnotationConfig = Field(AnnotationConfig(), description="of source annotation")
    text_pairs: TextConfig | None = Field(None, description="text-only pairs from the clip descriptions, into the folder text/")
    filters: FilterConfig = FilterConfig()
    balance: BalanceConfig = BalanceConfig()
    score_filters: ScoreFilterConfig = ScoreFilterConfig()
    batch_size: int = Field(32, ge=1, description="items per committed batch: at most this much is done again after a kill")
    model_batch_size: int = Field(32, ge=1, description="prompts per forward pass")
    dtype: Literal["float32", "bfloat16"] = "float32"
    device: str = "auto"
    trust_remote_code: bool = False
    positions: Positions = Field(
        "trained", description="of text behind a video: `trained`, or the `library`'s own where it differs"
    )
    workers: int = Field(2, ge=1, description="decoder processes; any number gives the same pairs")
    frame_cache: Path | Literal["none"] | None = Field(
        None,
        description="folder for decoded, resized frames, kept for other builds, training and evaluation; default: one in `out`, removed "
        "when the build has ended; none: stages decode again",
    )
    runner: RunnerConfig = Field(RunnerConfig(), description="where the work is done; any runner gives the same pairs")

    @field_validator("perturbations")
    @classmethod
    def _distinct(cls, value: tuple[PerturbationSpec, ...]) -> tuple[PerturbationSpec, ...]:
        labels = [spec.label for spec in value]
        for label in labels:
            if labels.count(label) > 1:
                raise ValueError(f"perturbation {label} is there twice")
        return value

    @model_validator(mode="after")
    def _annotations_are_used(self) -> Self:
        if not self.tells_annotations:
            if self.annotations.file is not None:
                raise ValueError("annotations.file: is not used; say sources=[self,text,annotation], or [annotation] alone")
        elif self.annotations.file is None and not self.columns.has_annotations:
            raise ValueError(
                "sources: annotation needs annotations.file, or a manifest with captions or questions and answers: "
                "columns.question=NAME columns.answer=NAME"
            )
        return self

    @model_validator(mode="after")
    def _someone_writes(self) -> Self:
        if self.model is None and self.server is None:
            raise ValueError("model: is required, unless server names a model that writes")
        sampled = self.composer.method == "model" and self.composer.temperature > 0
        if self.responses.input == "caption" and self.responses.samples > 1 and not sampled:
            raise ValueError(
                f"responses.samples {self.responses.samples}: captions that are composed without a temperature give the same "
                "response each time; set composer.method to model and composer.temperature"
            )
        return self

    @model_validator(mode="after")
    def _weights_where_needed(self) -> Self:
        if self.model is not None:
            return self
        groups = self.clips.groups
        by_tower = self.clips.method != "uniform" and groups.merges and groups.encoder == "model"
        needing = [f"score_filters.{name}" for name in self.score_filters.of_scores]
        needing += ["select.signal: reversal"] if self.select.signal == "reversal" else []
        needing += ["clips.groups.encoder: model"] if by_tower else []
        if needing:
            raise ValueError(f"{needing[0]}: needs weights, which a server does not give; set model too, or leave it out")
        return self

    @property
    def writer(self) -> str:
        """The name of the model that writes."""
        name = self.server.model if self.server else self.model
        assert name is not None
        return name

    @property
    def tells_annotations(self) -> bool:
        """Whether the model is asked what the user's annotations ask."""
        return "annotation" in self.sources

    @property
    def tells_clips(self) -> bool:
        """Whether single clips have to be described: for questions on them."""
        return ("text" in self.sources and bool(self.questions.kinds)) or self.text_pairs is not None

    @property
    def tells_captions(self) -> bool:
        """Whether responses are put together from descriptions of clips."""
        return "self" in self.sources and self.responses.input == "caption"

    @property
    def tells_views(self) -> bool:
        """Whether responses are written from views."""
        return "self" in self.sources and self.responses.input != "caption"

    def result_settings(self, mode: Literal["json", "python"] = "json") -> dict[str, Any]:
        """What decides the pairs: not where they go, nor who and how many make them, nor where a server is."""
        places = ("out", "workers", "frame_cache", "model_batch_size", "runner", "prompts")
        connection = dict.fromkeys(ServerSettings.model_fields, True)
        judge: dict[str, Any] = {"batch_size": True, "device": True, "server": connection}
        exclude: dict[str, Any] = {**dict.fromkeys(places, True), "annotations": {"judge": judge}, "server": connection}
        return self.model_dump(mode=mode, exclude=exclude)
