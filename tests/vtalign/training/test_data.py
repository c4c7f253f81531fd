from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vtalign.errors import InputError
from vtalign.preference.pair import VIEW_KIND, PreferencePair
from vtalign.preference.schema import write_pairs
from vtalign.training.config import DPOStage, VDPOStage
from vtalign.training.curriculum import CurriculumSettings
from vtalign.training.data import count_view_pairs, data_hash, read_pair_examples
from vtalign.training.order import curriculum_order, require_difficulties
from vtalign.video.view import FrameTransform, VideoView


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


def test_columns_that_the_curriculum_asks_for_come_with_their_pairs(
    pairs_folder: Path, example_pairs: list[PreferencePair], tmp_path: Path
) -> None:
    """The rows of the file are arranged anew: neither values nor the order of training depend on that."""
    table = pq.read_table(pairs_folder / "part-00000.parquet")
    ids = table.column("pair_id").to_pylist()
    mine = pa.array([None if number == 2 else number * 5 % len(ids) for number in range(len(ids))])
    table = table.append_column("mine", mine)
    file = tmp_path / "pairs.parquet"
    strengths = {"strengths": [int(ids[2].rpartition("-")[2])]}
    curriculum = CurriculumSettings(order="easy_to_hard", by={"column:mine": 1, "text_length": 1})
    found = []
    for rows in (range(len(ids)), reversed(range(len(ids)))):
        pq.write_table(table.take(list(rows)), file)
        examples = read_pair_examples(dpo_stage(file, curriculum=curriculum), seed=0)
        assert [example.columns for example in examples] == [{"mine": value} for value in mine.to_pylist()]
        with pytest.raises(InputError, match=f"pair {ids[2]}: column mine"):
            require_difficulties(read_pair_examples(dpo_stage(file, curriculum=curriculum, **strengths), seed=0), curriculum)
        kept = [example for example in examples if example.columns["mine"] is not None]
        found.append([kept[i].id for i in curriculum_order(kept, curriculum, 40, seed=3)[0]])
    assert found[0] == found[1]


def test_pairs_of_views_are_left_to_stages_that_compare_views(example_pairs: list[PreferencePair], tmp_path: Path) -> None:
    pair, *others = example_pairs
    blurred = VideoView(tuple(replace(slot, transform=FrameTransform("blur", 1)) for slot in pair.view.slots), pair.view.fps)
    of_views = replace(pair, kind=VIEW_KIND, rejected=pair.chosen, rejected_view=blurred)
    write_pairs(tmp_path / "both", [of_views, *others[:2]])
    stage = dpo_stage(tmp_path / "both")
    assert [e.id for e in read_pair_examples(stage, 0)] == sorted(p.pair_id for p in others[:2])
    assert count_view_pairs(stage) == 1
    write_pairs(tmp_path / "alone", [of_views])
    with pytest.raises(InputError, match=r"differ in their views only.* use kind: vdpo"):
        read_pair_examples(dpo_stage(tmp_path / "alone"), 0)
    vdpo = VDPOStage.model_validate({"kind": "vdpo", "name": "v", "data": tmp_path / "alone", "learning_rate": 1e-5})
    (example,) = read_pair_examples(vdpo, 0)
    assert example.second is not None and example.second.views == (blurred,) and count_view_pairs(vdpo) == 0


def test_a_view_of_another_video_needs_its_path(example_pairs: list[PreferencePair], tmp_path: Path) -> None:
    pair, other = example_pairs[0], example_pairs[-1]
    both = VideoView((*pair.view.slots[:2], *other.view.slots[2:4]), pair.view.fps)
    settings = {"kind": "vdpo", "name": "v", "learning_rate": 1e-5}
    write_pairs(tmp_path / "without", [replace(pair, perturbed_view=both)])
    with pytest.raises(InputError, match=f"shows video {other.video_id}, and has no path for it"):
        read_pair_examples(VDPOStage.model_validate({**settings, "data": tmp_path / "without"}), 0)
    write_pairs(tmp_path / "with", [replace(pair, perturbed_view=both, other_videos=((other.video_id, other.video),))])
    (example,) = read_pair_examples(VDPOStage.model_validate({**settings, "data": tmp_path / "with"}), 0)
    assert example.pair.paths == {pair.video_id: pair.video, other.video_id: other.video}


def test_no_pairs_is_said(tmp_path: Path) -> None:
    write_pairs(tmp_path, [])
    with pytest.raises(InputError, match="holds no pairs"):
        read_pair_examples(dpo_stage(tmp_path), seed=0)


def test_a_hash_of_files_by_content(pairs_folder: Path, tmp_path: Path, example_pairs: list[PreferencePair]) -> None:
    write_pairs(tmp_path, example_pairs[:3])
    before = data_hash(tmp_path)
    write_pairs(tmp_path, example_pairs[:4])
    assert before != data_hash(tmp_path) != data_hash(pairs_folder)
