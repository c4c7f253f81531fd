"""From a folder or a Hub id to a `VideoLM`. safetensors only, no remote code unless asked, every failure one line."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor, BitsAndBytesConfig

from vtalign.config import validate_config
from vtalign.errors import InputError
from vtalign.hub import is_hub_id
from vtalign.models.families import Family, family_of
from vtalign.models.positions import Positions
from vtalign.models.video_lm import POLICY_FILE, VideoLM, geometry_of
from vtalign.video.sample import FramePolicy

Quantization = Literal["nf4"]

_ADAPTER = "adapter_config.json"
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt")


def load_video_lm(
    path: str | Path,
    *,
    dtype: str = "float32",
    device: str = "auto",
    trust_remote_code: bool = False,
    policy: FramePolicy | None = None,
    positions: Positions = "trained",
    quantize: Quantization | None = None,
) -> VideoLM:
    """Load a model folder, a LoRA adapter folder (merged into its base, in float32) or a Hub id (fetched: the user named it).

    `policy` defaults to the checkpoint's `frame_policy.json`, else to `FramePolicy` with the model's own frame size.
    `positions`: where text behind a video stands, see `vtalign.models.positions`. `quantize`: linear layers of the language model in
    4 bits, as QLoRA has them (https://arxiv.org/abs/2305.14314).
    Raises InputError: no such folder, no model in it, unsupported model, weights that are missing, broken or pickled.
    """
    if dtype == "float16":
        raise InputError("dtype 'float16': its range is too small for the log-probs of these models; use bfloat16 or float32")
    if dtype not in _DTYPES:
        raise InputError(f"dtype '{dtype}': choose one of {', '.join(_DTYPES)}")
    name, target = str(path), pick_device(device)
    require_model(name)
    if is_adapter(name):
        if quantize is not None:
            raise InputError(f"{name}: an adapter is merged when it is loaded, which 4 bits cannot hold; merge and save it first")
        base = load_video_lm(
            adapter_base(name), device="cpu", trust_remote_code=trust_remote_code, policy=policy, positions=positions
        )
        model, processor = attach_adapter(base, name).model.merge_and_unload(), base.processor
        for parameter in model.parameters():  # parameters only: `.to(dtype)` would round the rotary frequencies as well
            parameter.data = parameter.data.to(_DTYPES[dtype])
        policy = policy or _saved_policy(name) or base.policy
    else:
        model, processor = _load(name, dtype, trust_remote_code, target if quantize is not None else None)
        policy = policy or _saved_policy(name) or _default_policy(model.config, processor, name)
    model = model if quantize is not None else model.to(target)
    return VideoLM(model.eval(), processor, policy, positions=positions, name=name)


def skeleton(path: str | Path, *, trust_remote_code: bool = False) -> Any:
    """The model that `load_video_lm` would load, without weights (on the meta device). Raises InputError as it does."""
    name = adapter_base(path) if is_adapter(path) else str(path)
    require_model(name)
    try:
        config = AutoConfig.from_pretrained(name, trust_remote_code=trust_remote_code)
        family_of(config, name)
        with torch.device("meta"):
            return AutoModelForImageTextToText.from_config(config, trust_remote_code=trust_remote_code)
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        raise InputError(f"{name}: cannot load this model: {_first_line(error)}") from None


def attach_adapter(base: VideoLM, folder: str | Path, *, trainable: bool = False) -> VideoLM:
    """`base` under the LoRA adapter in `folder`, not merged: `.model.disable_adapter()` gives the base (the reference) back."""
    from peft import PeftModel

    try:
        model = PeftModel.from_pretrained(base.model, str(folder), is_trainable=trainable)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise InputError(f"{folder}: cannot load this adapter: {_first_line(error)}") from None
    return VideoLM(model, base.processor, base.policy, positions=base.positions, name=str(folder))


def adapter_base(folder: str | Path) -> str:
    """The base model an adapter folder names; a relative path that is not there from here is looked up beside the adapter."""
    record = Path(folder) / _ADAPTER
    try:
        base = json.loads(record.read_text(encoding="utf-8")).get("base_model_name_or_path")
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f"{record}: cannot be read: {_first_line(error)}") from None
    if not base:
        raise InputError(f"{record}: names no base model (base_model_name_or_path)")
    beside = Path(folder) / base
    return str(beside) if not Path(base).exists() and beside.exists() else str(base)


def pick_device(device: str) -> torch.device:
    """`auto`: the accelerator where there is one, else the CPU."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device '{device}': {_first_line(error)}") from None


