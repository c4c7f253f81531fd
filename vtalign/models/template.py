"""The chat template of a model: prompts as text, where a response ends, and a check that the cut between them is clean."""

from typing import Any

from vtalign.errors import InputError
from vtalign.models.prompt import Prompt

_PROBE = "A red square moves left."


class ChatTemplate:
    """Renders prompts, knows the end of a turn. Tokenised apart, prompt and response must give what the whole gives (checked)."""

    def __init__(self, processor: Any, video_token: str, name: str) -> None:
        self._processor = processor
        self._video_token = video_token
        tokenizer = processor.tokenizer
        self.special_ids = frozenset(
            [*tokenizer.all_special_ids, *(i for i, token in tokenizer.added_tokens_decoder.items() if token.special)]
        )
        self._special_tokens = tuple(tokenizer.convert_ids_to_tokens(sorted(self.special_ids)))
        self._rendered: dict[tuple[str | None, ...], list[str]] = {}
        self.end_of_turn = self._find_end_of_turn(name)

    def prompt_text(self, prompt: Prompt, videos: list[str]) -> str:
        """`prompt` as the model reads it, generation prompt included, with `videos` (text with placeholders) in their places."""
        pieces = self._pieces(prompt)
        return "".join(piece for pair in zip(pieces, [*videos, ""], strict=True) for piece in pair)

    def _pieces(self, prompt: Prompt) -> list[str]:
        """The rendered prompt, cut where views stand: one piece more than there are views."""
        shape = tuple(part if isinstance(part, str) else None for part in prompt.parts)
        if shape not in self._rendered:
            for text in shape:
                if text is not None and (found := [token for token in self._special_tokens if token in text]):
                    raise InputError(f"prompt text {text[:80]!r} has the special token(s) {found}; remove them")
            pieces = self._render(shape, response=None).split(self._video_token)
            if len(pieces) != shape.count(None) + 1:
                raise InputError(f"the chat template shows {len(pieces) - 1} videos for a prompt with {shape.count(None)}")
            if len(self._rendered) >= 4096:
                self._rendered.clear()
            self._rendered[shape] = pieces
        return self._rendered[shape]

    def _render(self, shape: tuple[str | None, ...], response: str | None) -> str:
        content = [{"type": "video"} if text is None else {"type": "text", "text": text} for text in shape]
        messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
        if response is not None:
            messages.append({"role": "assistant", "content": [{"type": "text", "text": response}]})
        return str(self._processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=response is None))

    def _find_end_of_turn(self, name: str) -> int:
        """Id of the token that closes a response. Raises InputError where the template or tokenizer does not fit the cut."""
        tokenizer = self._processor.tokenizer
        prompt, whole = self._render((_PROBE,), None), self._render((_PROBE,), _PROBE)
        if not whole.startswith(prompt + _PROBE):
            raise InputError(f"{name}: the chat template does not put a response right behind its generation prompt")
        ids = {text: tokenizer(text, add_special_tokens=False)["input_ids"] for text in (prompt, _PROBE, whole)}
        apart = ids[prompt] + ids[_PROBE]
        suffix = ids[whole][len(apart) :]
        if ids[whole][: len(apart)] != apart or not suffix:
            raise InputError(
                f"{name}: its tokenizer joins prompt and response; vtalign cannot continue one prompt by many responses"
            )
        # What the template writes behind the closing token (a newline) starts the next turn: no model is asked to write it.
        if suffix[0] not in self.special_ids:
            raise InputError(
                f"{name}: the chat template closes a response with {tokenizer.decode(suffix)!r}, not with a special token"
            )
        return int(suffix[0])
