"""What a judge is asked about answers that no rule decides, what it found, and what that cost."""

from collections.abc import Sequence
from dataclasses import dataclass

from vtalign.judging.replier import Replier, Said
from vtalign.judging.verdict import read_verdict
from vtalign_data.annotated.annotation import Annotation
from vtalign_data.annotated.config import AnnotationConfig
from vtalign_data.usage import Usage
from vtalign_data.writer import require_server


@dataclass(frozen=True)
class Judged:
    """`verdicts` by prompt: right or not, or the short word of why there is none."""

    verdicts: dict[str, bool | str]
    usage: Usage


def judge_prompt(annotation: Annotation, question: str, reply: str, config: AnnotationConfig) -> str:
    """`question`: as the model was asked, options and all."""
    if annotation.kind == "caption":
        return config.judge_caption_prompt.format(truth=annotation.truth, reply=reply)
    return config.judge_answer_prompt.format(question=question, truth=annotation.truth, reply=reply)


def ask_judge(replier: Replier, prompts: Sequence[str]) -> Judged:
    """Each prompt is asked once.

    Raises InputError where the judge cannot be asked, RunFailed where it stopped answering: nothing is lost to that then.
    """
    distinct = list(dict.fromkeys(prompts))
    said: dict[int, Said] = {}
    if distinct:
        replier.reply(distinct, said.__setitem__)
    require_server(replier.check, [one.failure for one in said.values()])
    usage = Usage(
        model_calls=len(distinct),
        prompt_tokens=sum(one.prompt_tokens for one in said.values()),
        generated_tokens=sum(one.tokens for one in said.values()),
    )
    return Judged({prompt: _verdict(said[place]) for place, prompt in enumerate(distinct)}, usage)


def _verdict(said: Said) -> bool | str:
    verdict = None if said.text is None else read_verdict(said.text)
    return verdict if verdict is not None else said.failure or "unreadable"
