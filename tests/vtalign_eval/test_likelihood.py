import json
import math
import shutil
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from vtalign.errors import InputError
from vtalign.models.requests import Row
from vtalign.models.video_lm import VideoLM
from vtalign.video.frames import FrameStore
from vtalign.video.isolated import DecodeWorkers
from vtalign_eval.benchmarks import find_benchmark
from vtalign_eval.benchmarks.temporal_shapes import load
from vtalign_eval.check import check_eval
from vtalign_eval.compare import compare_runs
from vtalign_eval.config import EvalConfig
from vtalign_eval.likelihood import LIKELIHOODS, LikelihoodLog, OptionScores, likely_option, score_options, undecided
from vtalign_eval.outcomes import Outcome, read_samples
from vtalign_eval.paired import paired_columns
from vtalign_eval.predict import Question, prompt_of
from vtalign_eval.run import run_eval
from vtalign_eval.tempcompass.questions import load_questions
from vtalign_eval.tempcompass.rules import match
from vtalign_eval.views import ShownVideos, show

SHAPES, TEMPCOMPASS = find_benchmark("temporal-shapes"), find_benchmark("tempcompass")
SAMPLES = "samples_temporal-shapes.jsonl"
Make = Callable[..., EvalConfig]


def scores(*logps: tuple[float, ...]) -> OptionScores:
    return OptionScores(logps, tuple(tuple(1 for _ in spelled) for spelled in logps))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (scores((-3.0,), (-2.0,), (-9.0,)), "b"),
        # replies that say the same add up: log(.2 + .2) is above log(.3)
        (scores((math.log(0.2), math.log(0.2)), (math.log(0.3), math.log(1e-9)), (-9.0, -9.0)), "a"),
        # no division by length: a long reply of a high mean log-prob is still less likely
        (OptionScores(((-4.0,), (-5.0,), (-9.0,)), ((2,), (20,), (2,))), "a"),
        (scores((-2.0,), (-2.0,), (-9.0,)), None),
        (scores((-2.0,), (-2.0 + 1e-5,), (-9.0,)), None),
        (scores((-2.0,), (-2.0 + 1e-2,), (-9.0,)), "b"),
        (scores((-2.0,), (-9.0,), (math.nan,)), None),
        (scores((math.nan,), (-1.0,), (-9.0,)), None),
        (scores((-math.inf,), (-math.inf,), (-math.inf,)), None),
    ],
)
def test_the_most_probable_option_and_no_guess_in_a_tie(given: OptionScores, expected: str | None) -> None:
    assert likely_option(("a", "b", "c"), given) == expected
    mirrored = OptionScores(given.logps[::-1], given.tokens[::-1])
    assert likely_option(("c", "b", "a"), mirrored) == expected, "the order of options decides nothing"


def test_a_benchmark_of_its_own_is_answered_with_the_options_words() -> None:
    assert SHAPES.spellings("left to right", "") == ("left to right",)


def test_tempcompass_is_answered_as_its_rules_read_it(tempcompass_like: Path) -> None:
    assert TEMPCOMPASS.spellings("B. right", "multi-choice") == ("B", "B. right")
    assert TEMPCOMPASS.spellings("no", "yes_no") == ("no", "no.", "No", "No.")
    assert TEMPCOMPASS.spellings("Option 2: It goes.", "caption_matching") == ("2", "Option 2", "Option 2: It goes.")
    require_read_as_meant(tempcompass_like)


def test_all_spellings_of_all_questions_are_read_by_the_published_rules(shared_data: Path) -> None:
    assert require_read_as_meant(shared_data / "tempcompass") == 5536


def require_read_as_meant(data: Path) -> int:
    """Every reply that is scored for an option is one that the rules read as that option, and as right where it is."""
    asked = [item for item in load_questions(data) if item.options]
    for item in asked:
        assert len({len(TEMPCOMPASS.spellings(option, item.task)) for option in item.options}) == 1
        for option in item.options:
            for text in TEMPCOMPASS.spellings(option, item.task):
                found = match(text, item)
                assert found is not None and found.correct == (option == item.answer.strip()), (item.question_id, text)
    return len(asked)


@pytest.fixture
def tempcompass_like(tmp_path: Path, shapes: Path) -> Path:
    """A question of each task about videos that are there."""
    folder = tmp_path / "tempcompass"
    (folder / "questions").mkdir(parents=True)
    shutil.copytree(shapes / "videos", folder / "videos")
    choice = {"question": "Which way?\nA. left\nB. right\nC. left to right", "answer": "B. right"}
    caption = {"question": "Which fits?\nOption 1: It goes left.\nOption 2: It goes.", "answer": "Option 2: It goes."}
    rows = {
        "multi-choice": choice,
        "yes_no": {"question": "Left?", "answer": "no"},
        "caption_matching": caption,
        "captioning": {"question": "Generated Caption:", "answer": "B. right"},
    }
    for task, row in rows.items():
        (folder / "questions" / f"{task}.json").write_text(json.dumps({"f0-a": {"direction": [row]}}))
    return folder


