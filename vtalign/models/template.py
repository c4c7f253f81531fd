"""The chat template of a model: prompts as text, where a response ends, and a check that the cut between them is clean."""

from typing import Any

from vtalign.errors import InputError
from vtalign.models.prompt import Prompt

_PROBE = "A red square moves left."


class ChatTemplate:
    """Renders prompts, knows what stands around a response. Tokenised apart, prompt and response must give the whole (checked).

    `opening`: ids that the tokenizer puts before every text. `lead`: white space that the template writes between its generation
    prompt and a response. `end_of_turn`: id of the token that closes a response.
    """

    def __init__(self, processor: Any, video_token: str, name: str) -> None:
        self._processor = processor
        self._video_token = video_token
        tokenizer = processor.tokenizer
        self.special_ids = frozenset(
            [*tokenizer.all_special_ids, *(i for i, token in tokenizer.added_tokens_decoder.items() if token.special)]
        )
        # the token of a video need not be a special one of the tokenizer, where the processor replaces it
        self._special_tokens = tuple(dict.fromkeys([*tokenizer.convert_ids_to_tokens(sorted(self.special_ids)), video_token]))
        self._rendered: dict[tuple[str | None, ...], list[str]] = {}
        self.opening = self._find_opening(name)
        self.lead, self.end_of_turn = self._find_turn(name)

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

    def _find_opening(self, name: str) -> list[int]:
        tokenizer = self._processor.tokenizer
        prompt = self._render((None, _PROBE), None)
        if tokenizer.bos_token and prompt.startswith(tokenizer.bos_token):
            return []  # the template writes it
        whole, plain = tokenizer(prompt)["input_ids"], self._ids(prompt)
        for start in range(len(whole) - len(plain) + 1):
            if whole[start : start + len(plain)] == plain:
                return list(whole[:start])
        raise InputError(f"{name}: its tokenizer reads a text differently with special tokens around it")

    def _find_turn(self, name: str) -> tuple[str, int]:
        """`lead` and `end_of_turn`. Raises InputError where the template or tokenizer does not fit the cut."""
        tokenizer = self._processor.tokenizer
        prompt, whole = self._render((None, _PROBE), None), self._render((None, _PROBE), _PROBE)
        at = whole.rindex(_PROBE)
        before, behind = whole[:at], whole[at + len(_PROBE) :]
        lead = before[len(prompt) :]
        if not before.startswith(prompt) and _squeezed(before) == _squeezed(prompt):
            # Some templates write other white space before a response than at the end of a generation prompt. What models
            # continue is the generation prompt.
            lead = ""
        elif not before.startswith(prompt) or lead.strip():
            raise InputError(f"{name}: the chat template does not put a response right behind its generation prompt")
        ids = self._ids(prompt + lead + _PROBE + behind)
        for candidate in dict.fromkeys((lead, "")):  # "": tokenizers that begin every text with a space of their own
            apart = [*self._ids(prompt), *self._ids(candidate + _PROBE)]
            if ids[: len(apart)] == apart:
                break
        else:
            raise InputError(
                f"{name}: its tokenizer joins prompt and response; vtalign cannot continue one prompt by many responses"
            )
        # What the template writes behind the closing token (a newline) starts the next turn: no model is asked to write it.
        suffix = ids[len(apart) :]
        if suffix and suffix[0] in self.special_ids:
            return candidate, int(suffix[0])
        if not behind.strip() and tokenizer.eos_token_id is not None:
            return candidate, int(tokenizer.eos_token_id)  # templates that leave the closing token to the tokenizer (Vicuna's)
        raise InputError(f"{name}: the chat template closes a response with {behind!r}, not with a special token")

    def _ids(self, text: str) -> list[int]:
        return list(self._processor.tokenizer(text, add_special_tokens=False)["input_ids"])


def _squeezed(text: str) -> str:
    return "".join(text.split())
