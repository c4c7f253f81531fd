"""`EvalConfig`: what one evaluation run is. Checked before a model is read from disk."""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from vtalign.config import Config
from vtalign.models.positions import Positions
from vtalign.remote.config import ServerSettings, VideoServerSettings
from vtalign.video.limits import DecodeLimits
from vtalign.video.sample import FramePolicy
from vtalign_eval.judging.config import JudgeConfig

Control = Literal["none", "text", "one-frame", "repeated-frame", "shuffled", "reversed"]


_OF_A_CHECKPOINT = ("dtype", "device", "positions", "trust_remote_code")


class EvalConfig(Config):
    """One model on one benchmark under one control. Paths are relative to the working directory."""

    model: str = Field(min_length=1, description="a checkpoint or adapter folder, a Hub id, or the name on `server`")
    server: VideoServerSettings | None = Field(
        None, description="an OpenAI-compatible server that runs the model; frames are sent to it as images, without times"
    )
    benchmark: str = Field("temporal-shapes", description="a built-in benchmark or one from the entry points vtalign.benchmarks")
    data: Path = Field(description="the benchmark's folder (for temporal-shapes a split of the synthetic corpus)")
    out: Path = Field(description="an empty folder, or the one in which this run was stopped")
    control: Control = Field("none", description="what the model is shown instead of the video; see vtalign_eval.controls")
    controls: tuple[Control, ...] = Field(
        (), description="controls to run as well, each in `out/controls/<name>`; results.json then says what is gained over each"
    )
    likelihood: bool = Field(
        False, description="score every option as a reply too; see vtalign_eval.likelihood. A finished run may be given it later"
    )
    batch_size: int = Field(64, ge=1, description="questions answered together")
    max_new_tokens: int | None = Field(None, ge=1, description="longest reply in tokens; default: the benchmark's")
    seed: int = Field(0, ge=0, description="of the shuffled control and of the bootstrap")
    judge: JudgeConfig | None = Field(
        None, description="who is asked what no rule grades, such as `judge.server.url=.. judge.server.model=..`; default: nobody"
    )
    limit: int | None = Field(None, ge=1, description="only the first so many questions; conflict groups cut by it do not count")
    fail_under: float | None = Field(None, ge=0, le=1, description="exit code 3 where `fail_on` is below this fraction")
    fail_on: str = Field("temporal", min_length=1, description="what fail_under holds: a metric of results.json")
    frames: dict[str, Any] = Field({}, description="what of the checkpoint's frame policy to change, such as `frames.fps=1`")
    dtype: Literal["float32", "bfloat16"] = "float32"
    device: str = Field("auto", description="`auto`, `cpu`, `cuda`, `cuda:1`, ..")
    trust_remote_code: bool = Field(False, description="run code that comes with the model")
    positions: Positions = Field(
        "trained", description="of text behind a video: `trained`, or the `library`'s own where it differs"
    )
    decode_workers: int = Field(1, ge=1, description="processes that read videos")
    decode: DecodeLimits = DecodeLimits()
    reader: Literal["pyav", "opencv", "decord"] = "pyav"
    frame_cache: Path | None = Field(None, description="folder of decoded frames that runs share; default: none kept")

    @field_validator("frames")
    @classmethod
    def _known_frame_settings(cls, value: dict[str, Any]) -> dict[str, Any]:
        unknown = sorted(set(value) - set(FramePolicy.model_fields))
        if unknown:
            raise ValueError(f"unknown frame setting '{unknown[0]}' (known: {', '.join(FramePolicy.model_fields)})")
        try:
            FramePolicy.model_validate(value)
        except ValidationError as error:
            # combinations with the checkpoint's own policy are checked when that is known
            for wrong in error.errors():
                if wrong["loc"]:
                    raise ValueError(f"{wrong['loc'][0]} {wrong['input']!r}: {wrong['msg']}") from None
        return value

    @model_validator(mode="after")
    def _controls_of_a_plain_run(self) -> Self:
        if self.controls and self.control != "none":
            raise ValueError(f"controls: are those of a plain run, but control is '{self.control}'; leave one of the two out")
        if "none" in self.controls or len(set(self.controls)) < len(self.controls):
            raise ValueError(f"controls: name each control once, and not 'none' (got {', '.join(self.controls)})")
        return self

    @model_validator(mode="after")
    def _the_server_decides(self) -> Self:
        if self.server is not None:
            for name in _OF_A_CHECKPOINT:
                if getattr(self, name) != type(self).model_fields[name].default:
                    raise ValueError(f"{name}: is up to the server; leave out {name} or server")
            if self.likelihood:
                raise ValueError(
                    "likelihood: needs a checkpoint here: a server tells no log-probs of replies that it did not write"
                )
        return self

    def under(self, control: Control) -> Self:
        """The same run under a control, in a folder of its own. No gate: `fail_under` is about the plain run."""
        changes = {"control": control, "controls": (), "out": self.out / "controls" / control, "fail_under": None}
        return self.model_copy(update=changes)

    def settings(self) -> dict[str, Any]:
        """What decides the replies, as plain data: all but where they go, what is asked of them, where and how fast."""
        speed = {"batch_size", "device", "decode_workers", "frame_cache"}
        not_of_replies = {"out", "controls", "judge", "likelihood", "fail_under", "fail_on", *speed}
        exclude: dict[str, Any] = {
            **dict.fromkeys(not_of_replies, True),
            "server": dict.fromkeys(ServerSettings.model_fields, True),
        }
        return self.model_dump(mode="json", exclude=exclude)
