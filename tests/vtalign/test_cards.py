from pathlib import Path

from vtalign.cards import markdown_table, portable, portable_model


def test_cells_do_not_break_the_table() -> None:
    assert markdown_table(["a", "b"], [["1|2", "two\nlines"]]) == "| a | b |\n| --- | --- |\n| 1\\|2 | two lines |"


def test_paths_lose_their_folders_at_any_depth() -> None:
    value = {"root": Path("/home/someone/videos"), "inner": ({"file": Path("a/b.txt"), "n": 1},), "text": "/kept"}
    assert portable(value) == {"root": "videos", "inner": [{"file": "b.txt", "n": 1}], "text": "/kept"}


def test_models_in_settings_lose_their_folders_too() -> None:
    value = {"server": {"model": "/home/me/qwen"}, "groups": {"checkpoint": "google/siglip"}, "judge": {"model": None}}
    assert portable(value) == {"server": {"model": "qwen"}, "groups": {"checkpoint": "google/siglip"}, "judge": {"model": None}}


def test_models_are_named_by_id_or_by_their_folder(tmp_path: Path) -> None:
    assert portable_model("owner/model") == "owner/model" and portable_model(str(tmp_path / "tiny")) == "tiny"
