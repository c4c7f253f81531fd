"""Where a build keeps the decoded frames of its views: the first stage that reads a video leaves them for all others.

A folder of the build's own (`OUT/frames.tmp`) is there until the build has ended well, also across kills; one that the config names
is kept, and training and evaluation with the same `frame_cache` find frames and probes in it. Beside it lie, in `OUT/shots.tmp`, the
shots that ingest has found ahead of their stage.
"""

import shutil
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from vtalign.video.frame_cache import LEFT_FREE, FrameCache
from vtalign.video.frames import FrameStore
from vtalign.video.isolated import DecodeWorkers
from vtalign.video.perturbation_spec import PerturbationSpec
from vtalign.video.probe_cache import ProbeCache
from vtalign.video.resample import slowed
from vtalign.video.sample import FramePolicy, frame_size
from vtalign.video.view import VideoView
from vtalign_data.config import BuildConfig
from vtalign_data.ingest import info_of
from vtalign_data.known_shots import KnownShots
from vtalign_data.runners.task import WORKERS, made
from vtalign_data.stage import Row

_MUCH = 8 * 2**30  # bytes of frames of which a user is told beforehand

Shown = Mapping[str, Sequence[int]]
"""Video id -> ordinals of the frames that views of it show, rising."""


class RunFrames:
    """The frame cache of one build."""

    def __init__(self, config: BuildConfig, say: Callable[[str], object]) -> None:
        self.own, self._say = config.frame_cache is None, say
        self._ended = (config.out / "summary.json").is_file()  # all is done: nothing will be decoded
        # workers may have another working directory
        self._of_the_run = (config.out / "frames.tmp").resolve()
        self.folder: Path | None = None
        if config.frame_cache != "none":
            self.folder = config.frame_cache.resolve() if config.frame_cache else self._of_the_run
        self.known = KnownShots((config.out / "shots.tmp").resolve())

    def open_folder(self) -> Path | None:
        """The folder, for a build that decodes; None where nothing is kept."""
        if self.folder is not None and self.own:
            try:
                self.folder.mkdir(exist_ok=True)
            except OSError:  # a full disk; FrameCache would say so of frames
                self.folder = None
        return None if self._ended else self.folder

    def store(
        self,
        config: BuildConfig,
        root: Path,
        infos: Mapping[str, Row],
        probed: Iterable[Row],
        policy: FramePolicy,
        shown: Shown,
    ) -> FrameStore:
        """The mark (`task.made`) of the store that each worker opens; says beforehand what the cache will take of the disk.

        `infos`: `video`, `width` and `height` by video id. `probed`: ingest rows, read where a folder keeps them for others.
        """
        folder = self.open_folder()
        if folder is not None:
            kept = FrameCache.for_policy(folder, config.reader, policy).kept_bytes(shown)
            self._tell_need(max(0, _bytes_of(shown, infos, policy) - kept))
            if not self.own:
                probes = ProbeCache(folder)
                for row in probed:
                    probes.put(root / row["video"], info_of(row))
        videos = {video_id: row["video"] for video_id, row in infos.items()}
        return made(open_store, root, videos, policy, config.reader, WORKERS, self.folder, self.own, shown)

    def remove(self) -> None:
        """For the end of a build: nothing is shown any more."""
        self.known.remove()
        if self.own or self.folder != self._of_the_run:  # the user may have named it
            shutil.rmtree(self._of_the_run, ignore_errors=True)  # also where a run that was killed had no other place

    def _tell_need(self, need: int) -> None:
        assert self.folder is not None
        free = shutil.disk_usage(_existing(self.folder)).free
        if need > free - LEFT_FREE:
            self._say(
                f"frames: up to {_gib(need)} wanted in {self.folder}, {_gib(free)} free: stages decode again what does not fit "
                "(frame_cache=FOLDER is another place, frame_cache=none keeps none)"
            )
        elif need > _MUCH:
            until = "until the build has ended" if self.own else "kept"
            self._say(f"frames: up to {_gib(need)} in {self.folder}, {until} (frame_cache=none: stages decode again instead)")


def open_store(
    root: Path,
    videos: Mapping[str, str],
    policy: FramePolicy,
    reader: str,
    workers: DecodeWorkers,
    cache: Path | None,
    own: bool,
    shown: Shown,
) -> FrameStore:
    """`own`: the folder is there on machines that see the run folder; frames that others left behind would never be removed."""
    if cache is not None and own and not cache.is_dir():
        cache = None
    return FrameStore(root, videos, policy, reader=reader, workers=workers, cache=cache, shown=shown)


def frames_shown(rows: Iterable[Row], specs: Iterable[PerturbationSpec]) -> dict[str, Sequence[int]]:
    """What clean and perturbed views will show, of view rows. Perturbations move the frames of a view, `speed` alone shows others:
    those in between, when it is slow."""
    factors = {spec.strength for spec in specs if spec.name == "speed" and spec.direction == "slow"}
    shown: dict[str, Sequence[int]] = {}
    for row in rows:
        slots = VideoView.from_json(row["view"]).slots
        views = [slots, *(slowed(slots, factor) for factor in sorted(factors))]
        shown[row["video_id"]] = array("q", sorted({slot.frame for view in views for slot in view if slot.frame is not None}))
    return shown


def _bytes_of(shown: Shown, infos: Mapping[str, Row], policy: FramePolicy) -> int:
    total = 0
    for video_id, ordinals in shown.items():
        width, height = frame_size(infos[video_id]["width"], infos[video_id]["height"], policy)
        total += 3 * width * height * len(ordinals)
    return total


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())


def _gib(count: int) -> str:
    return f"{count / 2**30:,.1f} GiB"
