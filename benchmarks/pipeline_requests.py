"""The requests that a build made of its videos, read from its stages, so that a peer can be asked the same ones."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from vtalign.video.view import VideoView
from vtalign_data.config import BuildConfig
from vtalign_data.responses import clip_text

Json = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """One request. `frames`: the ordinals that it shows, in its order; or `told`: the descriptions that it is made of, by id."""

    id: str
    prompt: str
    frames: tuple[int, ...] = ()
    told: tuple[str, ...] = ()

    def filled(self, captions: Mapping[str, str]) -> str:
        """The prompt, with the descriptions that it names."""
        if not self.told:
            return self.prompt
        return self.prompt.format(captions="\n".join(clip_text(captions[name]) for name in self.told))


@dataclass(frozen=True)
class VideoWork:
    """What is asked about one video. `clean`: the ordinals of its clean view, rising."""

    path: str
    clean: tuple[int, ...]
    captions: tuple[Asked, ...]
    responses: tuple[Asked, ...]

    def places(self, frames: Sequence[int]) -> list[int]:
        """Where `frames` are in what is decoded of the clean view."""
        at = {frame: place for place, frame in enumerate(self.clean)}
        return [at[frame] for frame in frames]

    def to_dict(self) -> Json:
        return asdict(self)

    @staticmethod
    def from_dict(data: Json) -> "VideoWork":
        asked = {
            name: tuple(Asked(row["id"], row["prompt"], tuple(row["frames"]), tuple(row["told"])) for row in data[name])
            for name in ("captions", "responses")
        }
        return VideoWork(data["path"], tuple(data["clean"]), **asked)


def read_works(out: Path, root: Path, config: BuildConfig) -> list[VideoWork]:
    """What the build in `out` asked about each of the videos that it made responses to, by path."""
    stages = out / "stages"
    views = {row["video"]: ordinals(row["view"]) for row in _rows(stages / "05-perturbations")}
    captions = [
        (row["video"], Asked(row["request_id"], row["prompt"], ordinals(row["clip"]))) for row in _rows(stages / "06-captions")
    ]
    if config.tells_views:
        rows = _rows(stages / "06b-view-responses")
        responses = [(row["video"], Asked(row["request_id"], row["prompt"], ordinals(row["shown"][0]))) for row in rows]
    else:
        responses = merged(_rows(stages / "07-responses"), config.composer.merge_prompt)
    return [
        VideoWork(
            str(root / video),
            tuple(sorted(set(clean))),
            tuple(asked for of, asked in captions if of == video),
            tuple(asked for of, asked in responses if of == video),
        )
        for video, clean in sorted(views.items())
    ]


def merged(rows: Iterable[Json], prompt: str) -> list[tuple[str, Asked]]:
    """(video, request) of each distinct sequence of descriptions that candidate rows put together, clean ones first."""
    distinct: dict[tuple[str, tuple[str, ...]], Asked] = {}
    for row in rows:
        for told in (tuple(row["chosen_requests"]), tuple(row["rejected_requests"])):
            distinct.setdefault((row["video"], told), Asked(" ".join(told), prompt, (), told))
    return [(video, asked) for (video, _), asked in distinct.items()]


def ordinals(view: str) -> tuple[int, ...]:
    """The frames of a view given as JSON, in its order. Raises ValueError for one with blanks, which no file has."""
    frames = tuple(slot.frame for slot in VideoView.from_json(view).slots)
    if None in frames:
        raise ValueError("a view with blank slots cannot be asked of a peer")
    return tuple(frame for frame in frames if frame is not None)


def _rows(stage: Path) -> list[Json]:
    return [row for part in sorted(stage.glob("part-*.parquet")) for row in pq.read_table(part).to_pylist()]
