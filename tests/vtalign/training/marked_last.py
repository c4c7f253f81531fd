"""A checkpoint is marked when the slowest process has written its files. Run by `accelerate launch`, as a module, from the root."""

import json
import os
import shutil
import tempfile
import time
from pathlib import Path

import torch.distributed as dist
from accelerate import PartialState
from transformers import TrainerControl, TrainerState, TrainingArguments

from vtalign.training.checkpoints import MARKER, MarkCheckpoint


def main() -> None:
    devices = PartialState(cpu=True)
    # the same place for both: the launcher is their parent
    folder = Path(tempfile.gettempdir()) / f"marked-last-{os.getppid()}" / "checkpoint-3"
    folder.mkdir(parents=True, exist_ok=True)
    time.sleep(devices.process_index)
    (folder / f"rng_state_{devices.process_index}.pth").write_bytes(b"x")
    arguments = TrainingArguments(output_dir=str(folder.parent), use_cpu=True, report_to="none")
    state = TrainerState(global_step=3, is_world_process_zero=devices.is_main_process)
    MarkCheckpoint().on_save(arguments, state, TrainerControl())
    if devices.is_main_process:
        assert json.loads((folder / MARKER).read_text())["files"] == {"rng_state_0.pth": 1, "rng_state_1.pth": 1}
        shutil.rmtree(folder.parent)
    print(f"rank {devices.process_index}: as it should be", flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
