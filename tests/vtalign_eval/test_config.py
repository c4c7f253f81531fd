from pathlib import Path

import pytest

from vtalign.config import load_config
from vtalign.errors import ConfigError
from vtalign_eval.config import EvalConfig

REQUIRED = ("model=m", "data=d", "out=o")


def test_defaults_and_overrides() -> None:
    config = load_config(EvalConfig, None, (*REQUIRED, "control=text", "frames.fps=1", "decode.timeout_s=5"))
    assert (config.benchmark, config.control, config.frames, config.decode.timeout_s) == (
        "temporal-shapes",
        "text",
        {"fps": 1},
        5.0,
    )


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("contrl=text", "contrl: unknown key"),
        ("control=blind", "control: Input should be 'none', 'text'"),
        ("controls=[blind]", "controls.0: Input should be 'none', 'text'"),
        ("controls=[text,text]", "name each control once, and not 'none' (got text, text)"),
        ("controls=[none]", "name each control once, and not 'none' (got none)"),
        ("batch_size=0", "batch_size: Input should be greater than or equal to 1"),
        ("fail_under=60", "fail_under: Input should be less than or equal to 1"),
        ("frames.fsp=1", "frames: unknown frame setting 'fsp' (known: fps"),
        ("dtype=float16", "dtype: Input should be 'float32' or 'bfloat16'"),
        ("positions=learned", "positions: Input should be 'trained' or 'library'"),
        ("frames.fps=0", "frames: fps 0: Input should be greater than 0"),
    ],
)
def test_wrong_settings_are_one_line(override: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_config(EvalConfig, None, (*REQUIRED, override))
    assert message in str(error.value) and "\n" not in str(error.value)


def test_settings_leave_out_what_does_not_decide_the_result() -> None:
    config = load_config(EvalConfig, None, REQUIRED)
    faster = config.model_copy(
        update={"batch_size": 1, "decode_workers": 3, "device": "cpu", "fail_under": 0.5, "fail_on": "static"}
    )
    assert faster.settings() == config.settings()
    assert config.model_copy(update={"seed": 1}).settings() != config.settings()
    assert config.model_copy(update={"positions": "library"}).settings() != config.settings()


def test_a_run_under_a_control_is_another_run_in_a_folder_of_its_own() -> None:
    plain = load_config(EvalConfig, None, (*REQUIRED, "controls=[text,shuffled]", "fail_under=0.5"))
    under = plain.under("text")
    assert (under.control, under.controls, under.out, under.fail_under) == ("text", (), Path("o/controls/text"), None)
    assert under.settings() == plain.settings() | {"control": "text"}
    # a run may be given controls later: its own replies are what they were
    assert plain.settings() == load_config(EvalConfig, None, REQUIRED).settings()
    with pytest.raises(ConfigError, match="control is 'text'; leave one of the two out"):
        load_config(EvalConfig, None, (*REQUIRED, "controls=[shuffled]", "control=text"))


SERVER = "server.url=http://localhost:8000/v1"


@pytest.mark.parametrize("override", ["dtype=bfloat16", "device=cuda", "positions=library", "trust_remote_code=true"])
def test_what_a_server_decides_is_not_asked_of_it(override: str) -> None:
    with pytest.raises(ConfigError, match=f"{override.partition('=')[0]}: is up to the server"):
        load_config(EvalConfig, None, (*REQUIRED, SERVER, override))


def test_where_a_server_is_does_not_decide_replies() -> None:
    here = load_config(EvalConfig, None, (*REQUIRED, SERVER))
    there = load_config(EvalConfig, None, (*REQUIRED, "server.url=http://host/v1", "server.concurrency=2", "server.key_env=K"))
    assert here.settings() == there.settings() and here.settings()["server"] == {"images": "jpeg"}
    lossless = load_config(EvalConfig, None, (*REQUIRED, SERVER, "server.images=png"))
    assert lossless.settings() != here.settings()
    assert EvalConfig.model_validate_json(here.model_dump_json()) == here
