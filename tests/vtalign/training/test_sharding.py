"""What a launch may ask for, in the words of the configs that come with vtalign."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from accelerate.commands.config.config_args import load_config_from_file
from torch import nn
from transformers.modeling_layers import GradientCheckpointingLayer

from vtalign.errors import InputError
from vtalign.preference.pair import PreferencePair
from vtalign.training.config import SFTStage, TrainConfig
from vtalign.training.conversations import Conversation
from vtalign.training.data import PairExample
from vtalign.training.recipe import run_recipe
from vtalign.training.sharding import block_classes, require_alike_rows, require_supported_launch


def stage(*trainable: str) -> SFTStage:
    data = {"kind": "sft", "name": "s", "data": "x.jsonl", "learning_rate": 1e-5, "trainable": trainable}
    return SFTStage.model_validate(data)


FSDP2 = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "FSDP_CPU_RAM_EFFICIENT_LOADING": "false"}
MIXED = [Conversation("a", ("", "what ?"), ("a.mp4",), "x"), Conversation("b", ("what ?",), (), "y")]


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED", "FSDP_VERSION", "FSDP_CPU_RAM_EFFICIENT_LOADING"):
        monkeypatch.delenv(name, raising=False)


def test_what_can_be_launched(monkeypatch: pytest.MonkeyPatch) -> None:
    assert require_supported_launch(on_cpu=True) == "none"
    for name, value in FSDP2.items():
        monkeypatch.setenv(name, value)
    assert require_supported_launch(on_cpu=True) == require_supported_launch(on_cpu=False) == "fsdp2"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"ACCELERATE_USE_FSDP": "true"}, "set fsdp_version to 2"),
        ({**FSDP2, "FSDP_VERSION": "1"}, "set fsdp_version to 2"),
        ({**FSDP2, "FSDP_CPU_RAM_EFFICIENT_LOADING": "true"}, "fsdp_cpu_ram_efficient_loading is on"),
    ],
)
def test_what_cannot_be_launched_is_said_before_anything_is_read(
    asked: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch, recipe: Callable[..., TrainConfig], tmp_path: Path
) -> None:
    for name, value in asked.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=said):
        run_recipe(recipe(tmp_path / "run", model=str(tmp_path / "no-model"), videos=str(tmp_path / "no-videos")))
    assert not (tmp_path / "run").exists()


def test_a_stage_does_not_go_on_under_another_launch(
    monkeypatch: pytest.MonkeyPatch, recipe: Callable[..., TrainConfig], tmp_path: Path
) -> None:
    """Its checkpoints have another form there."""
    config = recipe(tmp_path / "run", sft={"max_steps": 1}, order=("sft",))
    run_recipe(config)
    (config.output / "stages/01-sft/summary.json").unlink()
    for name, value in FSDP2.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=r"how weights are spread over devices \(none before, fsdp2 now\) changed"):
        run_recipe(config)


def test_deepspeed_on_the_cpu_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it is installed or not."""
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    with pytest.raises(InputError, match=r"DeepSpeed, which (is not installed|needs GPUs)"):
        require_supported_launch(on_cpu=True)


@pytest.mark.parametrize("kind", ["fsdp2", "fsdp2_cpu"])
def test_the_shipped_configs_of_fsdp_are_supported(kind: str, project_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = yaml.safe_load((project_root / f"configs/accelerate/{kind}.yaml").read_text())["fsdp_config"]
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    for name, value in settings.items():
        monkeypatch.setenv(name.upper(), str(value).lower())
    assert require_supported_launch(on_cpu=kind == "fsdp2_cpu") == "fsdp2"


def test_accelerate_reads_every_shipped_config(project_root: Path) -> None:
    kinds: dict[str, Any] = {}
    for file in (project_root / "configs/accelerate").glob("*.yaml"):
        config = load_config_from_file(str(file))
        kinds[file.stem] = (config.distributed_type.value, config.num_processes)
        assert config.mixed_precision == "no" and config.main_process_port == 0
    assert kinds == {
        "ddp": ("MULTI_GPU", 8),
        "ddp_cpu": ("MULTI_GPU", 2),
        "fsdp2": ("FSDP", 8),
        "fsdp2_cpu": ("FSDP", 2),
        "zero2": ("DEEPSPEED", 8),
        "zero3": ("DEEPSPEED", 8),
    }


def test_text_and_video_do_not_mix_where_the_encoder_is_spread(example_pairs: list[PreferencePair]) -> None:
    for trainable, sharding in ((["projector"], "fsdp2"), (["vision", "language_model"], "fsdp2"), (["language_model"], "zero3")):
        with pytest.raises(InputError, match=r"stage 's': x.jsonl has rows with and without video"):
            require_alike_rows(MIXED, stage(*trainable), sharding)
        require_alike_rows(MIXED[:1], stage(*trainable), sharding)
        require_alike_rows([replace(MIXED[1], id=name) for name in "bc"], stage(*trainable), sharding)
        pairs = [PairExample(pair, pair.clean_prompt, pair.chosen, pair.rejected) for pair in example_pairs]
        require_alike_rows(pairs, stage(*trainable), sharding)
    for sharding in ("none", "zero2"):
        require_alike_rows(MIXED, stage("vision", "projector"), sharding)
    require_alike_rows(MIXED, stage("language_model"), "fsdp2")


def test_blocks_are_told_by_what_they_are() -> None:
    class TextBlock(GradientCheckpointingLayer):
        pass

    class VisionBlock(GradientCheckpointingLayer):
        pass

    model = nn.ModuleDict(
        {"visual": nn.ModuleList([VisionBlock()]), "text": nn.ModuleList([TextBlock(), TextBlock()]), "head": nn.Linear(2, 2)}
    )
    assert block_classes(model) == ["TextBlock", "VisionBlock"]
    assert block_classes(model, but=("visual",)) == ["TextBlock"]
