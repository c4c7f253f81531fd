"""`vtalign data inspect` on folders as users have them."""

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from vtalign.artifacts import write_json, write_parquet
from vtalign.cli.inspection.page import inspected_pairs, write_inspection
from vtalign.cli.inspection.pictures import Footage, draw_pictures
from vtalign.cli.inspection.views import CellTable
from vtalign.errors import InputError
from vtalign.preference.pair import AppliedPerturbation, PreferencePair, Scores
from vtalign.preference.schema import PAIR_SCHEMA, write_pairs
from vtalign.video.view import FrameTransform, Slot, VideoView
from vtalign_data import clips, responses, views


@pytest.fixture(scope="module")
def videos(small_corpus: Path) -> Path:
    return small_corpus / "train" / "videos"


@pytest.fixture
def name(videos: Path) -> str:
    return sorted(path.name for path in videos.glob("*.mp4"))[0]


def view(*frames: int | None, video: str = "video-0") -> VideoView:
    return VideoView(tuple(Slot(video, frame, place / 2) for place, frame in enumerate(frames)), 2.0)


def test_pairs_alone_without_their_videos(tmp_path: Path, make_pair: Callable[..., PreferencePair]) -> None:
    write_pairs(tmp_path / "pairs", [make_pair()])
    page, data = write_inspection(tmp_path / "pairs", None, None, limit=10, seed=0)
    assert page == tmp_path / "pairs" / "inspect.html" and "No frame strips" in page.read_text(encoding="utf-8")
    assert data["videos"] == [{"id": "video-0", "path": "a.mp4", "sprite": None, "problem": ""}]
    assert data["views"][0]["cells"] == list(range(8)) and "stages" not in data


def test_every_kind_of_strip_and_a_missing_video(
    tmp_path: Path, make_pair: Callable[..., PreferencePair], videos: Path, name: str
) -> None:
    clean = view(0, 2, 4, 6)
    mirrored = VideoView(tuple(Slot("video-0", slot.frame, slot.time, FrameTransform("mirror", 1)) for slot in clean.slots), 2.0)
    pairs = [
        make_pair(view=clean, video=name, prompt="DPO", perturbed_view=view(4, 6, 0, 2)),
        make_pair(view=clean, video=name, prompt="VDPO", rejected="a dog runs, then it sits", rejected_view=mirrored),
        make_pair(view=clean, video=name, prompt="blank", perturbed_view=view(0, None, None, 6)),
        make_pair(view=view(0, 1, video="video-1"), video_id="video-1", video="gone.mp4"),
        make_pair(view=view(0, 1, video="video-2"), video_id="video-2", video="../../outside.mp4"),
        make_pair(
            view=clean,
            video=name,
            prompt="mixed",
            perturbed_view=VideoView((*clean.slots[:2], *view(1, 3, video="video-3").slots), 2.0),
            other_videos=(("video-3", name),),  # no pair is about it
        ),
    ]
    write_pairs(tmp_path / "pairs", pairs)
    first, data = write_inspection(tmp_path, tmp_path / "a.html", videos, limit=10, seed=0)
    second, _ = write_inspection(tmp_path, tmp_path / "b.html", videos, limit=10, seed=0)
    assert first.read_bytes() == second.read_bytes()

    found = {video["id"]: video for video in data["videos"]}
    sheet = found["video-0"]["sprite"]
    assert sheet is not None and (sheet["columns"], sheet["rows"]) == (8, 1)  # four frames, four mirrored
    assert found["video-1"]["problem"].startswith("missing") and found["video-2"]["problem"].split(":")[0] in (
        "missing",
        "outside_root",
    )
    cards = {card["prompt"]: card for card in data["pairs"]}
    strips = data["views"]
    vdpo = cards["VDPO"]["rejected_view"]
    assert (
        vdpo is not None and strips[vdpo]["cells"] == [1, 3, 5, 7] and strips[vdpo]["notes"] == dict.fromkeys(range(4), "mirror")
    )
    perturbed, blank = cards["DPO"]["perturbed"], cards["blank"]["perturbed"]
    assert perturbed is not None and strips[perturbed]["cells"] == [4, 6, 0, 2] and strips[perturbed]["sources"] == [2, 3, 0, 1]
    assert blank is not None and strips[blank]["cells"] == [0, -1, -1, 6]
    assert cards["DPO"]["view"] == cards["VDPO"]["view"]  # shared
    mixed = cards["mixed"]["perturbed"]
    assert mixed is not None and strips[mixed]["cells"] == [0, 2, 0, 1] and found["video-3"]["problem"] == ""


def test_a_text_only_pair_has_no_strip(make_pair: Callable[..., PreferencePair]) -> None:
    (card,), strips = inspected_pairs([make_pair(view=VideoView((), 1.0))], CellTable({"video-0": 0}, {}), {})
    assert card["view"] is None and strips == []


