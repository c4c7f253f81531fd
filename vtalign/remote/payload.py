"""What a chat server sends, read strictly: anything else is `NoCompletion`, never a guess."""

from typing import Literal

from pydantic import BaseModel, Field, ValidationError

from vtalign.remote.requests import ChatReply


class NoCompletion(Exception):
    """What came back with status 200 is not what was asked for."""


class _Message(BaseModel):
    content: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Usage(BaseModel):
    completion_tokens: int = 0


class _Completion(BaseModel):
    choices: list[_Choice] = Field(min_length=1)
    usage: _Usage | None = None


class _Model(BaseModel):
    id: str


class _Models(BaseModel):
    data: list[_Model]


def read_completion(body: bytes) -> ChatReply:
    """The first choice of a chat completion. Raises NoCompletion where it is not JSON or has no choice or no content."""
    try:
        completion = _Completion.model_validate_json(body)
    except ValidationError as error:
        raise NoCompletion(_first_fault(error)) from None
    choice = completion.choices[0]
    ended: Literal["end", "length"] = "length" if choice.finish_reason == "length" else "end"
    text = choice.message.content
    if text is None and ended == "end":
        raise NoCompletion(f"choices.0.message.content: there is none (finish_reason '{choice.finish_reason}')")
    # without content and out of tokens: the model was still thinking, and its reply is empty
    return ChatReply(text or "", completion.usage.completion_tokens if completion.usage else 0, ended)


def read_models(body: bytes) -> list[str]:
    """Names of the models that a server lists. Raises NoCompletion for anything else."""
    try:
        return [model.id for model in _Models.model_validate_json(body).data]
    except ValidationError as error:
        raise NoCompletion(_first_fault(error)) from None


def _first_fault(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    return ": ".join([part for part in (".".join(map(str, first["loc"])), first["msg"]) if part])
