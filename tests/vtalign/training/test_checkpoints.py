from pathlib import Path

import pytest

from vtalign.training.checkpoints import MARKER, is_complete, last_complete, link_tree, mark_complete, published


def checkpoint(root: Path, step: int) -> Path:
    folder = root / f"checkpoint-{step}"
    (folder / "sub").mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"w" * step)
    (folder / "sub" / "state.json").write_text("{}")
    return folder


def test_only_a_marked_checkpoint_counts(tmp_path: Path) -> None:
    for step in (5, 10):
        mark_complete(checkpoint(tmp_path, step))
    torn = checkpoint(tmp_path, 15)
    assert last_complete(tmp_path) == tmp_path / "checkpoint-10"
    assert not torn.exists()


@pytest.mark.parametrize("damage", ["missing", "short"])
def test_a_marker_over_a_damaged_checkpoint_does_not_count(tmp_path: Path, damage: str) -> None:
    good, bad = checkpoint(tmp_path, 5), checkpoint(tmp_path, 10)
    mark_complete(good)
    mark_complete(bad)
    file = bad / "model.safetensors"
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(b"w")
    assert not is_complete(bad) and last_complete(tmp_path) == good


def test_steps_are_numbers(tmp_path: Path) -> None:
    for step in (9, 100, 20):
        mark_complete(checkpoint(tmp_path, step))
    assert last_complete(tmp_path) == tmp_path / "checkpoint-100"


def test_nothing_there(tmp_path: Path) -> None:
    assert last_complete(tmp_path / "none") is None


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "model"
    with pytest.raises(OSError, match="disk"), published(target) as folder:
        (folder / "half").write_text("x")
        raise OSError("disk")
    assert not target.exists()
    with published(target) as folder:
        assert not list(folder.iterdir())
        (folder / "whole").write_text("x")
    assert is_complete(target) and sorted(p.name for p in target.iterdir()) == sorted([MARKER, "whole"])


def test_a_linked_copy_stands_alone(tmp_path: Path) -> None:
    source = checkpoint(tmp_path, 3)
    mark_complete(source)
    link_tree(source, tmp_path / "copy")
    (source / "model.safetensors").unlink()
    assert is_complete(tmp_path / "copy") and (tmp_path / "copy/model.safetensors").read_bytes() == b"www"
