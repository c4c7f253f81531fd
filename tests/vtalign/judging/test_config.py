import pytest

from vtalign.config import validate_config
from vtalign.errors import ConfigError
from vtalign.judging.config import JudgeConfig

SERVER = {"url": "http://localhost:1/v1", "model": "judge-1"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "name one judge"),
        ({"server": SERVER, "model": "folder"}, "name one judge"),
        ({"server": SERVER, "batch_size": 4}, "batch_size: is a setting of a local model"),
        ({"model": "folder", "cache": "c"}, "cache: unknown key"),
    ],
)
def test_a_wrong_judge_is_one_line(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        validate_config(JudgeConfig, settings, "judge")


def test_a_judge_that_was_saved_is_read_again() -> None:
    for settings in ({"server": SERVER}, {"model": "folder", "device": "cpu"}):
        judge = JudgeConfig.model_validate(settings)
        assert JudgeConfig.model_validate(judge.model_dump()) == judge
