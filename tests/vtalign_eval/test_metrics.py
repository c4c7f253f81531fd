import json
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from vtalign_eval.benchmarks import find_benchmark
from vtalign_eval.metrics import Key, chance, columns_of, conflict_groups
from vtalign_eval.outcomes import Outcome
from vtalign_eval.statistics import cluster_bootstrap

BENCHMARK = find_benchmark("temporal-shapes")
Make = Callable[..., Outcome]


def means(outcomes: list[Outcome]) -> dict[Key, float]:
    return {key: float(column.values.mean()) for key, column in columns_of(outcomes, BENCHMARK).items() if len(column.values)}


def test_accuracy_is_micro_over_temporal_questions_and_apart_for_static_ones(make_outcome: Make) -> None:
    outcomes = [make_outcome(f"f:{i}", right=i < 3, aspect="order") for i in range(4)]
    outcomes += [make_outcome("f:5", right=False, aspect="speed")]
    outcomes += [make_outcome(f"f:s{i}", right=True, aspect="static") for i in range(2)]
    found = means(outcomes)
    assert found["metrics", "temporal"] == 3 / 5
    assert found["metrics", "static"] == 1.0
    assert found["metrics", "accuracy"] == 5 / 7
    assert (found["aspects", "order", "accuracy"], found["aspects", "speed", "accuracy"]) == (0.75, 0.0)
    assert ("aspects", "direction", "accuracy") not in found


def test_strict_needs_every_sibling_right(make_outcome: Make) -> None:
    outcomes = [
        make_outcome("f:a", right=True, group="x"),
        make_outcome("f:b", right=True, group="x", answer="right"),
        make_outcome("f:c", right=True, group="y"),
        make_outcome("f:d", right=False, group="y", answer="right"),
        make_outcome("f:e", right=False),
    ]
    found = means(outcomes)
    assert found["metrics", "temporal_strict"] == found["aspects", "order", "strict"] == 0.5
    assert found["metrics", "same_answer_rate"] == 0.5
    assert [len(group) for group in conflict_groups(outcomes)] == [2, 2]


def test_a_constant_answerer_has_strict_zero_and_always_the_same_answer(make_outcome: Make) -> None:
    outcomes = []
    for group in range(10):
        for answer in ("left", "right"):
            fields = {"group": f"g{group}", "answer": answer, "aspect": ("order", "speed")[group % 2]}
            outcomes.append(make_outcome(f"f{group}:{answer}", right=answer == "left", **fields))
    found = means(outcomes)
    assert found["metrics", "temporal"] == 0.5
    assert found["metrics", "temporal_strict"] == 0.0
    assert found["metrics", "same_answer_rate"] == 1.0


def test_the_same_unparsable_words_are_the_same_answer_and_so_is_a_missing_reply(make_outcome: Make) -> None:
    unread = {"choice": None, "correct": False, "lenient_choice": None, "lenient_correct": False}
    same = [make_outcome(f"f:{i}", right=False, group="x", reply=text, **unread) for i, text in enumerate(["Hm.", "hm"])]
    differ = [make_outcome(f"g:{i}", right=False, group="y", reply=text, **unread) for i, text in enumerate(["hm", "so"])]
    absent = [make_outcome(f"h:{i}", right=False, group="z", reply=None, **unread) for i in range(2)]
    assert means([*same, *differ, *absent])["metrics", "same_answer_rate"] == 2 / 3  # a failure may not look good


def test_unparsable_replies_stay_in_the_denominator(make_outcome: Make) -> None:
    unread = {"reply": "so, the left one", "choice": None, "correct": False}
    outcomes = [make_outcome("f:a", right=True), make_outcome("f:b", right=True, **unread)]
    found = means(outcomes)
    assert found["metrics", "temporal"] == found["metrics", "parse_rate"] == 0.5
    assert found["metrics", "temporal_lenient"] == found["metrics", "lenient_parse_rate"] == 1.0


def test_yes_rate_is_over_the_yes_no_questions_that_were_read(make_outcome: Make) -> None:
    said = [("yes", True), ("yes", False), ("no", True)]
    yes_no = {"options": ("yes", "no"), "aspect": "static"}
    outcomes = [
        make_outcome(f"f:{i}", right=right, answer=word if right else ("no" if word == "yes" else "yes"), **yes_no)
        for i, (word, right) in enumerate(said)
    ]
    outcomes.append(make_outcome("f:x", right=False, answer="yes", choice=None, **yes_no))
    outcomes.append(make_outcome("f:left", right=True))
    assert means(outcomes)["metrics", "yes_rate"] == 2 / 3


