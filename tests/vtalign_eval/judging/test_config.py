import pytest

from vtalign.config import validate_config
from vtalign.errors import ConfigError
from vtalign_eval.judging import JudgeConfig

SERVER = {"url": "http://localhost:1/v1", "model": "judge-1"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "name one judge"),
        ({"server": SERVER, "model": "folder"}, "name one judge"),
        ({"server": {"url": "http://localhost:1/v1"}}, r"judge: server\.model: is required"),
        ({"server": {**SERVER, "url": "ftp://host/v1"}}, "is no http:// or https:// address"),
        ({"model": "folder", "name": "mine"}, "name: is for a judge on a server"),
        ({"server": SERVER, "device": "cpu"}, "device: is a setting of a local model"),
        ({"model": "folder", "temperature": 1}, "temperature: unknown key"),
        ({"model": "folder", "max_new_tokens": 0}, "max_new_tokens"),
    ],
)
def test_a_wrong_judge_is_one_line(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        validate_config(JudgeConfig, settings, "judge")
