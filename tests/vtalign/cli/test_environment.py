"""Nothing is fetched or sent unless the user names a Hub id. Each case in a process of its own: the variables outlive a test."""

import os
import subprocess
import sys
from pathlib import Path

CODE = """
import sys
from vtalign.cli.environment import forbid_network_except_for, silence_telemetry
silence_telemetry()
forbid_network_except_for(sys.argv[1])
from huggingface_hub import constants
print(constants.HF_HUB_OFFLINE, constants.HF_HUB_DISABLE_TELEMETRY)
"""


def seen_by_the_hub_library(model: str, folder: Path, **more: str) -> list[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "DO_NOT", "TRANSFORMERS_"))}
    command = [sys.executable, "-c", CODE, model]
    done = subprocess.run(command, env=environment | more, cwd=folder, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.split()


def test_a_local_model_is_offline_and_silent(tmp_path: Path) -> None:
    assert seen_by_the_hub_library("./model", tmp_path) == ["True", "True"]


def test_a_hub_id_is_a_request_for_network_but_not_for_telemetry(tmp_path: Path) -> None:
    assert seen_by_the_hub_library("owner/model", tmp_path) == ["False", "True"]


def test_what_the_user_set_stays(tmp_path: Path) -> None:
    assert seen_by_the_hub_library("owner/model", tmp_path, HF_HUB_OFFLINE="1")[0] == "True"
