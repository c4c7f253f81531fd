from pathlib import Path

import pytest

from vtalign.errors import InputError
from vtalign_eval.judging.verdict_log import VERDICTS, VerdictLog, VerdictRow


def row(key: str) -> VerdictRow:
    return VerdictRow(key=key, judge="j", prompt_hash="h", question_id="q", reply="leftwards\n", said="Correct")


def folder(path: Path) -> Path:
    path.mkdir()
    return path


def test_a_torn_row_is_not_counted_and_the_next_one_starts_a_line(tmp_path: Path) -> None:
    log = VerdictLog(tmp_path)
    for key in ("a", "b"):
        log.add(row(key))
    path = tmp_path / VERDICTS
    whole = path.read_bytes()
    for cut in range(1, len(whole) // 2):
        path.write_bytes(whole[:-cut])
        again = VerdictLog(tmp_path)
        assert set(again.said) == {"a"}
        again.add(row("b"))
        assert path.read_bytes() == whole


def test_runs_that_share_a_folder_write_files_of_their_own(tmp_path: Path) -> None:
    shared = tmp_path / "shared" / "verdicts"
    a, b = folder(tmp_path / "a"), folder(tmp_path / "b")
    one, other = VerdictLog(a, shared), VerdictLog(b, shared)
    one.add(row("x"))
    other.add(row("y"))
    assert len(list(shared.iterdir())) == 2
    third = VerdictLog(folder(tmp_path / "c"), shared)
    assert not third.said, "what others know is taken over when it is asked for"
    third.adopt(["y", "y", "z"])
    assert set(third.said) == {"y"} == set(VerdictLog(tmp_path / "c").said)


def test_a_line_that_is_no_row_is_named(tmp_path: Path) -> None:
    (tmp_path / VERDICTS).write_text('{"key": "a"}\n')
    with pytest.raises(InputError, match=r"judge\.jsonl; remove the file to ask again: judge: is required"):
        VerdictLog(tmp_path)


def test_a_cache_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    with pytest.raises(InputError, match=r"choose another judge\.cache"):
        VerdictLog(tmp_path, tmp_path / "cache")
