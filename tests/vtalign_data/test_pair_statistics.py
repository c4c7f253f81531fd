from dataclasses import replace
from pathlib import Path

from vtalign.preference.pair import VIEW_KIND
from vtalign.preference.schema import read_pairs, write_pairs
from vtalign_data.pair_statistics import Distribution, pair_statistics
from vtalign_data.summary import BuildSummary

from .scored import SCORES


def test_statistics_are_those_of_the_pairs(built: BuildSummary) -> None:
    pairs, found = read_pairs(built.pairs_folder), pair_statistics(built.pairs_folder)
    assert built.statistics == found.to_dict() and (found.pairs, found.groups) == (built.pairs, built.groups)
    assert found.videos == len({pair.video_id for pair in pairs}) and found.counts["kind"] == built.by_kind
    assert sum(found.counts["strength"].values()) == len(pairs)
    characters = found.distributions["characters_chosen"]
    assert characters.measured == len(pairs) and characters.values[0] == min(len(pair.chosen) for pair in pairs)
    assert {distribution.measured for distribution in found.distributions.values()} == {len(pairs)}, "every score is measured"


def test_what_was_not_measured_is_not_counted(built: BuildSummary, tmp_path: Path) -> None:
    first, second, third = read_pairs(built.pairs_folder)[:3]
    assert first.perturbation is not None
    write_pairs(
        tmp_path,
        [
            replace(first, scores=SCORES, perturbation=replace(first.perturbation, strength=2), kind="order", source="text"),
            replace(second, scores=replace(SCORES, divergence=None), perturbation=None, kind="order", source="self"),
            replace(
                third,
                scores=replace(SCORES, divergence=0.4),
                perturbation=replace(first.perturbation, strength=16),
                kind=VIEW_KIND,
                source="self",
            ),
        ],
    )
    found = pair_statistics(tmp_path)
    assert found.counts["strength"] == {"16": 1, "2": 1, "none": 1} and list(found.counts["strength"]) == ["16", "2", "none"]
    assert found.counts["source"] == {"self": 2, "text": 1}
    divergence = found.distributions["divergence"]
    assert divergence.measured == 2 and (divergence.values[0], divergence.values[-1]) == (0.2, 0.4)
    assert abs(divergence.values[3] - 0.3) < 1e-12, "the median"
    margin = found.distributions["margin"]
    assert margin.measured == 3 and (margin.values[0], margin.values[3]) == (1.0, 2.0), "of views: clean less perturbed"
    assert found.distributions["ches"] == Distribution(3, (-1.0,) * 7)
