import json
from pathlib import Path

import pytest

from vtalign.errors import InputError
from vtalign.models.load import load_video_lm
from vtalign_eval.captions import CaptionOutcome, caption_check, objects_in

REFERENCE = "first a red circle moves left quickly , then a blue ring grows , finally a white cross turns purple ."


def said(reply: str | None, reference: str = REFERENCE) -> CaptionOutcome:
    return CaptionOutcome("v.mp4", "f", 3, reference, reply)


def test_objects_are_colour_and_shape_together() -> None:
    assert objects_in(REFERENCE) == {"red circle", "blue ring", "purple/white cross"}
    assert objects_in("a red thing and a circle , redcircle") == frozenset()


def test_naming_the_right_objects_in_any_order_and_no_other() -> None:
    assert said("A White cross turns purple, a red circle, then a blue ring .").names_objects
    assert said("a purple cross turns white , a blue ring , a red circle").names_objects  # which colour comes first is about time
    assert not said("a white cross shakes , a red circle , a blue ring").names_objects
    assert not said("a red circle and a blue ring").names_objects
    assert not said(REFERENCE + " a green square").names_objects
    assert not said("a red ring , a blue circle , a white cross").names_objects
    assert not said(None).names_objects


def test_exact_is_the_whole_caption() -> None:
    assert said(REFERENCE.upper()).exact and said(REFERENCE.rstrip(" .")).exact
    assert not said(REFERENCE.replace("left", "right")).exact and not said(None).exact


def write_captions(folder: Path, shapes: Path, *changes: dict[str, object]) -> Path:
    (folder / "videos").mkdir()
    rows = []
    for name, events in (("f0-a", 1), ("f1-a", 2)):
        (folder / "videos" / f"{name}.mp4").write_bytes((shapes / "videos" / f"{name}.mp4").read_bytes())
        rows.append(
            {"video": f"videos/{name}.mp4", "family": name[:2], "events": events, "clips": [], "caption": "a red circle grows ."}
        )
    rows.append({"video": "videos/lost.mp4", "family": "f9", "events": 1, "caption": "a red circle grows ."})
    for row, change in zip(rows, changes, strict=False):
        row.update(change)
    (folder / "captions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_a_model_is_held_to_its_captions(tiny_checkpoint: Path, shapes: Path, tmp_path: Path) -> None:
    lm = load_video_lm(tiny_checkpoint, device="cpu")
    data = write_captions(tmp_path, shapes)
    found = caption_check(lm, data, max_new_tokens=4)
    assert found["n"] == 3 and found["single_clip_exact"] == {"value": 0.0, "ci95": None, "n": 2}
    assert set(found["by_events"]) == {"1", "2"} and found["by_events"]["2"]["exact"]["n"] == 1
    replies = {row["video"]: row["reply"] for row in found["captions"]}
    assert replies["videos/lost.mp4"] is None and replies["videos/f0-a.mp4"] is not None
    assert caption_check(lm, data, max_new_tokens=4, limit=1)["n"] == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"caption": "a cat sleeps ."}, r"captions\.jsonl:1: caption: names no object of known colour and shape"),
        ({"events": "one"}, r"captions\.jsonl:1: events: Input should be a valid integer"),
        ({"video": "../x.mp4"}, r"captions\.jsonl:1: video: must be a relative path"),
        ({"video": "videos/f1-a.mp4"}, r"captions\.jsonl: names a video twice"),
    ],
)
def test_wrong_captions_are_named(
    tiny_checkpoint: Path, shapes: Path, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    data = write_captions(tmp_path, shapes, change)
    with pytest.raises(InputError, match=message):
        caption_check(load_video_lm(tiny_checkpoint, device="cpu"), data)
