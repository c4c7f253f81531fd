from pathlib import Path

import pytest
import yaml
from huggingface_hub import DatasetCard

from vtalign_data.card import BuildFacts, dataset_card, size_category
from vtalign_data.config import BuildConfig
from vtalign_data.pair_statistics import Distribution, PairStatistics
from vtalign_data.stage import StageCounts

STATISTICS = PairStatistics(
    pairs=1200,
    groups=300,
    videos=40,
    counts={"source": {"self": 900, "text": 300}, "strength": {"16": 1000, "2": 200}},
    distributions={"ches": Distribution(1200, (-3.0, -2.5, -2.0, -1.5, -1.0, -0.5, 0.123456)), "divergence": Distribution(0, ())},
)
LENGTHS = {
    "pairs": 1200,
    "mean_gap_chars": -0.25,
    "mean_gap_tokens": 0.5,
    "chosen_longer": 600,
    "chosen_shorter": 590,
    "accuracy": 0.515,
}


@pytest.fixture
def facts() -> BuildFacts:
    config = BuildConfig(videos=Path("/home/someone/videos"), model="/models/tiny", out=Path("/scratch/run"), workers=7)
    stages = (
        StageCounts("01-scan", "file", 50, {}, {}),
        StageCounts("08-filter", "pair", 1300, {"identical": 7, "a|b": 3}, {"torn": 1}),
    )
    versions = {"vtalign": "0.1.0", "torch": "2.11"}
    return BuildFacts(config, versions, "model-0123", {"shuffle-16": 1200}, stages, {"after balancing": LENGTHS})


def test_the_front_matter_is_what_the_hub_reads(facts: BuildFacts) -> None:
    data = DatasetCard(dataset_card(facts, STATISTICS)).data.to_dict()
    assert data["license"] == "unknown" and data["task_categories"] == ["video-text-to-text"]
    assert data["size_categories"] == ["1K<n<10K"] and "preference" in data["tags"]
    assert data["configs"] == [{"config_name": "default", "data_files": [{"split": "train", "path": "*.parquet"}]}]


def test_counts_losses_distributions_and_lengths_are_there(facts: BuildFacts) -> None:
    lines = dataset_card(facts, STATISTICS).splitlines()
    for line in (
        "| self | 900 |",
        "| 16 | 1,000 |",
        "| shuffle-16 | 1,200 |",
        "| 08-filter | pairs | 1,300 |  |  |  |",
        "|  |  |  | 7 |  | identical |",
        "|  |  |  | 3 |  | a\\|b |",
        "|  |  |  |  | 1 | torn |",
        "|  | measured | 0% | 5% | 25% | 50% | 75% | 95% | 100% |",
        "| ches | 1,200 | -3 | -2.5 | -2 | -1.5 | -1 | -0.5 | 0.1235 |",
        "| divergence | 0 |  |  |  |  |  |  |  |",
        "| after balancing | 1,200 | -0.25 | +0.50 | 600 | 590 | 51.5% |",
        "vtalign 0.1.0, torch 2.11",
    ):
        assert line in lines, line


def test_the_card_says_nothing_of_the_machine(facts: BuildFacts) -> None:
    card = dataset_card(facts, STATISTICS)
    settings = yaml.safe_load(card.split("```yaml\n")[1].split("```")[0])
    assert settings["videos"] == "videos" and settings["model"] == "tiny" and settings["score_filters"]["max_ches"] is None
    assert not {"out", "workers", "frame_cache", "model_batch_size"} & set(settings)
    assert not [word for word in ("/home", "/models", "/scratch") if word in card]


@pytest.mark.parametrize(
    ("pairs", "category"),
    [(0, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (999_999, "100K<n<1M"), (10**8, "100M<n<1B")],
)
def test_size_categories(pairs: int, category: str) -> None:
    assert size_category(pairs) == category