@pytest.fixture
def asked(shapes: Path) -> list[Question]:
    return [Question(f"key-{item.question_id}", item, item.question, 6) for item in load(shapes)]


@pytest.fixture
def shown(lm: VideoLM, workers: DecodeWorkers, shapes: Path, asked: list[Question]) -> ShownVideos:
    return show(shapes, sorted({q.item.video for q in asked}), lm.policy, "none", 0, workers, lambda _: None)


@pytest.fixture
def store(lm: VideoLM, workers: DecodeWorkers, shapes: Path, shown: ShownVideos) -> FrameStore:
    return FrameStore(shapes, shown.paths, lm.policy, workers=workers)


def test_scores_are_those_of_every_option_in_a_row_of_its_own(
    lm: VideoLM, asked: list[Question], shown: ShownVideos, store: FrameStore
) -> None:
    found = score_options(lm, asked, SHAPES, shown, store, 64)
    for question, given in zip(asked, found, strict=True):
        for option, (logp,), (tokens,) in zip(question.item.options, given.logps, given.tokens, strict=True):
            ((alone,),) = lm.score([Row(prompt_of(question, shown), (option,))], store)
            assert (logp, tokens) == (pytest.approx(alone.total, abs=1e-4), alone.count)
    assert len({likely_option(q.item.options, s) for q, s in zip(asked, found, strict=True)}) == 2


@pytest.mark.parametrize("batch_size", [1, 5])
def test_neither_order_nor_batch_size_changes_a_choice(
    lm: VideoLM, asked: list[Question], shown: ShownVideos, store: FrameStore, batch_size: int
) -> None:
    expected = dict(zip([q.key for q in asked], score_options(lm, asked, SHAPES, shown, store, 64), strict=True))
    turned = asked[::-1]
    for question, given in zip(turned, score_options(lm, turned, SHAPES, shown, store, batch_size), strict=True):
        assert likely_option(question.item.options, given) == likely_option(question.item.options, expected[question.key])
        for ours, theirs in zip(given.logps, expected[question.key].logps, strict=True):
            assert ours == pytest.approx(theirs, abs=1e-4)


def test_the_log_scores_what_is_missing_and_only_that(
    lm: VideoLM, asked: list[Question], shown: ShownVideos, store: FrameStore, tmp_path: Path
) -> None:
    path = tmp_path / LIKELIHOODS
    LikelihoodLog(path, SHAPES).add(lm, asked[:5], shown, store, 2)
    path.write_bytes(path.read_bytes()[:-9])
    log = LikelihoodLog(path, SHAPES)
    assert log.missing(asked) == asked[4:]
    # another rank takes over; what is there is not scored again
    LikelihoodLog(path, SHAPES, rank=1).add(lm, asked, shown, store, 64)
    assert LikelihoodLog(path, SHAPES).missing(asked) == []
    assert len((tmp_path / "likelihoods.rank-1.jsonl").read_text().splitlines()) == 20
    row = json.loads(path.read_text().splitlines()[0])
    assert (
        row["question_id"] == "f0-a:order" and row["options"] == ["left", "right"] and row["spellings"] == [["left"], ["right"]]
    )
    assert len(row["logps"]) == len(row["tokens"]) == 2
    (tmp_path / LIKELIHOODS).write_text('{"key": "x"}\n')
    with pytest.raises(InputError, match=r"likelihoods\.jsonl; remove the file.*logps"):
        LikelihoodLog(path, SHAPES)


def test_a_run_has_columns_of_their_own_and_everything_else_as_before(make_config: Make) -> None:
    text = StringIO()
    plain, config = make_config(out="plain"), make_config(likelihood=True, batch_size=5)
    before = run_eval(plain, Console(quiet=True))["vtalign"]
    found = run_eval(config, Console(file=text, width=140))["vtalign"]
    assert "temporal, by likelihood" in text.getvalue() and "static, by likelihood" in text.getvalue()
    extra = {"temporal_likelihood", "static_likelihood"}
    assert found["metrics"].keys() - before["metrics"].keys() == extra and before["metrics"].keys() <= found["metrics"].keys()
    assert all(found["metrics"][name] == number for name, number in before["metrics"].items())
    assert found["aspects"]["order"]["likelihood"]["n"] == 8 and "likelihood" not in before["aspects"]["order"]
    assert found["likelihood"] == {"normalisation": "none", "undecided": 0} and "likelihood" not in before
    assert "likely" not in (plain.out / SAMPLES).read_text() and not (plain.out / LIKELIHOODS).exists()
    outcomes = read_samples(config.out / SAMPLES)
    right = [o.likely_correct for o in outcomes if o.aspect != "static"]
    assert found["metrics"]["temporal_likelihood"]["value"] == sum(map(bool, right)) / 16
    # the rows choose what the runner chose
    logged = {row["question_id"]: row for row in map(json.loads, (config.out / LIKELIHOODS).read_text().splitlines())}
    for outcome in outcomes:
        row = logged[outcome.question_id]
        best = max(zip(row["logps"], row["options"], strict=True))[1]
        assert (outcome.likely_choice, outcome.likely_correct) == (best, best == outcome.answer)