def is_adapter(folder: str | Path) -> bool:
    return (Path(folder) / _ADAPTER).is_file()


def require_model(name: str) -> None:
    """Raises InputError for what is neither a folder with a model (safetensors) or adapter in it nor a Hub id."""
    folder = Path(name)
    if folder.is_dir():
        if not any((folder / record).is_file() for record in ("config.json", _ADAPTER)):
            raise InputError(f"{name}: no model in this folder (no config.json and no {_ADAPTER})")
        if not list(folder.glob("*.safetensors")) and (pickled := [path for kind in _PICKLED for path in folder.glob(kind)]):
            raise InputError(
                f"{name}: its weights are pickled ({pickled[0].name}), which may run code when read; "
                "only safetensors are loaded, save the model as such"
            )
    elif folder.exists() or not is_hub_id(name):
        raise InputError(f"{name}: no such model folder")


def _in_four_bits(family: Family, dtype: str, device: torch.device) -> dict[str, Any]:
    """What `from_pretrained` is told. Vision and projector, which are small, keep their weights, and so does the head."""
    settings = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=_DTYPES[dtype],
        llm_int8_skip_modules=[family.encoder, *family.projectors, "lm_head"],
    )
    return {"quantization_config": settings, "device_map": {"": device}}


def _load(name: str, dtype: str, trust_remote_code: bool, in_four_bits_on: torch.device | None) -> tuple[Any, Any]:
    if in_four_bits_on is not None and find_spec("bitsandbytes") is None:
        raise InputError(f"{name}: 4-bit weights need the package bitsandbytes; install it, or leave quantize out")
    try:
        config = AutoConfig.from_pretrained(name, trust_remote_code=trust_remote_code)
        family = family_of(config, name)
        processor = AutoProcessor.from_pretrained(name, trust_remote_code=trust_remote_code)
        auto: Any = AutoModelForImageTextToText
        model, report = auto.from_pretrained(
            name,
            config=config,
            dtype=_DTYPES[dtype],
            attn_implementation="sdpa",
            use_safetensors=True,
            trust_remote_code=trust_remote_code,
            output_loading_info=True,
            **({} if in_four_bits_on is None else _in_four_bits(family, dtype, in_four_bits_on)),
        )
    except ImportError as error:
        hint = " (it comes with vtalign[smolvlm])" if "num2words" in str(error) else ""
        raise InputError(f"{name}: {_first_line(error)}{hint}") from None
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, SafetensorError) as error:
        if "trust_remote_code" in str(error):
            raise InputError(
                f"{name}: this model comes with code of its own; look at it, then allow it with trust_remote_code=true"
            ) from None
        what = "cannot load this model" if Path(name).is_dir() else "no such folder here, and not loadable as a Hub id"
        raise InputError(f"{name}: {what}: {_first_line(error)}") from None
    # transformers fills what a checkpoint lacks with random numbers and a warning
    missing = sorted(report["missing_keys"]) + sorted(str(key) for key in report["mismatched_keys"])
    if missing:
        raise InputError(f"{name}: {len(missing)} weights are missing or of another shape (first: {missing[0]})")
    return model, processor


def _saved_policy(name: str) -> FramePolicy | None:
    record = Path(name) / POLICY_FILE
    if not record.is_file():
        return None
    try:
        data = json.loads(record.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{record}: not valid JSON: {error}") from None
    return validate_config(FramePolicy, data, str(record))


def _default_policy(config: Any, processor: Any, name: str) -> FramePolicy:
    geometry = geometry_of(family_of(config, name), config, processor, name)
    usual = FramePolicy()
    try:
        if geometry.size is None:
            return FramePolicy(multiple=geometry.multiple)
        # frames of a fixed size may not fill more than half the context: the rest is for text
        room = config.get_text_config().max_position_embeddings // 2 // geometry.tokens_per_frame
        height, width = geometry.size
        most = max(usual.min_frames, min(usual.max_frames, room))
        return FramePolicy(size=geometry.size, max_pixels=height * width, multiple=1, max_frames=most)
    except ValidationError as error:
        raise InputError(f"{name}: no default frame policy fits this model: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
