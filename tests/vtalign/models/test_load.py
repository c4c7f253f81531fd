"""Loading: what was saved comes back, and whatever is wrong is one line."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model

from vtalign.errors import ConfigError, InputError
from vtalign.models.load import adapter_base, attach_adapter, load_video_lm, pick_device
from vtalign.models.prompt import Prompt
from vtalign.models.requests import FrameSource, Request, Row
from vtalign.models.tiny import POLICY
from vtalign.models.video_lm import VideoLM
from vtalign.video.sample import FramePolicy
from vtalign.video.view import VideoView


@pytest.fixture(scope="session")
def checkpoint(lm: VideoLM, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint") / "model"
    lm.save(folder)
    return folder


@pytest.fixture
def copy(checkpoint: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(checkpoint, tmp_path / "copy"))


@pytest.fixture(scope="session")
def row(make_view: Callable[..., VideoView]) -> Row:
    return Row(Prompt((make_view(), "describe the video .")), ("a red square moves left .", "x"))


def _scores(lm: VideoLM, row: Row, source: FrameSource) -> np.ndarray:
    return np.concatenate([score.token_logps for score in lm.score([row], source)[0]])


def test_saved_and_loaded_is_the_same_model(lm: VideoLM, checkpoint: Path, row: Row, source: FrameSource) -> None:
    again = load_video_lm(checkpoint, device="cpu")
    again.processor(text=["a", "a red square"], padding=True, truncation=True, max_length=8)
    assert again.policy == POLICY and again.fingerprint == lm.fingerprint
    np.testing.assert_array_equal(_scores(again, row, source), _scores(lm, row, source))
    assert not list(checkpoint.glob("*.bin")) and list(checkpoint.glob("*.safetensors"))


def test_the_fingerprint_sees_weights_processor_policy_and_positions(lm: VideoLM, checkpoint: Path, copy: Path) -> None:
    other_policy = load_video_lm(checkpoint, policy=FramePolicy(**{**POLICY.model_dump(), "fps": 1.0}))
    template = copy / "chat_template.jinja"
    template.write_text(template.read_text() + "{# another template #}")
    changed = load_video_lm(checkpoint)
    with torch.no_grad():
        changed.model.model.language_model.norm.weight[0] += 1e-3
    half = load_video_lm(checkpoint, dtype="bfloat16")
    placed = load_video_lm(checkpoint, positions="library")
    assert len({x.fingerprint for x in (lm, other_policy, load_video_lm(copy), changed, half, placed)}) == 6


def test_bfloat16(checkpoint: Path, lm: VideoLM, row: Row, source: FrameSource) -> None:
    half = load_video_lm(checkpoint, dtype="bfloat16", device="cpu")
    assert half.model.dtype == torch.bfloat16
    scores = _scores(half, row, source)
    assert scores.dtype == np.float32 and np.isfinite(scores).all()
    assert half.generate([Request(row.prompt, 4)], source)[0] is not None


def test_a_lora_adapter_merged_and_switchable(
    checkpoint: Path, lm: VideoLM, row: Row, source: FrameSource, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    config = LoraConfig(r=4, target_modules=r".*language_model.*(q_proj|v_proj)", init_lora_weights=False)
    trained = get_peft_model(load_video_lm(checkpoint).model, config)
    trained.save_pretrained(str(tmp_path / "adapter"))
    record = tmp_path / "adapter" / "adapter_config.json"
    settings = json.loads(record.read_text())
    record.write_text(json.dumps({**settings, "base_model_name_or_path": str(checkpoint)}))
    merged = load_video_lm(tmp_path / "adapter")
    switchable = attach_adapter(load_video_lm(checkpoint), tmp_path / "adapter")
    base = _scores(lm, row, source)
    assert merged.policy == POLICY and np.abs(_scores(merged, row, source) - base).max() > 1e-3
    np.testing.assert_allclose(_scores(switchable, row, source), _scores(merged, row, source), atol=1e-4)
    with switchable.model.disable_adapter():
        np.testing.assert_allclose(_scores(switchable, row, source), base, atol=1e-6)
    assert switchable.generate([Request(row.prompt, 6)], source) == merged.generate([Request(row.prompt, 6)], source)
    record.write_text(json.dumps({**settings, "base_model_name_or_path": "../elsewhere"}))
    with pytest.raises(InputError, match=r"elsewhere: no such model folder"):
        load_video_lm(tmp_path / "adapter")
    (tmp_path / "elsewhere").mkdir()
    assert Path(adapter_base(tmp_path / "adapter")).is_dir()


def _without_weights(folder: Path) -> str:
    (folder / "model.safetensors").unlink()
    return "cannot load"


def _torn_weights(folder: Path) -> str:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    return "cannot load"


def _pickled_weights(folder: Path) -> str:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    return r"its weights are pickled \(pytorch_model.bin\)"


def _other_shape(folder: Path) -> str:
    record = folder / "config.json"
    config = json.loads(record.read_text())
    config["text_config"]["intermediate_size"] *= 2
    record.write_text(json.dumps(config))
    return "cannot load|missing or of another shape"


def _one_layer_more(folder: Path) -> str:
    record = folder / "config.json"
    config = json.loads(record.read_text())
    config["text_config"]["num_hidden_layers"] += 1
    record.write_text(json.dumps(config))
    return "missing or of another shape"


def _text_model(folder: Path) -> str:
    (folder / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    return "'gpt2' is not a supported video LLM"


def _no_processor(folder: Path) -> str:
    for record in folder.glob("*"):
        if record.name not in ("config.json", "model.safetensors"):
            record.unlink()
    return "cannot load|no video processor"


def _broken_config(folder: Path) -> str:
    (folder / "config.json").write_text("{")
    return "cannot load"


def _bad_policy(folder: Path) -> str:
    (folder / "frame_policy.json").write_text('{"fps": 2.0, "frames": 3}')
    return "unknown key"


def _remote_code(folder: Path) -> str:
    record = folder / "config.json"
    config = {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config"}}
    record.write_text(json.dumps(config))
    (folder / "mine.py").write_text("raise SystemExit('remote code ran')")
    return "comes with code of its own.*trust_remote_code"


@pytest.mark.parametrize(
    "damage",
    [
        _without_weights,
        _torn_weights,
        _pickled_weights,
        _other_shape,
        _one_layer_more,
        _text_model,
        _no_processor,
        _broken_config,
        _bad_policy,
        _remote_code,
    ],
)
def test_a_damaged_folder_is_one_line(copy: Path, damage: Callable[[Path], str]) -> None:
    expected = damage(copy)
    with pytest.raises(InputError, match=expected) as caught:
        load_video_lm(copy)
    assert "\n" not in str(caught.value) and str(copy) in str(caught.value)


def test_what_is_no_model(tmp_path: Path, checkpoint: Path) -> None:
    for path, expected in (
        (tmp_path / "absent", "no such model folder"),
        ("./absent", "no such model folder"),
        ("absent", "no such model folder"),
        (tmp_path, "no model in this folder"),
        (checkpoint / "config.json", "no such model folder"),
    ):
        with pytest.raises(InputError, match=expected):
            load_video_lm(path)
    with pytest.raises(InputError, match="dtype 'int8'"):
        load_video_lm(checkpoint, dtype="int8")
    with pytest.raises(InputError, match=r"dtype 'float16'.*use bfloat16 or float32"):
        load_video_lm(checkpoint, dtype="float16")
    with pytest.raises(InputError, match=r"positions 'learned'.*trained, library"):
        load_video_lm(checkpoint, positions="learned")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="device 'tpu9'"):
        load_video_lm(checkpoint, device="tpu9")
    with pytest.raises(InputError, match="multiple"):
        load_video_lm(checkpoint, policy=FramePolicy(multiple=28))
    assert pick_device("cpu") == torch.device("cpu")


def test_a_checkpoint_without_policy_gets_its_own_multiple(copy: Path) -> None:
    (copy / "frame_policy.json").unlink()
    assert load_video_lm(copy).policy == FramePolicy(multiple=16)


def test_a_bad_policy_is_a_config_error(copy: Path) -> None:
    _bad_policy(copy)
    with pytest.raises(ConfigError):
        load_video_lm(copy)
