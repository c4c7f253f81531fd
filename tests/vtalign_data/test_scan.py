import os

from vtalign_data.listing.index import Listed
from vtalign_data.scan import scan, scan_listed
from vtalign_data.stage import Rejected


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


def test_losses_name_the_row_of_the_manifest(tmp_path) -> None:
    (tmp_path / "good.mp4").write_bytes(b"good")
    bad = Rejected("list.csv:4", "failed", "empty_path", "video: names no file")
    batch = [Listed("good.mp4", "list.csv:2", None), Listed("gone.mp4", "list.csv:3", None), Listed("list.csv:4", "", bad)]
    result = scan_listed(batch, tmp_path)
    assert [row["video"] for row in result.rows] == ["good.mp4"]
    missing = next(loss for loss in result.rejected if loss.id == "gone.mp4")
    assert missing.reason == "missing" and missing.detail.endswith("(list.csv:3)")
    assert bad in result.rejected and len(result.rejected) == 2
