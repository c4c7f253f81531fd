"""Stage 8, filter: candidate pairs that teach nothing, or the wrong thing, by rules on their texts.

The first rule that a pair breaks is its reason:

- `empty`: a prompt or a side without text;
- `placeholder`: a media placeholder or special token in a text, or stripped from the model's answer that it was made of;
- `captions_identical`: the model says the same of all clips of the video, so no order of them means anything;
- `identical`: both sides say the same (case and spaces aside);
- `containment`: one side is part of the other;
- `length_ratio`: one side is far longer than the other;
- `duplicate`: the same prompt and sides were made of this view before (by another perturbation).

Pairs of kind `view` say the same on both sides by design: `empty` and `placeholder` are their rules, and they are duplicates where
they show the same as well. Answers of source `annotation` were found wrong: one may be a part of the truth all the same (2 of 12).
"""

from collections.abc import Callable, Sequence

from vtalign.preference.pair import VIEW_KIND
from vtalign_data.annotated.annotation import ANNOTATED_KINDS
from vtalign_data.config import FilterConfig
from vtalign_data.responses import SCHEMA as SCHEMA
from vtalign_data.stage import BatchResult, Rejected, Row

Rule = Callable[[Row], str | None]
"""None for a pair that keeps the rule, else what is wrong with it."""


def filter_candidates(views: Sequence[Sequence[Row]], config: FilterConfig, placeholders: Sequence[str]) -> BatchResult:
    """One batch of views, each given by its candidates. `placeholders`: the config's and the model's own."""
    rules: dict[str, Rule] = {
        "empty": _empty,
        "placeholder": lambda row: _placeholder(row, placeholders),
        "captions_identical": _captions_identical,
        "identical": _identical,
        "containment": _containment,
        "length_ratio": lambda row: _length_ratio(row, config),
    }
    of_views = {name: rules[name] for name in ("empty", "placeholder")}
    of_answers = {name: rule for name, rule in rules.items() if name != "containment"}
    result = BatchResult()
    for rows in views:
        seen: dict[tuple[str, str, str, str], str] = {}
        for row in rows:
            is_view = row["kind"] == VIEW_KIND
            kept_rules = of_views if is_view else of_answers if row["kind"] in ANNOTATED_KINDS else rules
            broken = next(((name, said) for name, rule in kept_rules.items() if (said := rule(row)) is not None), None)
            if broken is None:
                content = row["prompt"], row["chosen"], row["rejected"], row["perturbed_view_id"] if is_view else ""
                first = seen.setdefault(content, row["pair_id"])
                broken = ("duplicate", f"of {first}") if first != row["pair_id"] else None
            if broken is None:
                result.rows.append(row)
            else:
                result.rejected.append(Rejected(row["pair_id"], "filtered", *broken))
    return result


def _empty(row: Row) -> str | None:
    return next((f"{column} is empty" for column in ("prompt", "chosen", "rejected") if not row[column].strip()), None)


def _placeholder(row: Row, placeholders: Sequence[str]) -> str | None:
    if row["stray"]:
        return f"the model wrote {row['stray'][0]} into a description"
    for column in ("prompt", "chosen", "rejected"):
        found = next((token for token in placeholders if token in row[column]), None)
        if found is not None:
            return f"{found} in {column}"
    return None


def _captions_identical(row: Row) -> str | None:
    texts = {_plain(text) for text in row["clip_texts"]}
    return f"all {len(row['clip_texts'])} clips are described alike" if len(texts) == 1 and len(row["clip_texts"]) > 1 else None


def _identical(row: Row) -> str | None:
    return "chosen and rejected say the same" if _plain(row["chosen"]) == _plain(row["rejected"]) else None


def _containment(row: Row) -> str | None:
    chosen, rejected = _plain(row["chosen"]).rstrip(" ."), _plain(row["rejected"]).rstrip(" .")
    if chosen in rejected:
        return "rejected contains chosen"
    return "chosen contains rejected" if rejected in chosen else None


def _length_ratio(row: Row, config: FilterConfig) -> str | None:
    shorter, longer = sorted((len(row["chosen"]), len(row["rejected"])))
    if row["kind"] != "response":
        allowed = config.max_length_ratio_question
    else:
        allowed = config.max_length_ratio_drop if row["name"] in ("drop", "segment_exclude") else config.max_length_ratio
    return f"{longer} characters against {shorter}" if longer > allowed * shorter else None


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()
