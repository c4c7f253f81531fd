"""Frame strips of a run's videos: the clean view and, under a control, what the model was shown instead."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vtalign.config import validate_config
from vtalign.errors import PerturbationError
from vtalign.ids import file_hash
from vtalign.report.conflict_groups import TitledStrip
from vtalign.video.frames import FrameStore
from vtalign.video.isolated import DecodeWorkers
from vtalign.video.limits import DecodeLimits
from vtalign.video.sample import FramePolicy
from vtalign.video.view import VideoView
from vtalign_eval.controls import controlled
from vtalign_eval.views import ShownVideos, show

MOST_FRAMES = 8
# For people: small, whatever size the model sees, and in the video's own proportions.
_SMALL = FramePolicy(max_pixels=160 * 120, multiple=2)


@dataclass
class Pictures:
    """Strips by video; `why_not`: by video, why it has none; `reason`: why there are none at all ("" where there are)."""

    strips: dict[str, list[TitledStrip]] = field(default_factory=dict)
    why_not: dict[str, str] = field(default_factory=dict)
    reason: str = ""


def pictures_of(record: Mapping[str, Any], videos: Sequence[str], hashes: Mapping[str, str | None]) -> Pictures:
    """Strips of `videos` as a run of `record` (the `vtalign` part of its results) looked at them.

    `hashes`: SHA-256 of the videos at the time of the run, as far as they are known; a file that is another one now is not shown.
    """
    if record["frame_policy"] is None:
        return Pictures(reason="No frames are shown: these replies were stored or came from elsewhere, with frames of their own.")
    config = record["config"]
    data = Path(config["data"])
    if not data.is_dir():
        return Pictures(reason=f"No frames are shown: the videos are no longer in {data}.")
    policy = validate_config(FramePolicy, record["frame_policy"], "frame_policy")
    limits = validate_config(DecodeLimits, config.get("decode", {}), "decode")
    with DecodeWorkers(config.get("decode_workers", 1), limits) as workers:
        shown = show(data, sorted(set(videos)), policy, "none", 0, workers, lambda _: None)
        found = Pictures(why_not={video: error.reason for video, error in shown.failures.items()})
        _set_changed_aside(data, shown, hashes, found)
        store = FrameStore(data, shown.paths, _SMALL, reader=config.get("reader", "pyav"), workers=workers)
        views = {video: _views(view, record, policy) for video, view in shown.views.items() if view is not None}
        failed = store.prefetch([few(view) for titled in views.values() for _, view in titled])
        for video, titled in views.items():
            video_id = titled[0][1].slots[0].video_id
            if video_id in failed:
                found.why_not[video] = failed[video_id].reason
            else:
                found.strips[video] = [_strip(title, view, store) for title, view in titled]
    return found


def few(view: VideoView, most: int = MOST_FRAMES) -> VideoView:
    """At most `most` slots, evenly spread, both ends included."""
    places = np.linspace(0, len(view) - 1, min(len(view), most)).round().astype(int)
    return VideoView(tuple(view.slots[place] for place in places), view.fps)


def _set_changed_aside(data: Path, shown: ShownVideos, hashes: Mapping[str, str | None], found: Pictures) -> None:
    for video in list(shown.views):
        known = hashes.get(video)
        if known is not None and file_hash(data / video) != known:
            del shown.views[video]
            found.why_not[video] = "the file has changed since the run"


def _views(view: VideoView, record: Mapping[str, Any], policy: FramePolicy) -> list[tuple[str, VideoView]]:
    """What there is to see of one video, titled."""
    control, seed = record["control"], record["config"]["seed"]
    if control == "none":
        return [("shown to the model", view)]
    try:
        instead = controlled(view, control, seed, policy)
    except PerturbationError:
        return [(f"shown to the model as it is: {control} cannot change it", view)]
    if instead is None:
        return [("the video, of which the model was shown nothing", view)]
    return [("the video", view), (f"shown to the model: {control}", instead)]


def _strip(title: str, view: VideoView, store: FrameStore) -> TitledStrip:
    part = few(view)
    count = f"{len(part)} of {len(view)} frames" if len(part) < len(view) else f"all {len(view)} frames"
    captions = [f"{round(slot.time, 2):g} s" for slot in part.slots]
    return {"title": f"{title} ({count})", "frames": store.frames(part), "captions": captions}
