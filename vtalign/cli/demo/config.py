"""What the demo can be told: `configs/demo.yaml` and overrides."""

from pathlib import Path
from typing import Any

from pydantic import Field

from vtalign.config import Config


class DemoConfig(Config):
    """Sizes and settings of the demo. `build`, `dpo`, `rrpo` and `sft` take the keys of their own configs."""

    model: Path | None = Field(None, description="the model to align; default: the tiny base that comes with vtalign")
    videos: int = Field(400, ge=8, description="training videos of the synthetic corpus; the other splits follow from it")
    build: dict[str, Any] = Field({}, description="settings of `vtalign data build`")
    dpo: dict[str, Any] = Field(description="settings of the DPO stage (and of the SFT stage on its chosen responses)")
    rrpo: dict[str, Any] = Field({}, description="what the RRPO stage has beside the settings of the DPO stage")
    sft: dict[str, Any] = Field(description="settings of the SFT stage")
    seeds: int = Field(3, ge=1, description="how many seeds `--full` runs, from the given one on")
    jobs: int | None = Field(None, ge=1, description="processes at a time; default: one a core")
    split: str = Field("heldout", pattern="^(heldout|validation)$", description="`validation` is for tuning")