def test_a_finished_or_killed_run_is_given_likelihoods_later(make_config: Make, quiet: Console) -> None:
    whole, later = make_config(out="whole", likelihood=True), make_config(out="later")
    expected = run_eval(whole, quiet)
    run_eval(later, quiet)
    scored = later.model_copy(update={"likelihood": True})
    again = run_eval(scored, quiet)
    assert json.loads((later.out / "timing.json").read_text())["answered"] == 0
    assert (later.out / SAMPLES).read_bytes() == (whole.out / SAMPLES).read_bytes() and again == expected
    log = later.out / LIKELIHOODS
    log.write_bytes(log.read_bytes()[: log.stat().st_size // 2])
    (later.out / "predictions.jsonl").write_bytes((later.out / "predictions.jsonl").read_bytes()[:900])
    assert run_eval(scored, quiet) == expected
    assert (later.out / SAMPLES).read_bytes() == (whole.out / SAMPLES).read_bytes()


def test_tempcompass_is_scored_but_for_its_captions(make_config: Make, tempcompass_like: Path, quiet: Console) -> None:
    config = make_config(benchmark="tempcompass", data=tempcompass_like, likelihood=True, controls=("text",))
    found = run_eval(config, quiet)["vtalign"]
    assert {task: numbers["likelihood"]["n"] for task, numbers in found["tasks"].items()} == {
        "multi-choice": 1,
        "yes_no": 1,
        "caption_matching": 1,
    }
    rows = [json.loads(line) for line in (config.out / LIKELIHOODS).read_text().splitlines()]
    assert {row["question_id"].split(":")[0]: [len(group) for group in row["logps"]] for row in rows} == {
        "multi-choice": [2, 2, 2],
        "yes_no": [4, 4],
        "caption_matching": [3, 3],
    }
    assert found["gains"]["text"]["metrics"]["temporal_likelihood"].keys() >= {"control", "gain"}


def test_a_video_that_cannot_be_read_is_wrong_by_likelihood_too(make_config: Make, shapes: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "videos").mkdir(parents=True)
    (data / "questions.jsonl").write_bytes((shapes / "questions.jsonl").read_bytes())
    for video in (shapes / "videos").iterdir():
        (data / "videos" / video.name).write_bytes(b"" if video.name == "f0-a.mp4" else video.read_bytes())
    config = make_config(data=data, likelihood=True)
    found = run_eval(config, Console(quiet=True))["vtalign"]
    assert found["metrics"]["temporal_likelihood"]["n"] == 16 and found["likelihood"]["undecided"] == 0
    lost = [o for o in read_samples(config.out / SAMPLES) if o.failure]
    assert len(lost) == 3 and all((o.likely_choice, o.likely_correct) == (None, False) for o in lost)


def test_check_and_gate_know_the_metric(make_config: Make, quiet: Console) -> None:
    assert "temporal_likelihood" in check_eval(make_config(likelihood=True, fail_on="temporal_likelihood"))
    with pytest.raises(InputError, match="fail_on 'temporal_likelihood'"):
        check_eval(make_config(fail_on="temporal_likelihood"))


@pytest.mark.slow
def test_a_comparison_shows_the_columns_where_both_runs_have_them(make_config: Make, quiet: Console) -> None:
    plain, scored, blind = make_config(out="a"), make_config(out="b", likelihood=True), make_config(out="c", likelihood=True)
    for config in (plain, scored, blind.model_copy(update={"control": "text"})):
        run_eval(config, quiet)
    for a, b in ((plain, scored), (scored, plain)):
        assert "temporal_likelihood" not in compare_runs(a.out, b.out, console=quiet)["metrics"]
    text = StringIO()
    both = compare_runs(scored.out, blind.out, force=True, console=Console(file=text, width=160))
    assert both["metrics"]["temporal_likelihood"]["n"] == 16 and "temporal, by likelihood" in text.getvalue()


def test_questions_are_paired_where_both_runs_were_asked(make_outcome: Callable[..., Any]) -> None:
    """Also in a pooled comparison, of which one pair of runs has likelihoods and the others have them on one side or none."""
    likely = [make_outcome(f"f{n}:a", right=True, likely_correct=n < 2) for n in range(4)]
    plain = [make_outcome(f"f{n}:a", right=True) for n in range(4)]
    key = ("metrics", "temporal_likelihood")
    for a, b in ((likely, plain), (plain, likely), (plain, plain)):
        assert key not in paired_columns(list(zip(a, b, strict=True)), SHAPES)
    a, b = paired_columns([*zip(likely, likely[::-1], strict=True), *zip(plain, likely, strict=True)], SHAPES)[key]
    assert a.values.tolist() == [1, 1, 0, 0] and b.values.tolist() == [0, 0, 1, 1]


def test_ties_are_counted(make_outcome: Callable[..., Any]) -> None:
    tied: Outcome = make_outcome("f:a", right=True, likely_correct=False)
    lost = make_outcome("f:b", right=False, likely_correct=False, failure="missing")
    assert undecided([tied, lost, make_outcome("f:c", right=True)]) == 1