def test_scores_and_what_is_missing_of_them(tmp_path: Path, make_pair: Callable[..., PreferencePair]) -> None:
    applied = AppliedPerturbation("reverse", 2, 0, {"spec": {"name": "reverse", "strength": 2, "frames": "reversed"}})
    scored = make_pair(scores=Scores(-3.0, -5.5, 4, 6, divergence=math.nan), perturbation=applied, difficulty=math.inf)
    write_pairs(tmp_path, [scored, make_pair(prompt="no scores")])
    _, data = write_inspection(tmp_path, None, None, limit=10, seed=0)
    cards = {card["prompt"]: card for card in data["pairs"]}
    assert cards["no scores"]["scores"] == {} and cards["no scores"]["title"] == "no perturbation"
    card = cards["What happens?"]
    assert card["title"] == "reverse-2[frames=reversed]" and card["difficulty"] is None
    assert card["scores"]["margin"] == 2.5 and card["scores"]["divergence"] is None and card["scores"]["ches"] is None
    assert (card["chosen_marks"], card["rejected_marks"]) == ([(6, 10), (20, 24)], [(6, 10), (20, 24)])


def test_a_sample_takes_whole_videos_and_says_so(tmp_path: Path, make_pair: Callable[..., PreferencePair]) -> None:
    pairs = [make_pair(video_id=f"video-{n % 50}", view=view(0, 1, video=f"video-{n % 50}"), prompt=f"{n}?") for n in range(300)]
    write_pairs(tmp_path, pairs)
    _, data = write_inspection(tmp_path, None, None, limit=60, seed=3)
    assert data["total"] == 300 and len(data["pairs"]) == 60 and len(data["videos"]) == 10
    assert data["counts"]["source"] == {"self": 300}
    assert data["notes"][0].startswith("A sample: 60 of 300 pairs, video by video, 10 of 50 videos drawn with seed 3.")
    _, other = write_inspection(tmp_path, None, None, limit=60, seed=4)
    assert [card["id"] for card in other["pairs"]] != [card["id"] for card in data["pairs"]]


def test_pictures_stop_where_the_page_is_full(videos: Path, name: str) -> None:
    footage = {f"video-{n}": Footage(name, "pyav", [(0, None), (3, None)]) for n in range(4)}
    whole = draw_pictures(footage, videos, lambda: None)
    size = len(whole.sprites["video-0"]["jpeg"])
    assert list(draw_pictures(footage, videos, lambda: None, room=2 * size).sprites) == ["video-0", "video-1"]


def test_a_transform_that_is_not_known_here_costs_its_video(videos: Path, name: str) -> None:
    footage = {"a": Footage(name, "pyav", [(0, FrameTransform("swirl"))]), "b": Footage(name, "pyav", [(0, None)])}
    drawn = draw_pictures(footage, videos, lambda: None)
    assert list(drawn.sprites) == ["b"] and "swirl" in drawn.problems["a"]


@pytest.fixture
def build(tmp_path: Path, make_pair: Callable[..., PreferencePair], videos: Path, name: str) -> Path:
    """The folder of a finished build, as it lies on disk: one pair, two lost pairs, a lost perturbed view and a broken video."""
    run = tmp_path / "run"
    clean = view(0, 2, 4, 6)
    write_pairs(run / "pairs", [make_pair(view=clean, video=name)])
    (run / "run.yaml").write_text(yaml.safe_dump({"command": "data build", "config": {"root": str(videos)}}))
    losses = {
        "02-ingest": [("broken.mp4", "failed", "corrupt", "frame 3")],
        "05-perturbations": [(f"{clean.view_id}/drop-4", "filtered", "too_short", "")],
        "08-filter": [("pair-x", "filtered", "identical", "alike"), ("pair-y", "filtered", "identical", "alike")],
    }
    stages = []
    for stage, rows in losses.items():
        (run / "stages" / stage).mkdir(parents=True)
        keys = ("id", "outcome", "reason", "detail")
        text = "".join(json.dumps(dict(zip(keys, row, strict=True))) + "\n" for row in rows)
        (run / "stages" / stage / "rejected.jsonl").write_text(text)
        counts = {outcome: {row[2]: len(rows) for row in rows if row[1] == outcome} for outcome in ("filtered", "failed")}
        stages.append({"name": stage, "unit": "pair", "kept": 1, **counts})
    write_json(run / "summary.json", {"stages": stages, "warnings": {"other frames": 2}})

    def part(stage: str, schema: object, **values: object) -> None:
        (run / "stages" / stage).mkdir(parents=True, exist_ok=True)
        write_parquet(run / "stages" / stage / "part-00000.parquet", [values], schema)  # type: ignore[arg-type]

    part("03-views", views.SCHEMA, view_id=clean.view_id, video=name)
    part("04-clips", clips.SCHEMA, view_id=clean.view_id, video=name, segments=[{"start": 0, "stop": 3}, {"start": 3, "stop": 4}])
    texts = {"prompt": "Why?", "chosen": "same", "rejected": "Same"}
    part("07-responses", responses.SCHEMA, pair_id="pair-x", video=name, name="shuffle", strength=2, **texts)
    return run


