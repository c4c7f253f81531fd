"""One pass over a video instead of two: ingest's, which counts its frames, also gives what the stages behind it look at.

Packets and the first frame tell beforehand what ingest will most likely find, and so which frames its views and shots are made of.
Where the counted frames then lead to the same ones, shots are found at once and the frames of the view go into the cache; where they
do not, nothing is kept and the shot stage makes its own pass. Results are the same either way.
"""

from collections.abc import Sequence
from pathlib import Path

from vtalign.video.frame_cache import FrameCache
from vtalign.video.isolated import FrameSet, Probed
from vtalign.video.perturbation_spec import PerturbationSpec
from vtalign.video.probe import VideoInfo
from vtalign.video.sample import FramePolicy
from vtalign_data.clips import make_clips
from vtalign_data.config import BuildConfig, ClipConfig
from vtalign_data.embed import HistogramEncoder
from vtalign_data.known_shots import KnownShots
from vtalign_data.run_frames import RunFrames, frames_shown
from vtalign_data.runners.task import made
from vtalign_data.shot_pass import makes_clips, shots_of, sketch_set
from vtalign_data.stage import Row
from vtalign_data.views import make_views

_READER = "pyav"  # what ingest decodes with


class ShotsAhead:
    """What ingest's pass takes along, and what becomes of it. `all_shown`: see `make_shots`."""

    def __init__(
        self,
        clips: ClipConfig,
        specs: Sequence[PerturbationSpec],
        policy: FramePolicy,
        all_shown: bool,
        cache: FrameCache,
        known: KnownShots,
    ) -> None:
        self._clips, self._specs, self._policy, self._all_shown = clips, specs, policy, all_shown
        self._cache, self._known = cache, known
        self._encoder = HistogramEncoder() if clips.groups.merges else None

    def plan(self, guess: VideoInfo) -> list[FrameSet]:
        """The frames to take along of a video that may well be as `guess` says; none where no stage will look at it."""
        viewed = self._viewed({"video": "", **guess.to_dict()})
        return self._sets(viewed) if viewed is not None else []

    def take(self, row: Row, probed: Probed) -> None:
        """Keep what a pass gave of the video of an ingest row, if it is what the row leads to."""
        viewed = self._viewed(row) if probed.sets else None
        if viewed is None or self._sets(viewed) != probed.sets:
            return
        kept, frames = list(probed.sets), list(probed.frames)
        shots = None
        if self._clips.method != "uniform":
            shots = shots_of(viewed, frames.pop(0), kept.pop(0).indices, self._clips, self._encoder)
        if shots is None or self._all_shown or makes_clips(viewed, shots.rows, self._clips):
            for (ordinals, _), pixels in zip(kept, frames, strict=True):
                self._cache.add(row["video_id"], dict(zip(ordinals, pixels, strict=True)))
        if shots is not None:
            self._known.put(row["video_id"], shots)

    def _viewed(self, row: Row) -> Row | None:
        """An ingest row with its view; None where it has none."""
        views = make_views([row], self._policy, _READER).rows
        return {**row, **views[0]} if views else None

    def _sets(self, viewed: Row) -> list[FrameSet]:
        sets = []
        if self._clips.method != "uniform":
            sets.append(sketch_set(viewed, self._clips))
        elif not self._all_shown and not make_clips([viewed], None, self._clips, or_uniform=False).rows:
            return []
        video_id = viewed["video_id"]
        shown = set(frames_shown([viewed], self._specs)[video_id]) - self._cache.held(video_id)
        return [*sets, FrameSet(sorted(shown), self._policy)] if shown else sets


def shots_ahead(config: BuildConfig, policy: FramePolicy, frames: RunFrames) -> ShotsAhead | None:
    """The mark (`task.made`) of what each worker of ingest opens; None where the stages behind it have to read for themselves."""
    folder = frames.open_folder()
    if folder is None or not _can_be_ahead(config):
        return None
    all_shown = config.select.signal == "reversal"
    return made(open_ahead, config.clips, config.perturbations, policy, all_shown, folder, frames.own, frames.known)


def open_ahead(
    clips: ClipConfig,
    specs: Sequence[PerturbationSpec],
    policy: FramePolicy,
    all_shown: bool,
    folder: Path,
    own: bool,
    known: KnownShots,
) -> ShotsAhead | None:
    """`own`: see `run_frames.open_store`. None on a machine that does not see the run folder."""
    if (own and not folder.is_dir()) or not known.folder.parent.is_dir():
        return None
    return ShotsAhead(clips, specs, policy, all_shown, FrameCache.for_policy(folder, _READER, policy), known)


def _can_be_ahead(config: BuildConfig) -> bool:
    """Whether the process that ingests can do all that the frames are for, and whoever is ingested has a use for them."""
    clips = config.clips
    if config.reader != _READER or config.ingest.near_duplicates.max_distance is not None:
        return False
    if clips.method == "uniform":
        written = config.tells_clips or config.tells_captions or config.tells_views
        return written or config.select.signal == "reversal"
    return clips.method == "scenes" and (not clips.groups.merges or clips.groups.encoder == "histogram")
