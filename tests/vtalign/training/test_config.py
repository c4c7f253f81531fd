from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vtalign.config import dump_config, load_config
from vtalign.errors import ConfigError
from vtalign.training.config import DPOStage, SFTStage, TrainConfig


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dpo": {"epochs": 1, "max_steps": 3}}, "epochs or max_steps, not both"),
        ({"dpo": {"beta": 0}}, "beta"),
        ({"dpo": {"bata": 0.1}}, "bata: unknown key"),
        ({"dpo": {"label_smoothing": 0.5}}, "label_smoothing"),
        ({"dpo": {"kind": "ppo"}}, "ppo"),
        ({"dpo": {"trainable": []}}, "trainable"),
        ({"dpo": {"trainable": ["vision", "vision"]}}, "names a part twice"),
        ({"dpo": {"trainable": ["vision"], "lora": {}}}, "lora adapts the language model"),
        ({"dpo": {"curriculum": {"order": "easy_to_hard", "stages": 1}}}, "more than one of curriculum.stages"),
        ({"dpo": {"curriculum": {"order": "easy_to_hard"}, "strengths": [4]}}, "pairs of one strength"),
        ({"dpo": {"lora": {"merge_weight": 1.5}}}, "merge_weight"),
        ({"sft": {"save_model": False}}, "save_model=false leaves an adapter, which needs lora"),
        ({"sft": {"save_model": False, "lora": {"merge_weight": 0.5}}}, "a merge that save_model=false leaves out"),
        ({"dpo": {"save_model": False, "lora": {}}}, "the next stage starts from its model"),
        ({"dpo": {"gate": {"data": "d"}}}, "a gate needs at_least or may_fall"),
        ({"dpo": {"gate": {"data": "d", "at_least": 0.55}}}, "in percent; 0.55 % cannot be meant"),
        ({"dpo": {"gate": {"data": "d", "at_least": 101}}}, "at_least"),
        ({"dpo": {"gate": {"data": "d", "may_fall": 1, "then": "go"}}}, "then"),
        ({"dpo": {"gate": {"data": "d", "may_fall": 1, "eval": {"model": "m"}}}}, "eval.model: the gate itself says this"),
        ({"dpo": {"loss": "simpo"}}, "needs a beta of its own"),
        ({"dpo": {"loss": "simpo", "beta": 2, "reference": "stage", "moving_reference": {}}}, "which has no reference"),
        ({"dpo": {"moving_reference": {}}}, "set reference=stage"),
        ({"dpo": {"loss": "robust"}}, "needs label_smoothing"),
        ({"dpo": {"also": [{"kind": "vdpo"}], "labels": "random"}}, "this stage compares views"),
        ({"dpo": {"loss": "plackett_luce", "labels": "random"}}, "plackett_luce compares lists"),
        ({"dpo": {"loss": "plackett_luce", "curriculum": {"order": "easy_to_hard", "by": "reward_gap"}}}, "takes as one list"),
        (
            {
                "dpo": {
                    "reference": "stage",
                    "moving_reference": {"every": "curriculum_stage"},
                    "curriculum": {"order": "easy_to_hard", "replay": 0.2},
                }
            },
            "needs stages without replay",
        ),
        ({"dpo": {"reference": "stage", "moving_reference": {"every": "curriculum_stage"}}}, "whose stages follow each other"),
        ({"dpo": {"lora": {"quantize": "nf4", "merge_weight": 0.5}}}, "lora.quantize needs merge_weight 1"),
        ({"sft": {"name": "dpo"}}, "same name"),
        ({"sft": {"name": "../up"}}, "name"),
        ({"sft": {"beta": 0.1}}, "beta: unknown key"),
        ({"log_every": 3, "save_every": 10}, "no multiple of log_every"),
        ({"dtype": "float16"}, "dtype"),
        ({"stages": {"0": {"learning_rate": 1}}}, "list of stages"),
        ({"stages": []}, "stages"),
    ],
)
def test_what_cannot_work_is_one_line(recipe: Callable[..., TrainConfig], tmp_path: Path, change: Any, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        recipe(tmp_path / "run", **change)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_the_shipped_recipes_are_pre_and_post_sft(project_root: Path) -> None:
    pre = load_config(TrainConfig, project_root / "configs/recipes/pre_sft.yaml")
    post = load_config(TrainConfig, project_root / "configs/recipes/post_sft.yaml")
    assert [type(stage) for stage in pre.stages] == [DPOStage, SFTStage]
    assert [type(stage) for stage in post.stages] == [SFTStage, DPOStage]
    assert {stage.name: stage for stage in pre.stages} == {stage.name: stage for stage in post.stages}


def test_a_stage_can_be_overridden(project_root: Path, tmp_path: Path) -> None:
    overrides = ["stages.0.beta=0.3", "stages.1.max_steps=7", "stages.1.epochs=null", f"output={tmp_path}"]
    config = load_config(TrainConfig, project_root / "configs/recipes/pre_sft.yaml", overrides)
    dpo, sft = config.stages
    assert isinstance(dpo, DPOStage) and dpo.beta == 0.3 and sft.max_steps == 7 and config.output == tmp_path


def test_settings_leave_out_what_does_not_decide_the_result(recipe: Callable[..., TrainConfig], tmp_path: Path) -> None:
    one = recipe(tmp_path / "a", threads=1, save_every=5)
    other = recipe(tmp_path / "b", threads=2, save_every=7, decode_workers=2)
    assert one.settings() == other.settings() != recipe(tmp_path / "a", seed=1).settings()
    assert "sft_weight: 0.0" in dump_config(one)
