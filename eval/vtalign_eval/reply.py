"""`Reply`: what came back for one question."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Reply:
    """What came back for one question.

    `text` is None where there is none: the video could not be read, say; `failure` is then the reason's short word and
    `detail` what people want to know of it. `cut`: it ran into the limit of tokens. `uncontrolled`: the control could not change
    this video (a still), which was shown as it is.
    """

    text: str | None
    tokens: int = 0
    cut: bool = False
    uncontrolled: bool = False
    failure: str | None = None
    detail: str = ""
