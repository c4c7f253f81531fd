"""A judge read from disk: a language model with a chat template, or a video LLM that is shown no video."""

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from huggingface_hub import hf_hub_download
from numpy.typing import NDArray
from transformers import AutoConfig

from vtalign.errors import InputError
from vtalign.ids import file_hash, stable_id
from vtalign.judging.config import JudgeConfig
from vtalign.judging.replier import OnSaid, Said
from vtalign.judging.text_lm import REFUSED, TextLM
from vtalign.models.families import FAMILIES
from vtalign.models.load import adapter_base, is_adapter, load_video_lm, require_model
from vtalign.models.prompt import Prompt
from vtalign.models.requests import Request
from vtalign.models.video_lm import VideoLM
from vtalign.video.view import VideoView

_WEIGHTS = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt")


class LocalReplier:
    """Greedy replies, in batches of similar length. The model is loaded when something is asked of it."""

    def __init__(self, config: JudgeConfig) -> None:
        assert config.model is not None
        self._config, self._model = config, config.model

    @cached_property
    def name(self) -> str:
        """A folder's name and a hash of its files and the dtype: no verdict outlives the weights that gave it. A Hub id with its
        commit, where that is known, and the dtype."""
        folder = Path(self._model)
        if not folder.is_dir():
            return "@".join([self._model, *_commit(self._model), self._config.dtype])
        return f"{folder.resolve().name}@{stable_id('judge', _files_hash(folder), self._config.dtype).rpartition('-')[2][:8]}"

    def check(self) -> None:
        require_model(self._model)

    def reply(self, prompts: Sequence[str], on_said: OnSaid) -> None:
        order = sorted(range(len(prompts)), key=lambda place: (len(prompts[place]), place))
        for start in range(0, len(order), self._config.batch_size):
            batch = order[start : start + self._config.batch_size]
            for place, said in zip(batch, self._write([prompts[place] for place in batch]), strict=True):
                on_said(place, said)

    @cached_property
    def _write(self) -> Callable[[Sequence[str]], list[Said]]:
        config = self._config
        if _is_video_lm(self._model):
            lm = load_video_lm(self._model, dtype=config.dtype, device=config.device)
            return lambda prompts: _write_without_video(lm, prompts, config.max_new_tokens)
        text_lm = TextLM(self._model, dtype=config.dtype, device=config.device)
        return lambda prompts: text_lm.write(prompts, config.max_new_tokens)


class _NoFrames:
    """A frame source for prompts that show nothing."""

    def frames(self, view: VideoView) -> NDArray[np.uint8]:
        raise AssertionError(f"a judge is shown no video, but was asked for {view}")


def _write_without_video(lm: VideoLM, prompts: Sequence[str], max_new_tokens: int) -> list[Said]:
    requests = [Request(Prompt((prompt,)), max_new_tokens) for prompt in prompts]
    try:
        written = lm.generations(requests, _NoFrames(), batch_size=len(requests))
    except InputError:
        # one prompt that does not fit (too long, a special token in a reply) costs its own verdict alone
        if len(prompts) == 1:
            return [Said(None, REFUSED)]
        return [said for prompt in prompts for said in _write_without_video(lm, [prompt], max_new_tokens)]
    return [Said(made.text, tokens=made.tokens, prompt_tokens=made.prompt_tokens) for made in written]


def _is_video_lm(name: str) -> bool:
    if is_adapter(name):
        return True
    try:
        return AutoConfig.from_pretrained(name).model_type in FAMILIES
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{name}: cannot load this judge: {str(error).strip().splitlines()[0]}") from None


def _commit(hub_id: str) -> list[str]:
    """The commit that `main` is at, or was at when it was last fetched; none where neither network nor cache knows it."""
    for record in ("config.json", "adapter_config.json"):
        try:
            # <cache>/snapshots/<commit>/<file>
            return [Path(hf_hub_download(hub_id, record)).parent.name]
        except (OSError, ValueError):
            continue
    return []


def _files_hash(folder: Path) -> str:
    """Over weights, config and tokenizer; of an adapter, over those of its base too."""
    files = sorted(path for kind in _WEIGHTS for path in folder.glob(kind))
    hashes = [(path.name, file_hash(path)) for path in files]
    base = Path(adapter_base(folder)) if is_adapter(folder) else None
    below = None if base is None else _files_hash(base) if base.is_dir() else str(base)
    return stable_id("files", hashes, below)
