"""Names of videos that tell their source: `1077146132.mp4` and `1077146132_reverse.mp4` are the same clip."""

from pathlib import PurePosixPath

_SHORTEST_ID = 8


def source_names(video: str) -> frozenset[str]:
    """The stem of a path, and those parts of it between underscores that look like an id (8 characters or more, a digit in them).

    TempCompass names its clips by the ids of a stock library, with what was done to them appended.
    """
    stem = PurePosixPath(video).stem
    parts = (part for part in stem.split("_") if len(part) >= _SHORTEST_ID and any(c.isdigit() for c in part))
    return frozenset((stem, *parts))
