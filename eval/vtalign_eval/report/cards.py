"""Conflict groups as cards: the siblings, their right answers, and what one or two models said of each."""

from collections.abc import Mapping, Sequence

from vtalign.report.conflict_groups import GroupCard, Said, Sibling
from vtalign_eval.grade import normalise
from vtalign_eval.outcomes import Outcome
from vtalign_eval.report.pictures import Pictures

_MOST_SIBLINGS = 4


def card_of(kind: str, members: Sequence[Mapping[str, Outcome]], pictures: Pictures) -> GroupCard:
    """One group. `members`: for each sibling, its outcome by who answered; all of them are about the same question."""
    first = next(iter(members[0].values()))
    place = ", ".join(part.replace("_", " ") for part in (first.aspect, first.task) if part)
    spelt = all(normalise(option) in normalise(first.question) for option in first.options)
    card: GroupCard = {
        "title": f"{place}: {kind}",
        "question": first.question,
        "options": [] if spelt else list(first.options),
        "siblings": [_sibling(member, pictures) for member in members[:_MOST_SIBLINGS]],
    }
    if len(members) > _MOST_SIBLINGS:
        card["note"] = f"{len(members) - _MOST_SIBLINGS} more siblings of this group are not shown."
    return card


def _sibling(member: Mapping[str, Outcome], pictures: Pictures) -> Sibling:
    outcome = next(iter(member.values()))
    why_not = pictures.why_not.get(outcome.video)
    return {
        "video": outcome.video,
        "answer": outcome.answer,
        "strips": pictures.strips.get(outcome.video, []),
        "no_strips": "" if why_not is None else f"no frames: {why_not}",
        "replies": [_said(who, outcome) for who, outcome in member.items()],
    }


def _said(who: str, outcome: Outcome) -> Said:
    return {"who": who, "text": outcome.reply, "correct": outcome.correct, "note": reading(outcome)}


def reading(outcome: Outcome) -> str:
    """How a reply was read, where that does not go without saying."""
    if outcome.failure is not None:
        return outcome.failure
    if outcome.reply is None:
        return ""
    if outcome.choice is not None:
        return "" if normalise(outcome.choice) == normalise(outcome.reply) else f"read as {outcome.choice}"
    if outcome.lenient_choice is not None:
        return f"could not be read; leniently {outcome.lenient_choice}"
    return "could not be read"