def test_numbers_per_count_of_events(make_outcome: Make) -> None:
    outcomes = [make_outcome("f:a", right=True, events=1), make_outcome("f:b", right=False, events=4)]
    outcomes.append(make_outcome("f:c", right=True, events=4, aspect="static"))
    found = means(outcomes)
    assert (found["events", "1", "temporal"], found["events", "4", "temporal"], found["events", "4", "static"]) == (1.0, 0.0, 1.0)
    assert found["events", "4", "order"] == 0.0


def test_chance_is_blind_guessing(make_outcome: Make) -> None:
    three = ("left", "right", "up")
    outcomes = [make_outcome("f:a", right=True, group="x"), make_outcome("f:b", right=True, group="x", answer="right")]
    outcomes.append(make_outcome("f:c", right=True, options=three))
    blind = chance(outcomes, BENCHMARK)
    assert blind["order"] == pytest.approx((0.5 + 0.5 + 1 / 3) / 3)
    assert blind["temporal_strict"] == pytest.approx(0.25)


def test_order_of_questions_changes_no_mean(make_outcome: Make) -> None:
    outcomes = [make_outcome(f"f{i % 5}:{i}", right=i % 3 == 0, group=f"g{i // 2}" if i < 20 else None) for i in range(40)]
    shuffled = random.Random(0).sample(outcomes, len(outcomes))
    assert means(shuffled) == means(outcomes)


def video_llava(data: Path, task: str, make: Make) -> list[Outcome]:
    """The stored ratings of video-llava on TempCompass; siblings are videos cut from the same source clips (188 families)."""
    rated = json.loads((data / "tempcompass" / "auto_eval_results" / "video-llava" / f"{task}.json").read_text())
    sources = {video: re.sub(r"_(reverse|concat_\d|\d)$", "", video).split("_") for video in rated}
    family = {source: source for names in sources.values() for source in names}
    for names in sources.values():
        joined = {family[source] for source in names}
        family = {source: min(joined) if name in joined else name for source, name in family.items()}
    answers: dict[tuple[str, ...], set[str]] = {}
    rows = []
    for video, aspects in rated.items():
        for aspect, asked in aspects.items():
            for number, row in enumerate(asked):
                place = (family[sources[video][0]], aspect, row["question"])
                answers.setdefault(place, set()).add(row["gt-answer"])
                rows.append((f"{video}:{aspect}:{number}", place, row))
    outcomes = []
    for name, place, row in rows:
        said = row["video-llm-prediction"].strip()[:1]
        changes = {"family": place[0], "aspect": place[1], "answer": row["gt-answer"], "choice": said, "reply": said}
        group = "|".join(place) if len(answers[place]) > 1 else None
        options = tuple(row["question"].split("\n")[1:])
        outcomes.append(make(name, right=row["rating"] == 1, group=group, options=options, **changes))
    return outcomes


def test_video_llava_on_tempcompass_knows_nothing_of_time(shared_data: Path, make_outcome: Make) -> None:
    """45.6 % right, but 2.7 % of 298 conflict groups, and the same answer in 93.0 % of them; chance would be 8.5 %."""
    outcomes = video_llava(shared_data, "multi-choice", make_outcome)
    columns = columns_of(outcomes, BENCHMARK)
    estimates = cluster_bootstrap(columns, seed=0)
    strict, same = estimates["metrics", "temporal_strict"], estimates["metrics", "same_answer_rate"]
    assert (strict.n, estimates["metrics", "accuracy"].clusters) == (298, 188)
    assert [round(100 * e.value, 1) for e in (estimates["metrics", "accuracy"], strict, same)] == [45.6, 2.7, 93.0]
    assert estimates["metrics", "accuracy"].standard_error == pytest.approx(0.0143, abs=0.0003)
    assert estimates["aspects", "direction", "strict"].value == estimates["aspects", "speed", "strict"].value == 0.0
    assert chance(outcomes, BENCHMARK)["temporal_strict"] == pytest.approx(0.085, abs=0.0005)
