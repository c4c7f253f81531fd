import os

import pytest

from vtalign.errors import InputError
from vtalign_data.scan import list_videos, scan


def test_a_folder_is_searched_to_the_bottom(troubled_videos) -> None:
    root, listed = list_videos(troubled_videos, None)
    assert root == troubled_videos and listed == sorted(listed)
    assert "sub/deep.MP4" in listed and "a_text.mp4" in listed
    assert "notes.txt" not in listed and ".hidden.mp4" not in listed


def test_manifests(tmp_path) -> None:
    (tmp_path / "list.txt").write_text("# some\nb.mp4\n\n./a.mp4\nb.mp4\nsub/../c.mp4\n")
    assert list_videos(tmp_path / "list.txt", None) == (tmp_path, ["a.mp4", "b.mp4", "c.mp4"])
    (tmp_path / "list.jsonl").write_text('{"video": "x.mp4", "more": 1}\n{"video": "' + str(tmp_path / "y.mp4") + '"}\n')
    assert list_videos(tmp_path / "list.jsonl", None)[1] == ["x.mp4", "y.mp4"]
    (tmp_path / "media").mkdir()
    assert list_videos(tmp_path / "list.txt", tmp_path / "media")[0] == tmp_path / "media"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("bad.jsonl", '{"video": "a.mp4"}\n{"path": "b.mp4"}\n', "bad.jsonl:2: expected a JSON object with key 'video'"),
        ("bad.jsonl", '{"video": 3}\n', "bad.jsonl:1: video: expected a path, got 3"),
        ("empty.txt", "# nothing\n", "lists no videos"),
        ("film.mp4", "", "is a video; give the folder"),
    ],
)
def test_wrong_manifests(tmp_path, name: str, content: str, said: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError) as error:
        list_videos(tmp_path / name, None)
    assert said in str(error.value)


def test_nothing_there(tmp_path) -> None:
    with pytest.raises(InputError, match="no such folder of videos"):
        list_videos(tmp_path / "nowhere", None)
    with pytest.raises(InputError, match="no videos in this folder"):
        list_videos(tmp_path, None)
    (tmp_path / "a.txt").write_text("a.mp4")
    with pytest.raises(InputError, match="root of the manifest"):
        list_videos(tmp_path / "a.txt", tmp_path / "nowhere")
    with pytest.raises(InputError, match="its own root"):
        list_videos(tmp_path, tmp_path.parent)


def test_paths_stay_inside_the_root(tmp_path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret.mp4").write_bytes(b"secret")
    (root / "good.mp4").write_bytes(b"good")
    (root / "link_out.mp4").symlink_to(tmp_path / "secret.mp4")
    (root / "link_in.mp4").symlink_to(root / "good.mp4")
    (root / "loop.mp4").symlink_to(root / "loop.mp4")
    (root / "folder.mp4").mkdir()
    os.mkfifo(root / "pipe.mp4")
    paths = ["../secret.mp4", "/etc/passwd", "folder.mp4", "good.mp4", "gone.mp4", "link_in.mp4", "link_out.mp4", "loop.mp4"]
    result = scan([*paths, "pipe.mp4", "nul\0.mp4", "name\udcff.mp4"], root)
    assert [row["video"] for row in result.rows] == ["good.mp4", "link_in.mp4"]
    assert len({row["video_id"] for row in result.rows}) == 1
    assert {loss.id: loss.reason for loss in result.rejected} == {
        "../secret.mp4": "outside_root",
        "/etc/passwd": "outside_root",
        "folder.mp4": "not_a_file",
        "gone.mp4": "missing",
        "link_out.mp4": "outside_root",
        "loop.mp4": "missing",
        "pipe.mp4": "not_a_file",
        "nul\0.mp4": "missing",
        "name\\udcff.mp4": "bad_name",
    }
    assert {loss.outcome for loss in result.rejected} == {"failed"}
