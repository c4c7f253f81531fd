"""Views beside what ingest knows of their videos, read as it is needed: the times of all frames of all videos fit into no memory."""

from array import array
from collections.abc import Iterator, Sequence
from typing import overload

from vtalign_data.stage import Row, Stage
from vtalign_data.stage_rows import StageRows

_KNOWN = ("width", "height", "duration", "times")
_CHUNK = 32


class ViewedVideos(Sequence[Row]):
    """View rows, each with the `width`, `height`, `duration` and `times` (an array of seconds, one a frame) of its video.

    A slice reads from the first to the last of its videos in the ingest stage, whose order views have as a rule; iterating holds a
    few videos at a time.
    """

    def __init__(self, viewed: Sequence[Row], ingested: Stage) -> None:
        places = {row["video_id"]: place for place, row in enumerate(ingested.rows(["video_id"]))}
        self._viewed, self._videos = viewed, StageRows(ingested, _KNOWN)
        self._places = array("q", (places[row["video_id"]] for row in viewed))

    def __len__(self) -> int:
        return len(self._viewed)

    def __iter__(self) -> Iterator[Row]:
        for start in range(0, len(self), _CHUNK):
            yield from self[start : start + _CHUNK]

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        if not isinstance(index, slice):
            return self._beside([self._viewed[index]], self._places[index : index + 1 or None])[0]
        return self._beside(self._viewed[index], self._places[index])

    def _beside(self, rows: Sequence[Row], places: Sequence[int]) -> list[Row]:
        if not rows:
            return []
        first = min(places)
        videos = self._videos[first : max(places) + 1]
        return [_joined(row, videos[place - first]) for row, place in zip(rows, places, strict=True)]


def _joined(row: Row, video: Row) -> Row:
    return {**row, **video, "times": array("d", video["times"])}  # a fourth of the list, also when it is sent
