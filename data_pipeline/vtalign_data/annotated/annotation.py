"""`Annotation`: one question with its right answer, or one true caption, and how the model is asked about it."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from vtalign.choices import normalise
from vtalign.ids import stable_id
from vtalign_data.annotated.config import AnnotationConfig

Kind = Literal["qa", "caption"]
ANNOTATED_KINDS: tuple[Kind, ...] = get_args(Kind)
"""`kind` of the pairs of source `annotation`."""

Form = Literal["options", "yes_no", "open", "caption"]
"""What kind of answer is expected."""


@dataclass(frozen=True)
class Annotation:
    """`truth`: the right answer (where there are options, one of them as it is written there) or the caption. `question`: empty for a
    caption."""

    kind: Kind
    question: str
    truth: str
    options: tuple[str, ...] = ()

    @property
    def form(self) -> Form:
        if self.kind == "caption":
            return "caption"
        if self.options:
            return "options"
        return "yes_no" if normalise(self.truth) in ("yes", "no") else "open"

    def id_for(self, video_id: str) -> str:
        return stable_id("annotation", video_id, asdict(self))


def letter(index: int) -> str:
    return chr(ord("A") + index)


def listed_options(options: tuple[str, ...]) -> list[str]:
    """`A. left`, `B. right`, .."""
    return [f"{letter(index)}. {option}" for index, option in enumerate(options)]


def prompt_of(annotation: Annotation, config: AnnotationConfig) -> str:
    """What the model is asked, and what the pair's prompt is."""
    if annotation.form == "caption":
        return config.caption_prompt
    templates = {"options": config.options_prompt, "yes_no": config.yes_no_prompt, "open": config.open_prompt}
    fields: dict[str, Any] = {"question": annotation.question, "options": "\n".join(listed_options(annotation.options))}
    return templates[annotation.form].format(**fields)
