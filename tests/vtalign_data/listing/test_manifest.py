import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtalign.errors import InputError
from vtalign_data.ingest_config import ColumnConfig
from vtalign_data.listing import manifest
from vtalign_data.listing.manifest import BadRow, Record, read_manifest

PLAIN = ColumnConfig()
CAPTIONED = ColumnConfig(video="path", caption="text")


def read(path: Path, content: str | bytes, columns: ColumnConfig = PLAIN) -> list[Record | BadRow]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(read_manifest(path, columns))


def rows(found: list[Record | BadRow]) -> list[tuple[int, Any]]:
    return [(entry.row, entry.reason if isinstance(entry, BadRow) else entry.values) for entry in found]


def refuse(path: Path, content: str | bytes, columns: ColumnConfig, said: str) -> None:
    with pytest.raises(InputError) as error:
        read(path, content, columns)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_lines(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf# some\n b.mp4 \r\n\n\xff.mp4\n./a\xe2\x80\xa8b.mp4"
    assert rows(read(tmp_path / "list.txt", content)) == [
        (2, {"video": "b.mp4"}),
        (4, "bad_utf8"),
        (5, {"video": "./a\u2028b.mp4"}),
    ]
    refuse(tmp_path / "list.txt", "a.mp4", CAPTIONED, "captions and questions need a .jsonl")


def test_jsonl(tmp_path: Path) -> None:
    deep = "[" * 100_000
    content = (
        f'{{"path": "a", "text": 3, "more": 1}}\n{{"text": "b"}}\n[1]\n{{"path"\n\n{deep}\n{{"path": null}}\n'.encode()
        + b'"\xe9"\n'
    )
    assert rows(read(tmp_path / "list.jsonl", content, CAPTIONED)) == [
        (1, {"path": "a", "text": 3}),
        (2, {"text": "b"}),
        (3, "not_json"),
        (4, "not_json"),
        (6, "not_json"),
        (7, {"path": None}),
        (8, "bad_utf8"),
    ]
    refuse(
        tmp_path / "list.jsonl", '{"video": 1, "cap": 2}\n{"x": 1}\n', CAPTIONED, "no column 'path' (there are: video, cap, x)"
    )


def test_csv(tmp_path: Path) -> None:
    content = (
        b'\xef\xbb\xbfpath,n,text\r\na.mp4,1,"one, ""two""\r\nthree"\r\nb.mp4,2\r\n\r\n'
        b'c\xff.mp4,3,x\r\n"d"e,4,y\r\nf.mp4,5,\r\n"g,6,z\r\n'
    )
    found = rows(read(tmp_path / "list.csv", content, CAPTIONED))
    assert found == [
        (2, {"path": "a.mp4", "text": 'one, "two"\r\nthree'}),
        (4, "wrong_fields"),
        (6, {"path": "c\udcff.mp4", "text": "x"}),
        (7, "not_csv"),
        (8, {"path": "f.mp4", "text": ""}),
        (9, "not_csv"),
    ]
    assert rows(read(tmp_path / "list.tsv", "path\ttext\na,b\tc\n", CAPTIONED)) == [(2, {"path": "a,b", "text": "c"})]
    refuse(tmp_path / "list.csv", "video,text\na,b\n", CAPTIONED, "no column 'path' (there are: video, text)")
    refuse(tmp_path / "list.csv", "path,text,path\na,b,c\n", CAPTIONED, "column 'path' is there twice")
    assert read(tmp_path / "list.csv", "") == []


def test_a_quote_that_is_not_closed_costs_its_line(tmp_path: Path) -> None:
    many = 20_000  # more than the longest field that there may be
    rest = "".join(f"{n}.mp4,x\n" for n in range(many))
    found = read(tmp_path / "list.csv", f'path,text\na.mp4,"one\ntwo"\nb.mp4,"open\n{rest}', CAPTIONED)
    assert rows(found[:3]) == [(2, {"path": "a.mp4", "text": "one\ntwo"}), (4, "not_csv"), (5, {"path": "0.mp4", "text": "x"})]
    assert isinstance(found[1], BadRow) and "close the quote" in found[1].detail
    assert [entry.row for entry in found[2:]] == list(range(5, 5 + many))
    assert all(isinstance(entry, Record) for entry in found[2:])
    found = read(tmp_path / "list.csv", 'path,text\nb.mp4,"open\nc.mp4,"closed"\nd.mp4,x\n', CAPTIONED)
    assert rows(found) == [(2, "not_csv"), (3, {"path": "c.mp4", "text": "closed"}), (4, {"path": "d.mp4", "text": "x"})]


def test_a_parquet_column_that_is_there_twice(tmp_path: Path) -> None:
    path = tmp_path / "list.parquet"
    pq.write_table(pa.table([pa.array(["a"]), pa.array(["b"]), pa.array([1])], names=["path", "text", "path"]), path)
    with pytest.raises(InputError, match="column 'path' is there twice"):
        list(read_manifest(path, CAPTIONED))


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "list.parquet"
    broken = pa.Array.from_buffers(pa.string(), 2, [None, pa.array([0, 1, 2], pa.int32()).buffers()[1], pa.py_buffer(b"a\xff")])
    pq.write_table(pa.table({"path": broken, "text": [["x", "y"], None], "other": [1, 2]}), path)
    assert rows(list(read_manifest(path, CAPTIONED))) == [
        (1, {"path": "a", "text": ["x", "y"]}),
        (2, {"path": "\udcff", "text": None}),
    ]
    with pytest.raises(InputError, match=r"no column 'video' \(there are: path, text, other\)"):
        list(read_manifest(path, PLAIN))
    refuse(path, b"PAR1 no", PLAIN, "cannot be read as Parquet beyond row 0")


def test_what_is_no_manifest(tmp_path: Path) -> None:
    refuse(tmp_path / "list.json", "[]", PLAIN, "write one object per line")


def test_a_file_without_line_ends_is_not_read_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "LONGEST_LINE", 100)
    content = "x" * 1000 + "\nb.mp4\n"
    assert rows(read(tmp_path / "list.txt", content)) == [(1, "long_line"), (2, {"video": "b.mp4"})]
    pieces = read(tmp_path / "list.csv", "video,n\n" + content)
    assert [row.row for row in pieces] == [*range(2, 12), 13] and all(isinstance(row, BadRow) for row in pieces)


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)
tables = st.lists(st.fixed_dictionaries({"path": texts, "text": texts}), min_size=1, max_size=8)


@given(table=tables)
def test_every_format_gives_back_what_was_written(table: list[dict[str, str]], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("formats")
    (folder / "m.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in table), encoding="utf-8")
    for name, delimiter in (("m.csv", ","), ("m.tsv", "\t")):
        with (folder / name).open("w", encoding="utf-8", newline="") as handle:
            writer = csv.DictWriter(handle, ["path", "text"], delimiter=delimiter)
            writer.writeheader()
            writer.writerows(table)
    pq.write_table(pa.Table.from_pylist(table), folder / "m.parquet")
    for name in ("m.jsonl", "m.csv", "m.tsv", "m.parquet"):
        found = list(read_manifest(folder / name, CAPTIONED))
        assert [entry.values for entry in found if isinstance(entry, Record)] == table, name


@given(content=st.binary(max_size=300), name=st.sampled_from(["m.txt", "m.jsonl", "m.csv", "m.tsv"]))
def test_no_bytes_break_the_reader(content: bytes, name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("bytes") / name
    try:
        found = read(path, b"video,x\n" + content if name != "m.txt" else content)
    except InputError:
        return
    numbers = [entry.row for entry in found]
    assert numbers == sorted(set(numbers))
