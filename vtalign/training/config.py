"""What a recipe is: `TrainConfig` and its ordered stages. What cannot work is refused here, before anything is read from disk."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from vtalign.config import Config
from vtalign.models.positions import Positions
from vtalign.training.curriculum import CurriculumSettings

_NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"

Part = Literal["language_model", "projector", "vision"]


class LoraSettings(Config):
    """A low-rank adapter (https://arxiv.org/abs/2106.09685) on the linear layers of the language model."""

    r: int = Field(32, ge=1, description="rank")
    alpha: int = Field(64, ge=1, description="the update is scaled by alpha / r")
    dropout: float = Field(0.0, ge=0, lt=1)
    target: str = Field(
        "all-linear",
        min_length=1,
        description="`all-linear`, names of linear layers (`q_proj,v_proj`), or a regular expression over full names",
    )


class StageSettings(Config):
    """What every kind of stage has. An optimiser step counts pairs (dpo) or rows (sft); gradient accumulation follows from it."""

    name: str = Field(pattern=_NAME, description="names the stage's folder, `stages/<nn>-<name>`")
    data: Path = Field(description="dpo: a folder of pairs or a Parquet file; sft: a LLaVA `conversations` file (.jsonl, .json)")
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
    lora: LoraSettings | None = Field(None, description="adapter on the language model; null trains its weights themselves")

    @model_validator(mode="after")
    def _possible_stage(self) -> Self:
        if self.epochs is not None and self.max_steps is not None:
            raise ValueError(f"stage '{self.name}': give epochs or max_steps, not both")
        if len(set(self.trainable)) != len(self.trainable):
            raise ValueError(f"stage '{self.name}': trainable names a part twice")
        if self.lora is not None and "language_model" not in self.trainable:
            raise ValueError(f"stage '{self.name}': lora adapts the language model, which `trainable` leaves out")
        return self

    @property
    def items_per_step(self) -> int:
        """Pairs or rows that one optimiser step counts, over all devices."""
        raise NotImplementedError


class DPOStage(StageSettings):
    """Direct preference optimisation (https://arxiv.org/abs/2305.18290) on preference pairs."""

    kind: Literal["dpo"]
    pairs_per_step: int = Field(16, ge=1)
    beta: float = Field(0.1, gt=0, description="strength of the tie to the reference")
    sft_weight: float = Field(0.0, ge=0, description="weight of the token-mean NLL of the chosen response; 0 is plain DPO")
    label_smoothing: float = Field(0.0, ge=0, lt=0.5, description="assumed fraction of pairs with swapped labels (cDPO)")
    strengths: tuple[int, ...] | None = Field(None, min_length=1, description="only pairs of perturbations of these strengths")
    curriculum: CurriculumSettings = CurriculumSettings()
    reference: Literal["recipe", "stage"] = Field(
        "recipe", description="the model that the recipe's first dpo stage started from, or the one that this stage starts from"
    )
    labels: Literal["as_is", "random"] = Field("as_is", description="`random` swaps the sides of half of the pairs: a control")

    @property
    def items_per_step(self) -> int:
        return self.pairs_per_step

    @model_validator(mode="after")
    def _possible_curriculum(self) -> Self:
        order = self.curriculum.order
        if order not in ("easy_to_hard", "hard_to_easy"):
            return self
        if self.curriculum.stages == 1:
            raise ValueError(f"stage '{self.name}': curriculum.order {order} needs more than one of curriculum.stages")
        if self.strengths is not None and len(self.strengths) == 1 and set(self.curriculum.weights) == {"strength"}:
            raise ValueError(f"stage '{self.name}': pairs of one strength have no order by strength; set curriculum.by=score")
        return self


class SFTStage(StageSettings):
    """Supervised fine-tuning on conversations about videos, or on text alone."""

    kind: Literal["sft"]
    rows_per_step: int = Field(16, ge=1)

    @property
    def items_per_step(self) -> int:
        return self.rows_per_step


Stage = Annotated[DPOStage | SFTStage, Field(discriminator="kind")]


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
        for stage in self.stages:
            if stage.kind == "dpo" and stage.videos is None and self.videos is None:
                raise ValueError(f"stage '{stage.name}': needs a videos folder (its own `videos` or that of the recipe)")
        return self

    def videos_of(self, stage: StageSettings) -> Path | None:
        return stage.videos if stage.videos is not None else self.videos

    @property
    def frames_folder(self) -> Path:
        return self.frame_cache if self.frame_cache is not None else self.output / "frames"

    def settings(self) -> dict[str, object]:
        """What decides the result, as plain data: all but where it is written, how often it is logged and how fast it runs."""
        speed = {"output", "log_every", "save_every", "report_to", "threads", "decode_workers", "frame_cache", "device"}
        return self.model_dump(mode="json", exclude=speed)
