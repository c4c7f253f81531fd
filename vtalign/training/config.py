"""What a recipe is: `TrainConfig` and its ordered stages. What cannot work is refused here, before anything is read from disk."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from vtalign.config import Config
from vtalign.models.positions import Positions
from vtalign.training.curriculum import CurriculumSettings
from vtalign.training.loss_settings import CustomTerm, DPOTerm, RRPOTerm, Term, VDPOTerm

_NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"

Part = Literal["language_model", "projector", "vision"]


class LoraSettings(Config):
    """A low-rank adapter (https://arxiv.org/abs/2106.09685) on linear layers."""

    r: int = Field(32, ge=1, description="rank")
    alpha: int = Field(64, ge=1, description="the update is scaled by alpha / r")
    dropout: float = Field(0.0, ge=0, lt=1)
    target: str = Field(
        "all-linear",
        min_length=1,
        description="`all-linear`, names of linear layers (`q_proj,v_proj`), or a regular expression over full names",
    )
    parts: tuple[Part, ...] = Field(
        ("language_model",), min_length=1, description="parts that are adapted; others in `trainable` are trained whole"
    )
    quantize: Literal["nf4"] | None = Field(
        None,
        description="weights under the adapter in 4 bits (QLoRA); needs bitsandbytes. The adapter is merged into the whole weights",
    )
    merge_weight: float = Field(
        1.0, gt=0, le=1, description="the adapter is scaled by this when it is merged (WiSE-FT, https://arxiv.org/abs/2109.01903)"
    )


class GateSettings(Config):
    """A bar for the model that a stage leaves, held by `vtalign eval run`."""

    benchmark: str = Field("temporal-shapes", min_length=1)
    data: Path = Field(description="the benchmark's folder")
    metric: str = Field("temporal", min_length=1, description="one of the metrics in results.json")
    at_least: float | None = Field(None, ge=0, le=100, description="percent")
    may_fall: float | None = Field(
        None, ge=0, le=100, description="percentage points below the same measure of the model that the stage started from"
    )
    then: Literal["stop", "skip"] = Field(
        "stop", description="where it is not met: the recipe ends, or the stage is left out and the next starts where it started"
    )
    eval: dict[str, Any] = Field({}, description="further settings of `vtalign eval run`, such as {limit: 200, batch_size: 8}")

    @model_validator(mode="after")
    def _possible_gate(self) -> Self:
        if self.at_least is None and self.may_fall is None:
            raise ValueError("a gate needs at_least or may_fall")
        if self.at_least is not None and 0 < self.at_least < 1:
            raise ValueError(f"at_least is in percent; {self.at_least:g} % cannot be meant")
        own = {"model", "benchmark", "data", "out", "fail_under", "fail_on"} & set(self.eval)
        if own:
            raise ValueError(f"eval.{min(own)}: the gate itself says this")
        return self


class StageSettings(Config):
    """What every kind of stage has. An optimiser step counts pairs (dpo) or rows (sft); gradient accumulation follows from it."""

    name: str = Field(pattern=_NAME, description="names the stage's folder, `stages/<nn>-<name>`")
    data: Path = Field(
        description="dpo, rrpo, vdpo: a folder of pairs or a Parquet file; sft: rows of LLaVA, ms-swift or captions (.jsonl, .json)"
    )
    videos: Path | None = Field(None, description="the folder that `video` in the data is relative to; default: the recipe's")
    learning_rate: float = Field(gt=0)
    scheduler: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: float = Field(0.05, ge=0, lt=1, description="fraction of the steps in which the learning rate rises from 0")
    weight_decay: float = Field(0.0, ge=0)
    max_grad_norm: float = Field(1.0, gt=0)
    epochs: float | None = Field(None, gt=0, description="passes over the data; 1 where `max_steps` is not given either")
    max_steps: int | None = Field(None, ge=1, description="exactly so many optimiser steps, however many epochs that is")
    micro_batch: int = Field(4, ge=1, description="at most so many pairs (rows) in one forward of one device")
    trainable: tuple[Part, ...] = Field(("language_model",), min_length=1, description="parts whose weights change")
    lora: LoraSettings | None = Field(None, description="an adapter; null trains the weights themselves")
    save_model: bool = Field(True, description="false, for the last stage: only the adapter is saved, no merged model")
    gate: GateSettings | None = Field(None, description="what the model must reach after this stage")

    @model_validator(mode="after")
    def _possible_stage(self) -> Self:
        if self.epochs is not None and self.max_steps is not None:
            raise ValueError(f"stage '{self.name}': give epochs or max_steps, not both")
        if len(set(self.trainable)) != len(self.trainable):
            raise ValueError(f"stage '{self.name}': trainable names a part twice")
        for part in self.lora.parts if self.lora is not None else ():
            if part not in self.trainable:
                raise ValueError(f"stage '{self.name}': lora adapts the {part.replace('_', ' ')}, which `trainable` leaves out")
        if (
            self.lora is not None
            and self.lora.quantize is not None
            and (self.lora.merge_weight != 1 or self.trainable != self.lora.parts)
        ):
            raise ValueError(
                f"stage '{self.name}': lora.quantize needs merge_weight 1, and nothing trainable but what lora adapts"
            )
        if not self.save_model and self.lora is None:
            raise ValueError(f"stage '{self.name}': save_model=false leaves an adapter, which needs lora")
        if not self.save_model and self.lora is not None and self.lora.merge_weight != 1:
            raise ValueError(f"stage '{self.name}': lora.merge_weight scales a merge that save_model=false leaves out")
        return self

    @property
    def items_per_step(self) -> int:
        """Pairs or rows that one optimiser step counts, over all devices."""
        raise NotImplementedError


class MovingReference(Config):
    """The reference moves towards the policy: TR-DPO (https://arxiv.org/abs/2404.09656), or, with mix 1 at every stage of the
    curriculum, the iterations of Curry-DPO (https://arxiv.org/abs/2403.07230)."""

    mix: float = Field(0.6, gt=0, le=1, description="share of the policy in the new reference")
    every: Annotated[int, Field(ge=1)] | Literal["curriculum_stage"] = Field(
        512, description="so many optimiser steps, or whenever the next stage of the curriculum begins"
    )


class PreferenceStage(StageSettings):
    """What dpo, rrpo and vdpo stages have: pairs, their order, and what they are tied to."""

    pairs_per_step: int = Field(16, ge=1)
    sft_weight: float = Field(
        0.0, ge=0, description="weight of the token-mean NLL of the chosen response, beside the other terms"
    )
    also: tuple[Term, ...] = Field((), description="further terms of the loss of each step")
    strengths: tuple[int, ...] | None = Field(None, min_length=1, description="only pairs of perturbations of these strengths")
    curriculum: CurriculumSettings = CurriculumSettings()
    reference: Literal["recipe", "stage"] = Field(
        "recipe",
        description="the model that the recipe's first preference stage started from, or the one that this stage starts from",
    )
    moving_reference: MovingReference | None = Field(
        None, description="the reference follows the policy; needs `reference: stage`"
    )
    labels: Literal["as_is", "random"] = Field("as_is", description="`random` swaps the sides of half of the pairs: a control")
    stop_at_margin: float = Field(
        1e3, gt=0, description="a reward margin beyond this, either way, is taken for an explosion and stops the run"
    )

    @property
    def items_per_step(self) -> int:
        return self.pairs_per_step

    @property
    def terms(self) -> tuple[Term, ...]:
        """The main term, which the stage itself is (every kind of stage is a kind of term), then the others."""
        main: Any = self
        return main, *self.also

    @property
    def listwise(self) -> bool:
        return any(isinstance(term, DPOTerm) and term.loss == "plackett_luce" for term in self.terms)

    @property
    def compares_responses(self) -> bool:
        """Whether any term reads the rejected response."""
        return any(not isinstance(term, VDPOTerm) for term in self.terms)

    @property
    def compares_views(self) -> bool:
        return any(isinstance(term, VDPOTerm) or (isinstance(term, CustomTerm) and term.perturbed) for term in self.terms)

    @property
    def reads_phrases(self) -> bool:
        return any(isinstance(term, RRPOTerm) or (isinstance(term, CustomTerm) and term.phrases) for term in self.terms)

    @property
    def reads_distributions(self) -> bool:
        """Whether a term needs the reference's whole distributions, which no file keeps."""
        return any(isinstance(term, RRPOTerm) and term.alpha > 0 for term in self.terms)

    @property
    def asks_reference_beside(self) -> bool:
        """Whether the reference is a model that is asked beside the policy, and not log-probs from a file."""
        return self.reads_distributions or self.moving_reference is not None

    @property
    def reads_reference(self) -> bool:
        return any(not (isinstance(term, DPOTerm) and term.loss == "simpo") for term in self.terms)

    @model_validator(mode="after")
    def _possible_preference(self) -> Self:
        order = self.curriculum.order
        if order in ("easy_to_hard", "hard_to_easy"):
            if self.curriculum.stages == 1:
                raise ValueError(f"stage '{self.name}': curriculum.order {order} needs more than one of curriculum.stages")
            if self.strengths is not None and len(self.strengths) == 1 and set(self.curriculum.weights) == {"strength"}:
                raise ValueError(f"stage '{self.name}': pairs of one strength have no order by strength; set curriculum.by=score")
        if self.moving_reference is not None and self.reference != "stage":
            raise ValueError(f"stage '{self.name}': moving_reference starts from the stage's own model; set reference=stage")
        if (
            self.moving_reference is not None
            and self.moving_reference.every == "curriculum_stage"
            and not self.curriculum.has_stages
        ):
            raise ValueError(
                f"stage '{self.name}': moving_reference.every=curriculum_stage needs a curriculum whose stages follow each other"
            )
        if self.listwise and self.labels == "random":
            raise ValueError(f"stage '{self.name}': labels=random swaps two sides; plackett_luce compares lists")
        if self.labels == "random" and self.compares_views:
            raise ValueError(f"stage '{self.name}': labels=random swaps two responses; this stage compares views")
        if self.moving_reference is not None and not self.reads_reference:
            raise ValueError(f"stage '{self.name}': moving_reference has no meaning for loss 'simpo', which has no reference")
        if self.moving_reference is not None and self.moving_reference.every == "curriculum_stage" and self.curriculum.replay:
            raise ValueError(f"stage '{self.name}': moving_reference.every=curriculum_stage needs stages without replay")
        if self.listwise and any(name.startswith("reward_gap") for name in self.curriculum.weights):
            raise ValueError(f"stage '{self.name}': reward_gap ranks the pairs of a group, which plackett_luce takes as one list")
        return self


class DPOStage(PreferenceStage, DPOTerm):
    """Direct preference optimisation on preference pairs."""

    kind: Literal["dpo"]


class RRPOStage(PreferenceStage, RRPOTerm):
    """RRPO on preference pairs: where a pair says nothing of its phrases, they are found by a word diff."""

    kind: Literal["rrpo"]


class VDPOStage(PreferenceStage, VDPOTerm):
    """VDPO on pairs with a second view: their `rejected_view`, or the perturbed one."""

    kind: Literal["vdpo"]


class CustomStage(PreferenceStage, CustomTerm):
    """A user's loss on preference pairs."""

    kind: Literal["custom"]


class SFTStage(StageSettings):
    """Supervised fine-tuning on conversations about videos, or on text alone."""

    kind: Literal["sft"]
    rows_per_step: int = Field(16, ge=1)

    @property
    def items_per_step(self) -> int:
        return self.rows_per_step


Stage = Annotated[DPOStage | RRPOStage | VDPOStage | CustomStage | SFTStage, Field(discriminator="kind")]


class TrainConfig(Config):
    """A recipe: a model, and stages that run in order, each from the checkpoint of the one before.

    Paths are relative to the working directory. `stages` is an ordered list; `[dpo.., sft]` is pre-SFT alignment, `[sft, dpo..]`
    post-SFT.
    """

    model: str = Field(min_length=1, description="a checkpoint folder or a Hub id")
    output: Path
    videos: Path | None = Field(None, description="the folder that `video` in the data is relative to")
    stages: tuple[Stage, ...] = Field(min_length=1)
    seed: int = Field(0, ge=0)
    dtype: Literal["float32", "bfloat16"] = Field("float32", description="of the arithmetic and of the saved model")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="`auto`: the accelerator where there is one")
    gradient_checkpointing: bool = Field(False, description="recompute activations in the backward pass: less memory, more time")
    trust_remote_code: bool = Field(False, description="run code that comes with the model")
    positions: Positions = Field(
        "trained", description="of text behind a video: `trained`, or the `library`'s own where it differs"
    )
    log_every: int = Field(1, ge=1, description="optimiser steps per logged point")
    save_every: int = Field(100, ge=1, description="optimiser steps between checkpoints; a kill costs at most so many")
    report_to: tuple[Literal["tensorboard", "wandb"], ...] = ("tensorboard",)
    threads: int | None = Field(None, ge=1, description="CPU threads of the arithmetic; default: torch's choice")
    decode_workers: int = Field(1, ge=1, description="processes that read videos before a stage starts")
    frame_cache: Path | None = Field(None, description="decoded frames, may be shared by runs; default: `<output>/frames`")

    @field_validator("stages", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        if not isinstance(value, list | tuple):
            raise ValueError("expected a list of stages")
        return value

    @model_validator(mode="after")
    def _possible_recipe(self) -> Self:
        names = [stage.name for stage in self.stages]
        if len(set(names)) != len(names):
            raise ValueError(f"two stages have the same name ({', '.join(names)})")
        if self.save_every % self.log_every:
            raise ValueError(f"save_every {self.save_every} is no multiple of log_every {self.log_every}: resuming leaves gaps")
        for stage in self.stages[:-1]:
            if not stage.save_model:
                raise ValueError(f"stage '{stage.name}': save_model=false, but the next stage starts from its model")
        return self

    def videos_of(self, stage: StageSettings) -> Path | None:
        return stage.videos if stage.videos is not None else self.videos

    @property
    def stage_folders(self) -> tuple[Path, ...]:
        return tuple(self.output / "stages" / f"{number:02d}-{stage.name}" for number, stage in enumerate(self.stages, 1))

    @property
    def frames_folder(self) -> Path:
        return self.frame_cache if self.frame_cache is not None else self.output / "frames"

    def settings(self) -> dict[str, object]:
        """What decides the result, as plain data: all but where it is written, how often it is logged and how fast it runs."""
        speed = {"output", "log_every", "save_every", "report_to", "threads", "decode_workers", "frame_cache", "device"}
        return self.model_dump(mode="json", exclude=speed)