def test_a_build_tells_what_it_rejected(build: Path, name: str) -> None:
    page, data = write_inspection(build, None, None, limit=10, seed=0)
    assert page == build / "inspect.html" and data["videos"][0]["sprite"] is not None
    assert data["views"][0]["parts"] == [0, 0, 0, 1]  # the clips of the build
    assert [(group["stage"], group["outcome"], group["reason"], group["count"]) for group in data["rejected"]] == [
        ("02-ingest", "failed", "corrupt", 1),
        ("05-perturbations", "filtered", "too_short", 1),
        ("08-filter", "filtered", "identical", 2),
    ]
    rows = [group["rows"] for group in data["rejected"]]
    assert rows[0] == [["broken.mp4", "frame 3"]] and rows[1] == [[name, "drop-4", ""]]
    assert rows[2] == [["pair-x", "alike"], ["pair-y", "alike"]]  # the texts of pair-y are not there
    assert data["warnings"] == [("other frames", 2)] and data["stages"][0]["failed"] == {"corrupt": 1}


def test_lost_pairs_come_with_their_texts(build: Path, name: str) -> None:
    path = build / "stages" / "08-filter" / "rejected.jsonl"
    path.write_text(path.read_text().splitlines()[0] + "\n")
    _, data = write_inspection(build, None, None, limit=10, seed=0)
    assert data["rejected"][-1]["rows"] == [[name, "shuffle-2", "alike", "Why?", "same", "Same"]]


def test_a_segment_of_another_length_is_not_believed(build: Path, make_pair: Callable[..., PreferencePair]) -> None:
    pair = dataclasses.replace(make_pair(view=view(0, 2)), view_id=view(0, 2, 4, 6).view_id)
    write_pairs(build / "pairs", [pair])
    _, data = write_inspection(build, None, None, limit=10, seed=0)
    assert data["views"][0]["parts"] == [0, 1]


def cannot(folder: Path, parts: str, out: Path | None = None, videos: Path | None = None) -> None:
    with pytest.raises(InputError, match=parts) as failed:
        write_inspection(folder, out, videos, limit=10, seed=0)
    assert "\n" not in str(failed.value)


def test_what_cannot_be_inspected(tmp_path: Path, build: Path, make_pair: Callable[..., PreferencePair]) -> None:
    cannot(tmp_path / "nowhere", "nowhere: no such file or folder of pairs")
    (tmp_path / "empty").mkdir()
    cannot(tmp_path / "empty", r"empty: no \*.parquet files in this folder")
    write_pairs(tmp_path / "none", [])
    cannot(tmp_path / "none", "none: no pairs in it")
    (file,) = write_pairs(tmp_path / "torn", [make_pair()])
    file.write_bytes(file.read_bytes()[:300])
    cannot(tmp_path / "torn", "part-00000.parquet: not a readable Parquet file")
    (tmp_path / "foreign").mkdir()
    write_parquet(tmp_path / "foreign" / "a.parquet", [{"pair_id": "x"}], PAIR_SCHEMA.empty_table().select(["pair_id"]).schema)
    cannot(tmp_path / "foreign", "a.parquet: column video_id is missing")
    cannot(build, "--videos .*gone: no such folder", videos=tmp_path / "gone")
    cannot(build, "missing/a.html: its folder does not exist", out=tmp_path / "missing" / "a.html")
    cannot(build, "is a folder", out=tmp_path)
    (build / "summary.json").unlink()
    cannot(build, "run: the build is not finished")
    (build / "run.yaml").write_text("command: demo\n")
    cannot(build, "run of 'demo', not of 'data build'")
    (build / "run.yaml").write_text("a: [")
    cannot(build, "run.yaml: not readable as YAML")


def test_pictures_are_of_the_very_frames(videos: Path, name: str) -> None:
    """Cell 1 of the sprite is frame 5, as a full decode in order gives it (JPEG loses a little)."""
    import base64
    import io

    from PIL import Image

    from vtalign.video.isolated import DecodeWorkers
    from vtalign.video.sample import FramePolicy

    sheet = draw_pictures({"a": Footage(name, "pyav", [(2, None), (5, None)])}, videos, lambda: None).sprites["a"]
    image = np.asarray(Image.open(io.BytesIO(base64.b64decode(sheet["jpeg"]))))
    with DecodeWorkers(1) as workers:
        frames = workers.read(videos / name, list(range(6)), FramePolicy(max_pixels=96 * 64, multiple=8))
    cell = image[:, sheet["width"] :].astype(int)
    assert np.abs(cell - frames[5]).mean() < 4 < np.abs(cell - 255 + frames[5]).mean()
