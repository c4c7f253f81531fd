"""What the arms of the demo have in common, and in what alone they differ."""

from pathlib import Path

import pytest

from vtalign.cli.demo.arms import (
    CHOSEN,
    DPO,
    FULL_ARMS,
    HARD_FIRST,
    POST,
    RANDOM_LABELS,
    RRPO,
    SFT_MATCHED,
    SFT_ONLY,
    Arm,
    Sources,
    build_arms,
)
from vtalign.cli.demo.config import DemoConfig
from vtalign.cli.shipped import config_path
from vtalign.config import load_config
from vtalign.errors import ConfigError
from vtalign.training.config import DPOStage, RRPOStage, SFTStage, Stage


@pytest.fixture
def config() -> DemoConfig:
    return load_config(DemoConfig, config_path("demo"))


@pytest.fixture
def arms(config: DemoConfig, tmp_path: Path) -> dict[str, Arm]:
    paths = {name: tmp_path / name for name in ("model", "videos", "pairs", "sft_rows", "chosen_rows", "output", "frames")}
    return {arm.name: arm for arm in build_arms(config, Sources(**paths, seed=3), FULL_ARMS)}


def stages(arm: Arm) -> tuple[Stage, ...]:
    assert arm.recipe is not None
    return arm.recipe.stages


def test_the_sft_stage_is_the_same_in_every_arm(arms: dict[str, Arm]) -> None:
    expected = stages(arms[SFT_ONLY])[0]
    for name in (CHOSEN, DPO, POST, RRPO, RANDOM_LABELS, HARD_FIRST):
        assert [stage for stage in stages(arms[name]) if stage.name == "sft"] == [expected], name
    assert stages(arms[SFT_MATCHED])[0].model_copy(update={"max_steps": expected.max_steps}) == expected


def test_matched_arm_has_the_steps_of_the_longest(arms: dict[str, Arm]) -> None:
    assert arms[SFT_MATCHED].steps == max(arm.steps for arm in arms.values()) == arms[DPO].steps == arms[CHOSEN].steps
    assert arms["base"].steps == 0 and arms["base"].recipe is None


def test_chosen_stage_has_what_the_dpo_stage_has_but_the_rejected_responses(arms: dict[str, Arm]) -> None:
    chosen, dpo = stages(arms[CHOSEN])[0], stages(arms[DPO])[0]
    assert isinstance(chosen, SFTStage) and isinstance(dpo, DPOStage)
    assert (chosen.rows_per_step, chosen.max_steps, chosen.learning_rate) == (
        dpo.pairs_per_step,
        dpo.max_steps,
        dpo.learning_rate,
    )


def test_controls_differ_from_dpo_in_one_setting(arms: dict[str, Arm]) -> None:
    dpo = stages(arms[DPO])[0]
    assert isinstance(dpo, DPOStage)
    assert stages(arms[RANDOM_LABELS])[0] == dpo.model_copy(update={"labels": "random"})
    hard = stages(arms[HARD_FIRST])[0]
    assert isinstance(hard, DPOStage)
    assert hard.curriculum.order == "hard_to_easy" and hard.model_copy(update={"curriculum": dpo.curriculum}) == dpo
    assert [stage.kind for stage in stages(arms[POST])] == ["sft", "dpo"]


def test_rrpo_has_what_the_dpo_stage_has_but_the_loss(arms: dict[str, Arm]) -> None:
    rrpo, dpo = stages(arms[RRPO])[0], stages(arms[DPO])[0]
    assert isinstance(rrpo, RRPOStage) and isinstance(dpo, DPOStage) and rrpo.alpha == 0.01
    own, others = rrpo.model_dump(exclude={"kind", "name", "alpha"}), dpo.model_dump()
    assert own == {key: others[key] for key in own}


def test_arms_that_need_pairs(arms: dict[str, Arm]) -> None:
    assert {name for name, arm in arms.items() if not arm.needs_pairs} == {"base", SFT_ONLY, SFT_MATCHED}


def test_a_wrong_stage_setting_is_one_line(config: DemoConfig, tmp_path: Path) -> None:
    wrong = config.model_copy(update={"dpo": {**config.dpo, "betta": 1}})
    paths = {name: tmp_path / name for name in ("model", "videos", "pairs", "sft_rows", "chosen_rows", "output", "frames")}
    with pytest.raises(ConfigError, match="betta: unknown key"):
        build_arms(wrong, Sources(**paths, seed=0), (DPO,))
