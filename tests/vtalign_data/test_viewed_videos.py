from pathlib import Path

import pyarrow as pa
import pytest

from vtalign_data.ingest import SCHEMA
from vtalign_data.stage import BatchResult, Row, Stage
from vtalign_data.viewed_videos import ViewedVideos


def video(number: int) -> Row:
    known = {"video_id": f"v{number:02d}", "video": f"{number}.mp4", "width": 64 + number, "height": 48, "duration": number / 2}
    return {**dict.fromkeys(SCHEMA.names), **known, "times": [k / 4 for k in range(number)]}


@pytest.fixture
def ingested(tmp_path: Path) -> Stage:
    stage = Stage(tmp_path / "02-ingest", pa.schema(SCHEMA), "video")
    stage.run(range(20), str, lambda batch: BatchResult([video(number) for number in batch]), batch_size=3)
    return stage


def viewed(*numbers: int) -> list[Row]:
    return [{"view_id": f"view-{number}", "video_id": f"v{number:02d}", "video": f"{number}.mp4"} for number in numbers]


def test_views_are_joined_with_their_videos(ingested: Stage) -> None:
    numbers = [0, 1, 4, 5, 6, 11, 12, 19]
    expected = [
        {**row, **{name: video(number)[name] for name in ("width", "height", "duration", "times")}}
        for row, number in zip(viewed(*numbers), numbers, strict=True)
    ]

    def plain(rows: list[Row]) -> list[Row]:
        return [{**row, "times": list(row["times"])} for row in rows]

    joined = ViewedVideos(viewed(*numbers), ingested)
    assert plain(list(joined)) == expected and len(joined) == 8
    for start in range(9):
        for stop in range(9):
            assert plain(joined[start:stop]) == expected[start:stop]
    assert plain([joined[-1], joined[3], joined[-2]]) == [expected[-1], expected[3], expected[-2]]
    assert list(ViewedVideos([], ingested)) == []


def test_a_slice_reads_only_the_parts_that_it_reaches_into(ingested: Stage) -> None:
    joined = ViewedVideos(viewed(*range(0, 20, 2)), ingested)
    for part in ingested.parts():
        if part.name != "part-00002.parquet":  # videos 6 to 8
            part.unlink()
    assert [row["width"] for row in joined[3:5]] == [70, 72]
    with pytest.raises(FileNotFoundError):
        joined[2:5]
