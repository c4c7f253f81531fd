"""What counts as the user's request for network."""

from pathlib import Path

import pytest

from vtalign.hub import is_hub_id


@pytest.mark.parametrize("name", ["Qwen/Qwen3-VL-2B-Instruct", "owner/some_model.v1"])
def test_hub_ids(name: str) -> None:
    assert is_hub_id(name)


@pytest.mark.parametrize("name", ["/models/tiny", "./tiny", "../a/b", "tiny", "a/b/c", "", "runs/", "C:\\models"])
def test_paths(name: str) -> None:
    assert not is_hub_id(name)


def test_what_is_here_or_could_be_a_typing_error_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "sft").mkdir(parents=True)
    assert not is_hub_id("runs/sft") and not is_hub_id("runs/stf")
    assert is_hub_id("owner/sft")
