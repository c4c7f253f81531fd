"""`pairs/README.md`: the dataset card (https://huggingface.co/docs/hub/datasets-cards) of the pairs of a build.

It says nothing of the machine or the time: the same build gives the same card.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from huggingface_hub import DatasetCardData

from vtalign.cards import markdown_table, portable, portable_model
from vtalign_data.config import BuildConfig
from vtalign_data.pair_statistics import QUANTILES, PairStatistics
from vtalign_data.stage import StageCounts

# The Hub's own size categories: pairs below -> category.
_SIZES = {10**3: "n<1K", 10**4: "1K<n<10K", 10**5: "10K<n<100K", 10**6: "100K<n<1M", 10**7: "1M<n<10M", 10**8: "10M<n<100M"}

_LOADING = """```python
from datasets import load_dataset

pairs = load_dataset("THIS_FOLDER", split="train")  # rows: prompt, chosen, rejected, view, scores, ..

from vtalign import read_pairs

pairs = read_pairs("THIS_FOLDER")
```"""

_LIMITS = """- Nobody has checked the pairs. What is chosen follows from how a pair was made, not from a person's judgement: a model's own
  description of a clip may be wrong on both sides, and the chosen side is no ground truth about a video.
- Scores are those of this model on these frames. They say nothing of another model, and log-probs, divergences and CHES of different
  models are not to be compared.
- Strength and difficulty are nominal unless scored again: they say how a pair was made, not how hard it is for your model.
- How often each perturbation occurs follows from the settings. It says nothing about videos.
- The length test sees lengths alone. That it finds nothing does not rule out other traits of the text that give a side away.
- The pairs are for training. An accuracy on them is no measure of temporal understanding, and videos that they use are spent for
  evaluation (`vtalign eval contamination` looks for overlaps).
- The videos are not part of this data set, and it takes no view on their licence: find out before you publish."""


@dataclass(frozen=True)
class BuildFacts:
    """What the card tells of a build besides its pairs. `lengths`: state -> `LengthReport` as a dict, in order."""

    config: BuildConfig
    versions: Mapping[str, str]
    fingerprint: str
    by_perturbation: Mapping[str, int]
    stages: Sequence[StageCounts]
    lengths: Mapping[str, Mapping[str, Any]]


def dataset_card(build: BuildFacts, statistics: PairStatistics) -> str:
    """The text of README.md in a folder of pairs."""
    config = build.config
    settings = portable(config.result_settings("python"))
    counted = {**statistics.counts, "perturbation with options": build.by_perturbation}
    parts = [
        f"---\n{_front_matter(statistics.pairs).to_yaml()}\n---",
        "# Temporal preference pairs",
        f"{statistics.pairs:,} preference pairs in {statistics.groups:,} groups, of {statistics.videos:,} videos, made by "
        f"`vtalign data build`. Each has a prompt on a video, a chosen and a rejected response, and the frames that were shown. "
        f"{_models(config)}. Fingerprint: {build.fingerprint}. Seed: {config.seed}.",
        "## How to load it",
        _LOADING,
        "## Counts",
        *(_counts(column, counts) for column, counts in counted.items()),
        "## What each stage lost",
        markdown_table(["stage", "of", "kept", "filtered", "failed", "reason"], _loss_rows(build.stages)),
        "## Distributions",
        "Log-probs, margins, divergence and KL in nats, summed over tokens except the divergence, which is their mean; CHES is "
        "length-normalised; margin = log p(chosen) - log p(rejected) on the clean view (kind `view`: log p(chosen) on the "
        "clean less on the perturbed view).",
        markdown_table(["", "measured", *(f"{quantile:.0%}" for quantile in QUANTILES)], _distribution_rows(statistics)),
        "## Lengths",
        "How often a classifier that sees lengths alone is right (held-out videos; 50 % is blind), chosen less rejected on average:",
        markdown_table(["", "pairs", "characters", "tokens", "chosen longer", "shorter", "right"], _length_rows(build.lengths)),
        "## What not to conclude",
        _LIMITS,
        "## Settings",
        f"```yaml\n{yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)}```",
        "## Versions",
        ", ".join(f"{name} {found}" for name, found in build.versions.items()),
    ]
    return "\n\n".join(parts) + "\n"


def _models(config: BuildConfig) -> str:
    """Who wrote what is in the pairs, and who scored them."""
    writer = f"`{portable_model(config.writer)}`" + (" on a server" if config.server else "")
    if config.model is None:
        return f"{writer} wrote; the pairs have no scores"
    scorer = f"`{portable_model(config.model)}`"
    return f"{writer} wrote, {scorer} scored both sides" if config.server else f"{scorer} wrote and scored both sides"


def size_category(pairs: int) -> str:
    """As the Hub names it: `n<1K`, `1K<n<10K`, .."""
    return next((category for limit, category in _SIZES.items() if pairs < limit), "100M<n<1B")


def _front_matter(pairs: int) -> DatasetCardData:
    return DatasetCardData(
        pretty_name="Temporal preference pairs",
        license="unknown",
        task_categories=["video-text-to-text"],
        size_categories=[size_category(pairs)],
        tags=["vtalign", "video", "preference", "dpo", "temporal"],
        configs=[{"config_name": "default", "data_files": [{"split": "train", "path": "*.parquet"}]}],
    )


def _counts(column: str, counts: Mapping[str, int]) -> str:
    return markdown_table([column, "pairs"], [[value, f"{count:,}"] for value, count in counts.items()])


def _loss_rows(stages: Sequence[StageCounts]) -> list[list[str]]:
    rows = []
    for stage in stages:
        rows.append([stage.name, f"{stage.unit}s", f"{stage.kept:,}", "", "", ""])
        rows += [["", "", "", f"{count:,}", "", reason] for reason, count in stage.filtered.items()]
        rows += [["", "", "", "", f"{count:,}", reason] for reason, count in stage.failed.items()]
    return rows


def _distribution_rows(statistics: PairStatistics) -> list[list[str]]:
    empty = [""] * len(QUANTILES)
    return [
        [name, f"{found.measured:,}", *([f"{value:.4g}" for value in found.values] or empty)]
        for name, found in statistics.distributions.items()
    ]


def _length_rows(lengths: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    return [
        [
            state,
            f"{report['pairs']:,}",
            f"{report['mean_gap_chars']:+.2f}",
            f"{report['mean_gap_tokens']:+.2f}",
            f"{report['chosen_longer']:,}",
            f"{report['chosen_shorter']:,}",
            "" if report["accuracy"] is None else f"{report['accuracy']:.1%}",
        ]
        for state, report in lengths.items()
    ]
