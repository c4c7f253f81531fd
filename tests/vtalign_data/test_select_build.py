"""The last filters and the card in a real build: one that is done up to its scores goes on with other thresholds."""

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import datasets
import pytest
import yaml
from huggingface_hub import DatasetCard

from vtalign.cli.build_evidence import build_report
from vtalign.errors import InputError, RunFailed
from vtalign.preference.schema import read_pairs
from vtalign.report.build_report import write_build_report
from vtalign_data.build import run_build
from vtalign_data.config import BuildConfig
from vtalign_data.pairs import put_pairs
from vtalign_data.stage import Stage
from vtalign_data.summary import BuildSummary

MakeConfig = Callable[..., BuildConfig]


def begun(built: BuildSummary, out: Path, dropped: tuple[str, ...] = (), **changes: dict | None) -> Path:
    """A copy of a build that was killed before its last stages; `changes` of its settings, None: unknown to its release."""
    shutil.copytree(built.out, out)
    for folder in ("pairs", "stages/11-select", *dropped):
        shutil.rmtree(out / folder)
    (out / "summary.json").unlink()
    record = yaml.safe_load((out / "run.yaml").read_text())
    for name, values in changes.items():
        if values is None:
            del record["config"][name]
        else:
            record["config"][name].update(values)
    (out / "run.yaml").write_text(yaml.safe_dump(record, sort_keys=False))
    return out


@pytest.fixture(scope="module")
def wordy(built: BuildSummary, make_config: MakeConfig, tmp_path_factory: pytest.TempPathFactory) -> BuildSummary:
    """The same videos and descriptions, with so many words around them that shuffled responses are much alike; no pair is balanced
    away."""
    settings = {
        "composer": {
            "first": "The very first thing that this video shows is {0}.",
            "middle": "The next thing that this video shows is {0}.",
            "last": "The very last thing that this video shows is {0}.",
        },
        "balance": {"max_accuracy": 1.0},
    }
    out = tmp_path_factory.mktemp("wordy") / "run"
    begun(built, out, ("stages/07-responses", "stages/08-filter", "stages/09-balance", "stages/10-score"), **settings)
    return run_build(make_config(out, **settings))


@pytest.fixture(scope="module")
def make_wordy(wordy: BuildSummary, make_config: MakeConfig) -> MakeConfig:
    """The config of a build that goes on from the scores of `wordy`, with thresholds of its own."""
    recorded = yaml.safe_load((wordy.out / "run.yaml").read_text())["config"]

    def make(out: Path, select: dict) -> BuildConfig:
        begun(wordy, out, score_filters=select)
        return make_config(out, score_filters=select, **{name: recorded[name] for name in ("composer", "balance")})

    return make


def test_every_rule_removes_something_and_the_report_and_the_card_say_so(
    wordy: BuildSummary, make_wordy: MakeConfig, tmp_path: Path
) -> None:
    before = read_pairs(wordy.pairs_folder)
    scores = [pair.scores for pair in before if pair.scores is not None]
    divergences = sorted(score.divergence for score in scores if score.divergence is not None)
    margins = sorted(score.margin for score in scores)
    # at the quantiles of the random model's scores: no other threshold would mean anything
    limits = {"min_divergence": divergences[len(divergences) // 8], "max_margin": margins[-len(margins) // 8]}
    config = make_wordy(tmp_path / "run", {**limits, "drop_top_ches": 0.1, "near_duplicate": 0.3})
    summary = run_build(config)
    stage = summary.stages[-1]
    assert stage.name == "11-select" and set(stage.filtered) == {"false_rejection", "margin", "ches", "near_duplicate"}
    assert stage.kept + stage.lost == wordy.pairs and stage.kept == summary.pairs > 0
    lost = Stage(tmp_path / "run" / "stages" / "11-select", None, "pair").rejected()
    pairs = read_pairs(summary.pairs_folder)
    assert sorted([pair.pair_id for pair in pairs] + [loss.id for loss in lost]) == [pair.pair_id for pair in before]
    assert Counter(loss.reason for loss in lost) == stage.filtered and all(loss.detail for loss in lost)
    assert all(
        pair.scores.divergence >= limits["min_divergence"] and pair.scores.margin <= limits["max_margin"] for pair in pairs
    )
    assert summary.lengths["after"]["pairs"] == summary.statistics["pairs"] == len(pairs)
    card = (summary.pairs_folder / "README.md").read_text()
    write_build_report(tmp_path / "report.html", build_report(summary.to_dict(), config))
    page = (tmp_path / "report.html").read_text()
    for reason, count in stage.filtered.items():
        assert f"|  |  |  | {count} |  | {reason} |" in card and reason in page
    assert "first_token_kl" in page and str(tmp_path) not in card


def test_pairs_of_an_earlier_release_get_their_card(built: BuildSummary, make_config: MakeConfig, tmp_path: Path) -> None:
    shutil.copytree(built.out, tmp_path / "run")
    (tmp_path / "run" / "pairs" / "README.md").unlink()
    run_build(make_config(tmp_path / "run"))
    assert files_of(tmp_path / "run" / "pairs") == files_of(built.pairs_folder)
    (tmp_path / "run" / "pairs" / "README.md").unlink()
    with pytest.raises(InputError, match=rf"holds {built.pairs} pairs of an earlier release, this one selects 0"):
        put_pairs(tmp_path / "run" / "pairs", [], {}, str)


def test_a_rule_that_takes_all_pairs_is_named(wordy: BuildSummary, make_wordy: MakeConfig, tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match=rf"no pairs left: 11-select lost {wordy.pairs} of \d+ pairs to 'ches'"):
        run_build(make_wordy(tmp_path / "run", {"max_ches": -1e9}))
    assert not (tmp_path / "run" / "pairs").exists()


def test_the_folder_loads_with_its_card(built: BuildSummary, tmp_path: Path) -> None:
    folder, cache = str(built.pairs_folder), str(tmp_path)
    by_card = datasets.load_dataset(folder, split="train", cache_dir=cache)
    by_files = datasets.load_dataset("parquet", data_dir=folder, split="train", cache_dir=cache)
    assert len(by_card) == len(by_files) == built.pairs and by_card.column_names == by_files.column_names
    card = DatasetCard.load(built.pairs_folder / "README.md")
    assert card.data.size_categories == ["n<1K"] and built.fingerprint in card.text


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}
