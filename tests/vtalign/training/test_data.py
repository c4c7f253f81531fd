from pathlib import Path
from typing import Any

import pytest

from vtalign.errors import InputError
from vtalign.preference.pair import PreferencePair
from vtalign.preference.schema import write_pairs
from vtalign.training.config import DPOStage
from vtalign.training.data import data_hash, read_pair_examples


def dpo_stage(data: Path, **settings: Any) -> DPOStage:
    return DPOStage.model_validate({"kind": "dpo", "name": "dpo", "data": data, "learning_rate": 1e-5, **settings})


def test_pairs_as_they_are(pairs_folder: Path, example_pairs: list[PreferencePair]) -> None:
    examples = read_pair_examples(dpo_stage(pairs_folder), seed=0)
    assert [e.id for e in examples] == sorted(p.pair_id for p in example_pairs)
    assert all((e.chosen, e.rejected) == (e.pair.chosen, e.pair.rejected) and not e.swapped for e in examples)


def test_random_labels_swap_about_half_and_depend_on_the_seed_alone(pairs_folder: Path) -> None:
    stage = dpo_stage(pairs_folder, labels="random")
    swapped = {seed: [e.swapped for e in read_pair_examples(stage, seed)] for seed in range(20)}
    share = sum(map(sum, swapped.values())) / sum(map(len, swapped.values()))
    assert 0.42 < share < 0.58
    assert swapped[0] == [e.swapped for e in read_pair_examples(stage, 0)] != swapped[1]
    for example in read_pair_examples(stage, 0):
        sides = (example.pair.chosen, example.pair.rejected)
        assert (example.chosen, example.rejected) == (sides[::-1] if example.swapped else sides)


def test_only_some_strengths(pairs_folder: Path) -> None:
    examples = read_pair_examples(dpo_stage(pairs_folder, strengths=[4]), seed=0)
    assert {e.pair.perturbation.strength for e in examples if e.pair.perturbation} == {4}
    with pytest.raises(InputError, match="strength of 16"):
        read_pair_examples(dpo_stage(pairs_folder, strengths=[16]), seed=0)


def test_no_pairs_is_said(tmp_path: Path) -> None:
    write_pairs(tmp_path, [])
    with pytest.raises(InputError, match="holds no pairs"):
        read_pair_examples(dpo_stage(tmp_path), seed=0)


def test_a_hash_of_files_by_content(pairs_folder: Path, tmp_path: Path, example_pairs: list[PreferencePair]) -> None:
    write_pairs(tmp_path, example_pairs[:3])
    before = data_hash(tmp_path)
    write_pairs(tmp_path, example_pairs[:4])
    assert before != data_hash(tmp_path) != data_hash(pairs_folder)
