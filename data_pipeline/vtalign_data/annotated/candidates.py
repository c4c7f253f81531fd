"""The stage `annotated`: answers that are wrong become candidate pairs, with the truth as their chosen side."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from vtalign.ids import stable_id
from vtalign.judging.replier import Replier
from vtalign.preference.pair import group_id_of
from vtalign_data.annotated.annotation import Annotation, prompt_of
from vtalign_data.annotated.answers import Questioning
from vtalign_data.annotated.correctness import Verdict, verdict_by_rule
from vtalign_data.annotated.forms import truth_in_form_of
from vtalign_data.annotated.judged import Judged, ask_judge, judge_prompt
from vtalign_data.responses import SCHEMA
from vtalign_data.stage import BatchResult, Rejected, Row
from vtalign_data.usage import Usage


@dataclass(frozen=True)
class _Reading:
    """One annotation about one perturbed view, and the rows of the answers given there and (where asked) on the clean view."""

    row: Row
    annotation_id: str
    annotation: Annotation
    answer: Row | None
    clean: Row | None

    @property
    def id(self) -> str:
        return f"{self.row['view_id']}/{self.row['name']}-{self.row['strength']} {self.annotation_id}"


def make_annotated(
    views: Sequence[Sequence[Row]],
    annotations: Mapping[str, Mapping[str, Annotation]],
    answers: Mapping[str, Row],
    questioning: Questioning,
    judge: Replier | None,
) -> BatchResult:
    """Candidate pairs of one batch of views. Every answer ends as a pair or is lost with its reason: `right`, `undecided` by rule (and
    judge), `unknown_on_clean`, `no_answer`, or the short word of why a judge said nothing."""
    result = BatchResult()
    readings = list(_readings(views, annotations, answers, questioning))
    verdicts, usage = _verdicts(
        [row for r in readings for row in (r.answer, r.clean) if row is not None], annotations, questioning, judge
    )
    for reading in readings:
        answer, clean = reading.answer, reading.clean
        if answer is None:
            result.rejected.append(Rejected(reading.id, "failed", "no_answer", reading.row["video"]))
            continue
        if clean is None and questioning.config.require_known:
            result.rejected.append(Rejected(reading.id, "failed", "no_answer", f"{reading.row['video']}: none on the clean view"))
            continue
        key = reading.annotation_id
        found = verdicts[answer["request_id"], key]
        known = verdicts[clean["request_id"], key] if clean is not None else "right"
        if found in ("right", "undecided"):
            result.rejected.append(Rejected(reading.id, "filtered", found, answer["text"]))
        elif found != "wrong":
            result.rejected.append(Rejected(reading.id, "failed", found, "the judge gave no verdict"))
        elif known == "right":
            result.rows.append(_candidate(reading, answer, questioning))
        elif known in ("wrong", "undecided"):
            result.rejected.append(Rejected(reading.id, "filtered", "unknown_on_clean", f"{known} there too"))
        else:
            result.rejected.append(Rejected(reading.id, "failed", known, "the judge gave no verdict on the clean view"))
    return replace(result, usage=usage)


def _readings(
    views: Sequence[Sequence[Row]],
    annotations: Mapping[str, Mapping[str, Annotation]],
    answers: Mapping[str, Row],
    questioning: Questioning,
) -> Iterator[_Reading]:
    for rows in views:
        for row in rows:
            for annotation_id, annotation in annotations[row["video_id"]].items():
                answer = answers.get(questioning.request_id(row["perturbed_view_id"], annotation))
                clean = answers.get(questioning.request_id(row["view_id"], annotation))
                yield _Reading(row, annotation_id, annotation, answer, clean)


def _verdicts(
    answered: Sequence[Row],
    annotations: Mapping[str, Mapping[str, Annotation]],
    questioning: Questioning,
    judge: Replier | None,
) -> tuple[dict[tuple[str, str], str], Usage]:
    """(request, annotation) -> verdict, and what the judge cost; captions of one video share an answer, and each has a verdict of its
    own."""
    config = questioning.config
    found: dict[tuple[str, str], str] = {}
    prompts: dict[tuple[str, str], str] = {}
    for row in {row["request_id"]: row for row in answered}.values():
        for annotation_id, annotation in annotations[row["video_id"]].items():
            if prompt_of(annotation, config) != row["prompt"]:
                continue
            key = row["request_id"], annotation_id
            verdict: Verdict = verdict_by_rule(row["text"], annotation, config)
            found[key] = verdict
            if verdict == "undecided" and judge is not None and row["text"].strip():
                prompts[key] = judge_prompt(annotation, row["prompt"], row["text"], config)
    judged = ask_judge(judge, list(prompts.values())) if judge is not None else Judged({}, Usage())
    for key, prompt in prompts.items():
        verdict_said = judged.verdicts[prompt]
        found[key] = verdict_said if isinstance(verdict_said, str) else "right" if verdict_said else "wrong"
    # of several true captions, one that an answer does not contradict is enough to keep it from being a wrong answer
    contested = {request_id for (request_id, _), said_of_it in found.items() if said_of_it != "wrong"}
    verdicts = {key: "undecided" if said == "wrong" and key[0] in contested else said for key, said in found.items()}
    return verdicts, judged.usage


def _candidate(reading: _Reading, answer: Row, questioning: Questioning) -> Row:
    row, annotation = reading.row, reading.annotation
    prompt = prompt_of(annotation, questioning.config)
    chosen, rejected = truth_in_form_of(answer["text"], annotation), answer["text"]
    group_id = group_id_of(row["view_id"], prompt, chosen)
    return {
        **{name: row.get(name) for name in SCHEMA.names},
        "pair_id": stable_id("pair", group_id, rejected, row["perturbation_id"], annotation.kind, answer["request_id"]),
        "group_id": group_id,
        "kind": annotation.kind,
        "source": "annotation",
        "prompt": prompt,
        "chosen": chosen,
        "rejected": rejected,
        "chosen_requests": [],
        "rejected_requests": [answer["request_id"]],
        "clip_texts": [],
        "stray": answer["stray"],
    }
