"""`VideoView`: which frames are shown, in which order, at which shown times. No pixels."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from vtalign.ids import stable_id

_DEFAULT_STRENGTH = 4


@dataclass(frozen=True, slots=True)
class FrameTransform:
    """A named, seeded change of one frame's pixels, applied after decoding (for image-space perturbations).

    `strength`: how hard, as the transform of that name reads it. On disk the default one is left out (or null): transforms that
    were written before there was a choice had it, and their ids stay what they were.
    """

    name: str
    seed: int = 0
    strength: int = _DEFAULT_STRENGTH

    def to_dict(self) -> dict[str, Any]:
        plain = {"name": self.name, "seed": self.seed}
        return plain if self.strength == _DEFAULT_STRENGTH else {**plain, "strength": self.strength}

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> "FrameTransform":
        return FrameTransform(**{key: value for key, value in data.items() if value is not None})


@dataclass(frozen=True, slots=True)
class Slot:
    """One shown frame.

    `frame` is the decoded ordinal in the source file, or None for a blank (black) frame; `time` is the shown time in seconds on
    the clock of the view (what a model's timestamps say), not the time in the source file.
    """

    video_id: str
    frame: int | None
    time: float
    transform: FrameTransform | None = None

    @property
    def content(self) -> tuple[str, int | None, FrameTransform | None]:
        """What is shown, without when. A blank is black whichever video it stands in for."""
        return self.video_id if self.frame is not None else "", self.frame, self.transform


@dataclass(frozen=True)
class VideoView:
    """An ordered list of slots and the rate of their clock, `fps` slots per second. Hashable; JSON both ways."""

    slots: tuple[Slot, ...]
    fps: float

    def __len__(self) -> int:
        return len(self.slots)

    @property
    def video_ids(self) -> tuple[str, ...]:
        """The videos that the slots name, each once, in the order in which they come."""
        return tuple(dict.fromkeys(slot.video_id for slot in self.slots))

    @cached_property
    def view_id(self) -> str:
        return stable_id("view", self.to_dict())

    @property
    def shown(self) -> tuple[tuple[str, int | None, FrameTransform | None], ...]:
        """The sequence of contents: two views that show the same are the same to a model that has no clock."""
        return tuple(slot.content for slot in self.slots)

    def clip(self, start: int, stop: int) -> "VideoView":
        """Slots `start:stop` as a view of their own, the clock restarted at 0."""
        slots = self.slots[start:stop]
        return VideoView(tuple(replace(s, time=round(s.time - slots[0].time, 6)) for s in slots), self.fps)

    def with_contents(self, order: list[int]) -> "VideoView":
        """Slot k shows what slot `order[k]` showed; the clock stays. `order` has one entry for every slot."""
        if len(order) != len(self.slots):
            raise ValueError(f"order has {len(order)} entries for {len(self.slots)} slots")
        moved = tuple(replace(self.slots[o], time=s.time) for o, s in zip(order, self.slots, strict=True))
        return VideoView(moved, self.fps)

    def to_dict(self) -> dict[str, Any]:
        # by hand: dataclasses.asdict copies deeply and takes ten times as long, and every id is made from this
        return {
            "fps": self.fps,
            "slots": [
                {
                    "video_id": slot.video_id,
                    "frame": slot.frame,
                    "time": slot.time,
                    "transform": slot.transform.to_dict() if slot.transform else None,
                }
                for slot in self.slots
            ],
        }

    @staticmethod
    def from_dict(data: dict[str, Any]) -> "VideoView":
        def slot(row: dict[str, Any]) -> Slot:
            transform = FrameTransform.from_dict(row["transform"]) if row.get("transform") else None
            return Slot(row["video_id"], row["frame"], row["time"], transform)

        return VideoView(tuple(slot(row) for row in data["slots"]), data["fps"])

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), separators=(",", ":"))

    @staticmethod
    def from_json(text: str) -> "VideoView":
        return VideoView.from_dict(json.loads(text))
