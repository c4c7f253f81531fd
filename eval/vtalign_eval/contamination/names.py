"""Names of videos that tell their source: `1077146132.mp4` and `1077146132_reverse.mp4` are the same clip."""

import re
from pathlib import PurePosixPath

_SHORTEST_ID = 8
# What TempCompass appends to the id of a clip; ids before it may be as short as `315784_reverse`.
_MADE_FROM = re.compile(r"(?P<id>\d{5,})_(?:reverse|concat_\d+)")


def source_names(video: str) -> frozenset[str]:
    """The stem of a path, and those parts of it between underscores that look like an id (8 characters or more, a digit in them).

    TempCompass names its clips by the ids of a stock library, with what was done to them appended. Behind such a suffix a number of
    5 digits is an id too: some of its ids are short, and counters (`train_0001`) are not written that way.
    """
    stem = PurePosixPath(video).stem
    parts = (part for part in stem.split("_") if len(part) >= _SHORTEST_ID and any(c.isdigit() for c in part))
    made = _MADE_FROM.fullmatch(stem)
    return frozenset((stem, *parts, *([made["id"]] if made else [])))
