"""Settings of text-only temporal pairs: which kinds of questions, how many, in which words."""

from pathlib import Path
from string import Formatter
from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, Field, model_validator

from vtalign.config import Config

TextKind = Literal[
    "order",
    "order_three",
    "order_list",
    "shuffle_sentence",
    "shuffle_phrase",
    "shuffle_prefix",
    "attribute",
    "begin",
    "middle",
    "end",
    "before",
    "after",
    "position",
    "part",
    "half",
]
KINDS: tuple[TextKind, ...] = get_args(TextKind)


def _with_fields(*fields: str) -> AfterValidator:
    """Checks that a template has exactly `fields`."""

    def check(template: str) -> str:
        try:
            found = {name for _, name, _, _ in Formatter().parse(template) if name is not None}
        except ValueError as error:
            raise ValueError(f"'{template}' is no template: {error}") from None
        if found != set(fields):
            wanted = ", ".join(f"{{{name}}}" for name in fields) or "none"
            raise ValueError(f"'{template}' must have the fields {wanted}")
        return template

    return AfterValidator(check)


class TextWording(Config):
    """In which words the questions are put. {captions}: the list, a line each; {a}, {b}, {c}: captions without full stop."""

    prompt: Annotated[str, _with_fields("captions", "question")] = (
        "These are the parts of one video, in the order in which they happen:\n{captions}\n\n{question}"
    )
    order: Annotated[str, _with_fields("which", "a", "b")] = "Which of these happens {which}: {a}, or {b}?"
    order_three: Annotated[str, _with_fields("which", "a", "b", "c")] = "Which of these happens {which}: {a}, {b}, or {c}?"
    order_list: Annotated[str, _with_fields("items")] = "In which order do these happen? Answer with their letters.\n{items}"
    shuffle_sentence: Annotated[str, _with_fields("items")] = "Write these sentences in the order in which they happen:\n{items}"
    shuffle_phrase: Annotated[str, _with_fields("items")] = (
        "Each of these phrases is taken from one part. Write them in the order of the parts:\n{items}"
    )
    shuffle_prefix: Annotated[str, _with_fields("items")] = (
        "Each of these is how one part begins. Write them in the order of the parts:\n{items}"
    )
    attribute: Annotated[str, _with_fields("a")] = 'Two parts differ in one word: "{a}". How does that word change?'
    begin: Annotated[str, _with_fields()] = "What happens at the beginning?"
    middle: Annotated[str, _with_fields()] = "What happens in the middle?"
    end: Annotated[str, _with_fields()] = "What happens at the end?"
    before: Annotated[str, _with_fields("a")] = "What happens right before this: {a}?"
    after: Annotated[str, _with_fields("a")] = "What happens right after this: {a}?"
    position: Annotated[str, _with_fields("a")] = "Counted from the beginning, which part is this: {a}?"
    part: Annotated[str, _with_fields("a")] = "Is this in the beginning, the middle or the end: {a}?"
    half: Annotated[str, _with_fields("a")] = "Is this in the first half or in the second half: {a}?"


class TextConfig(Config):
    """Questions about the order of captions, asked and answered without a video (T3, arXiv 2410.06166)."""

    kinds: tuple[TextKind, ...] = Field(KINDS, min_length=1)
    per_kind: int = Field(1, ge=1, description="questions of each kind for one list, at most; each is asked of two lists")
    max_captions: int = Field(16, ge=2, description="of a longer list, so many neighbouring captions are taken, drawn by seed")
    max_items: int = Field(5, ge=2, le=26, description="captions that one order_list or shuffle question puts in order, at most")
    wording: TextWording = TextWording()

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.kinds)) < len(self.kinds):
            raise ValueError("kinds: one is there twice")
        return self


class TextRunConfig(Config):
    """`vtalign data text`: lists of captions in, preference pairs and SFT rows out."""

    captions: Path = Field(description="JSONL, one list a line: {captions: [..]} in time order; also id and video, if you like")
    out: Path = Field(description="run folder; an interrupted run in it is continued")
    seed: int = 0
    questions: TextConfig = TextConfig()
    batch_size: int = Field(256, ge=1, description="lists per committed batch")
    strict: bool = Field(False, description="stop at the first line that cannot be read, instead of leaving it out")
