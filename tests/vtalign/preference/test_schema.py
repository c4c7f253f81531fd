from dataclasses import replace
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vtalign.errors import InputError
from vtalign.preference.pair import Scores, TokenLogps
from vtalign.preference.schema import PAIR_SCHEMA, pair_row, read_pairs, write_pairs
from vtalign.video.view import FrameTransform, Slot, VideoView


@pytest.fixture
def full_pair(make_pair, make_view):
    """A pair with every column filled."""
    view = VideoView((Slot("video-0", 0, 0.0), Slot("video-0", None, 0.5, FrameTransform("blur", 3))), 2.0)
    return make_pair(
        view=view,
        rejected_view=make_view([3, 2]),
        perturbed_view=VideoView((Slot("video-0", 1, 0.0), Slot("video-9", 4, 0.5, FrameTransform("noise", 3, 8))), 2.0),
        other_videos=(("video-9", "a/nine.mp4"),),
        chosen_spans=((0, 1), (7, 8)),
        rejected_spans=((0, 1),),
        chosen_requests=("request-1", "request-2"),
        rejected_requests=("request-2", "request-1"),
        scores=Scores(-3.5, -4.25, 2, 3, -3.75, divergence=0.5, first_token_kl=0.25, ches=-1.0),
        token_logps=TokenLogps((-3.0, -0.5), (-1.0, -1.25, -2.0)),
        fingerprint="model-0",
    )


def rewrite(path: Path, change) -> None:
    """Change the rows of a Parquet file, as another tool might."""
    rows = pq.read_table(path).to_pylist()
    change(rows[0])
    pq.write_table(pa.Table.from_pylist(rows, schema=PAIR_SCHEMA), path)


def test_pairs_survive_the_disk(tmp_path: Path, full_pair, make_pair) -> None:
    pairs = [full_pair, make_pair(prompt="Why?")]
    write_pairs(tmp_path / "pairs", pairs)
    assert read_pairs(tmp_path / "pairs") == sorted(pairs, key=lambda pair: pair.pair_id)
    (file,) = (tmp_path / "pairs").glob("*.parquet")
    assert read_pairs(file) == read_pairs(tmp_path / "pairs")


def test_the_view_keeps_its_id_on_disk(tmp_path: Path, full_pair) -> None:
    write_pairs(tmp_path, [full_pair])
    assert read_pairs(tmp_path)[0].view.view_id == full_pair.view_id


def test_loads_with_datasets_and_what_it_saves_is_read(tmp_path: Path, full_pair, make_pair) -> None:
    write_pairs(tmp_path / "pairs", [full_pair, make_pair(prompt="Why?")])
    loaded = datasets.load_dataset("parquet", data_dir=str(tmp_path / "pairs"), split="train", cache_dir=str(tmp_path / "cache"))
    assert sorted(loaded["pair_id"]) == [pair.pair_id for pair in read_pairs(tmp_path / "pairs")]
    loaded.to_parquet(str(tmp_path / "again.parquet"))
    assert read_pairs(tmp_path / "again.parquet") == read_pairs(tmp_path / "pairs")


def test_no_pairs_is_a_readable_file(tmp_path: Path) -> None:
    write_pairs(tmp_path / "pairs", [])
    assert read_pairs(tmp_path / "pairs") == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"chosen": ""}, "column chosen: is empty"),
        ({"prompt": None}, "column prompt: is null"),
        ({"source": "magic"}, "column source: expected one of self, annotation, text (value: 'magic')"),
        ({"rejected": "a then b", "rejected_view": None}, "column rejected: equals chosen"),
        ({"view": {"fps": 2.0, "slots": [{"video_id": "v", "frame": -3, "time": 0.0}]}}, "is no view (it shows frame -3)"),
        ({"view": {"fps": 2.0, "slots": []}}, "column view: is no view (it has no slots)"),
        ({"view": {"fps": 0.0, "slots": [{"video_id": "v", "frame": 0, "time": 0.0}]}}, "is no view (its fps is 0.0)"),
        ({"chosen_spans": [{"start": 2, "stop": 99}]}, "column chosen_spans: span (2, 99)"),
        ({"token_logps": {"chosen": [-3.5], "rejected": [-1.0, -1.25, -2.0]}}, "column token_logps: has 1 and 3 tokens"),
        ({"rejected_spans": [{"start": 3, "stop": 4}, {"start": 1, "stop": 2}]}, "column rejected_spans: span (1, 2)"),
        ({"perturbation": {"name": "drop", "strength": None, "seed": 1, "parameters": "{}"}}, "column perturbation: is not"),
        ({"perturbation": {"name": "shuffle", "strength": 2, "seed": 1, "parameters": "["}}, "column perturbation"),
    ],
)
def test_a_wrong_value_is_named(tmp_path: Path, full_pair, change, said: str) -> None:
    (file,) = write_pairs(tmp_path, [full_pair])
    rewrite(file, lambda row: row.update(change))
    with pytest.raises(InputError) as error:
        read_pairs(tmp_path)
    assert str(error.value).startswith(f"{file}: row 0: ") and said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_column_and_a_wrong_type_are_named(tmp_path: Path, full_pair) -> None:
    (file,) = write_pairs(tmp_path, [full_pair])
    table = pq.read_table(file)
    pq.write_table(table.drop_columns(["chosen"]), file)
    with pytest.raises(InputError, match=r"part-00000.parquet: column chosen is missing"):
        read_pairs(file)
    pq.write_table(table.set_column(table.column_names.index("prompt"), "prompt", pa.array([3])), file)
    with pytest.raises(InputError, match=r"column prompt: has type int64, expected string"):
        read_pairs(file)


