"""`RunnerConfig`: where a build works. Any of it gives the same pairs."""

import re
from typing import Literal, Self

from pydantic import Field, model_validator

from vtalign.config import Config

_ADDRESS = re.compile(r"auto|(\[[0-9a-fA-F:.]+\]|[^:/\s]+):\d{1,5}")


class RunnerConfig(Config):
    """`local`: this machine. `ray`: a Ray cluster, one of its own where no address is given."""

    kind: Literal["local", "ray"] = "local"
    address: str | None = Field(None, description="ray: host:port of a running cluster, or auto for the one on this machine")
    model_workers: Literal["auto"] | int = Field(
        "auto",
        description="processes that hold a model each; auto: one per GPU (local and no GPU: this process; ray: as CPUs allow)",
    )
    cpu_per_worker: int | None = Field(
        None,
        ge=1,
        description="ray: CPUs that one worker reserves; default: `workers`, or where a model runs on the CPU, the threads of torch",
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.model_workers != "auto" and self.model_workers < 1:
            raise ValueError(f"model_workers {self.model_workers}: at least 1, or auto")
        if self.address is None:
            return self
        if self.kind != "ray":
            raise ValueError(f"address {self.address} is for kind ray")
        if not _ADDRESS.fullmatch(self.address):
            raise ValueError(f"address {self.address}: expected host:port or auto (run the command on a machine of the cluster)")
        return self
