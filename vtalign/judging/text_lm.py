"""`TextLM`: a language model from a folder or the Hub that answers single user turns, greedily."""

from collections.abc import Sequence
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from vtalign.errors import InputError
from vtalign.judging.replier import Said
from vtalign.models.load import pick_device

REFUSED = "prompt_refused"


class TextLM:
    """safetensors only, no code from the model. Raises InputError: not loadable, weights missing, no chat template."""

    def __init__(self, name: str, dtype: str, device: str) -> None:
        target = pick_device(device)
        auto: Any = AutoModelForCausalLM
        try:
            # batches are padded in front of the prompts, so that all of them go on at the end
            self._tokenizer = AutoTokenizer.from_pretrained(name, padding_side="left")
            model, report = auto.from_pretrained(
                name, dtype=getattr(torch, dtype), use_safetensors=True, output_loading_info=True
            )
        except (ImportError, OSError, ValueError, KeyError, RuntimeError, TypeError, SafetensorError) as error:
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise InputError(f"{name}: cannot load this judge: {first}") from None
        if report["missing_keys"]:
            raise InputError(f"{name}: {len(report['missing_keys'])} weights are missing (first: {min(report['missing_keys'])})")
        if not self._tokenizer.chat_template:
            raise InputError(f"{name}: its tokenizer has no chat template; a judge must be a chat model")
        if self._tokenizer.pad_token_id is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        self._model = model.to(target).eval()
        # Checkpoints bring a temperature or a repetition penalty with them, which would have a say in a greedy reply too.
        ends = model.generation_config.eos_token_id
        ends = self._tokenizer.eos_token_id if ends is None else ends
        self._model.generation_config = GenerationConfig(
            do_sample=False, eos_token_id=ends, pad_token_id=self._tokenizer.pad_token_id
        )
        self._ends = set(ends) if isinstance(ends, list) else {ends}
        added = self._tokenizer.added_tokens_decoder.values()
        self._special = {*self._tokenizer.all_special_tokens, *(token.content for token in added if token.special)}
        self._longest = getattr(model.config.get_text_config(), "max_position_embeddings", None)

    @torch.no_grad()
    def write(self, prompts: Sequence[str], max_new_tokens: int) -> list[Said]:
        """Replies in order. A prompt with a special token in it, or one too long for the model, is refused."""
        texts = [self._rendered(prompt) for prompt in prompts]
        fitting = [place for place, text in enumerate(texts) if text is not None and self._fits(text, max_new_tokens)]
        said = [Said(None, REFUSED)] * len(prompts)
        if not fitting:
            return said
        inputs = self._tokenizer(
            [texts[place] for place in fitting], padding=True, add_special_tokens=False, return_tensors="pt"
        ).to(self._model.device)
        ids = self._model.generate(
            input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], max_new_tokens=max_new_tokens
        )
        written = ids[:, inputs["input_ids"].shape[1] :]
        lengths = inputs["attention_mask"].sum(dim=1).tolist()
        for place, row, prompt_tokens in zip(fitting, written.tolist(), lengths, strict=True):
            text = str(self._tokenizer.decode(row, skip_special_tokens=True))
            said[place] = Said(text, tokens=self._until_end(row), prompt_tokens=prompt_tokens)
        return said

    def _until_end(self, row: Sequence[int]) -> int:
        """Tokens of a reply with its end of turn, without the padding behind that."""
        return next((count for count, token in enumerate(row, 1) if token in self._ends), len(row))

    def _rendered(self, prompt: str) -> str | None:
        """The prompt as the model reads it; None where a reply in it could be taken for the end of a turn."""
        if any(token in prompt for token in self._special):
            return None
        turns = [{"role": "user", "content": prompt}]
        return str(self._tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))

    def _fits(self, text: str, max_new_tokens: int) -> bool:
        tokens = len(self._tokenizer(text, add_special_tokens=False)["input_ids"])
        return self._longest is None or tokens + max_new_tokens <= self._longest