def test_columns_that_may_be_absent(tmp_path: Path, full_pair) -> None:
    """Pairs that another tool wrote: no scores, no ids of ours but the pair's."""
    row = pair_row(full_pair)
    kept = ["pair_id", "video_id", "video", "view", "prompt", "chosen", "rejected", "source"]
    pq.write_table(pa.Table.from_pylist([{name: row[name] for name in kept}]), tmp_path / "own.parquet")
    (pair,) = read_pairs(tmp_path / "own.parquet")
    assert pair.scores is None and pair.perturbation is None and pair.kind == "response"
    assert (pair.view_id, pair.group_id) == (full_pair.view_id, full_pair.group_id)


def test_scores_of_before_tokens_were_kept(tmp_path: Path, full_pair) -> None:
    """Files of an earlier vtalign: the same schema version, with less in it."""
    row = pair_row(full_pair)
    del row["token_logps"], row["scores"]["first_token_kl"]
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "old.parquet")
    (pair,) = read_pairs(tmp_path / "old.parquet")
    assert pair.token_logps is None and pair.scores is not None
    assert (pair.scores.first_token_kl, pair.scores.divergence, pair.scores.ches) == (None, 0.5, -1.0)


def test_pairs_of_before_transforms_had_strengths(tmp_path: Path, full_pair) -> None:
    """The same schema version: no strength in a slot, no paths of other videos."""
    row = pair_row(full_pair)
    del row["other_videos"], row["perturbed_view"]
    table = pa.Table.from_pylist([row])
    assert "strength" not in {
        field.name for field in table.schema.field("view").type.field("slots").type.value_type.field("transform").type
    }
    pq.write_table(table, tmp_path / "old.parquet")
    (pair,) = read_pairs(tmp_path / "old.parquet")
    assert pair.other_videos == () and pair.paths == {"video-0": "a/b.mp4"}
    assert pair.view == full_pair.view and pair.view.view_id == pair.view_id


def test_paths_of_all_videos_that_are_shown(full_pair) -> None:
    assert full_pair.paths == {"video-0": "a/b.mp4", "video-9": "a/nine.mp4"}


def test_other_problems_are_one_line(tmp_path: Path, full_pair) -> None:
    with pytest.raises(InputError, match="no such file or folder of pairs"):
        read_pairs(tmp_path / "nowhere")
    with pytest.raises(InputError, match="in this folder"):
        read_pairs(tmp_path)
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(InputError, match="not a readable Parquet file"):
        read_pairs(tmp_path / "torn.parquet")
    (file,) = write_pairs(tmp_path / "pairs", [full_pair])
    (tmp_path / "pairs" / "part-00009.parquet").write_bytes(file.read_bytes())
    with pytest.raises(InputError, match="is there twice"):
        read_pairs(tmp_path / "pairs")


def test_a_newer_schema_is_refused(tmp_path: Path, full_pair) -> None:
    (file,) = write_pairs(tmp_path, [full_pair])
    table = pq.read_table(file)
    pq.write_table(table.replace_schema_metadata({"vtalign.schema_version": "2"}), file)
    with pytest.raises(InputError, match="schema version 2; this vtalign reads version 1"):
        read_pairs(file)


def test_a_pair_of_text_alone_has_no_view(tmp_path: Path, make_pair) -> None:
    pair = replace(make_pair(source="text", kind="text_order", video="", sampling=None, perturbation=None), view=None, view_id="")
    (file,) = write_pairs(tmp_path, [pair])
    assert read_pairs(tmp_path) == [pair] and pair.clean_prompt.parts == ("What happens?",) and pair.paths == {}
    rewrite(file, lambda row: row.update(source="self"))
    with pytest.raises(InputError, match="row 0: column view: is no view"):
        read_pairs(tmp_path)
    rewrite(file, lambda row: row.update(source="text", perturbed_view={"fps": 1.0, "slots": [slot("video-0")]}))
    with pytest.raises(InputError, match="row 0: column view: is no view"):
        read_pairs(tmp_path)


def slot(video_id: str) -> dict[str, object]:
    return {"video_id": video_id, "frame": 0, "time": 0.0, "transform": None}
