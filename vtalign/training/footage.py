"""The videos of a stage: found, probed and decoded once before it starts. A bad one costs its rows and one line, not the run."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from vtalign.errors import InputError, VideoError
from vtalign.models.prompt import Part, Prompt
from vtalign.training.conversations import Conversation
from vtalign.training.data import PairExample, SFTExample
from vtalign.video.frames import FrameStore
from vtalign.video.isolated import DecodeWorkers
from vtalign.video.paths import confined
from vtalign.video.probe import VideoInfo
from vtalign.video.probe_cache import ProbeCache, probe_all
from vtalign.video.sample import FramePolicy, sample
from vtalign.video.view import VideoView

_PREFETCHED_TOGETHER = 64  # views: enough to keep every decoder busy, few enough for a bar that moves


@dataclass(frozen=True)
class SkippedVideo:
    """A video that cannot be read, and how many examples of the stage are left out for it."""

    video: str
    reason: str
    detail: str
    examples: int


@dataclass(frozen=True)
class VideoFolder:
    """Where videos lie, how frames are taken from them, and where decoded ones are kept."""

    root: Path
    policy: FramePolicy
    cache: Path
    workers: int
    show_progress: bool

    def read_pairs(
        self, examples: Sequence[PairExample], *, with_perturbed: bool = False
    ) -> tuple[FrameStore, list[PairExample], list[SkippedVideo]]:
        """Decode the views of `examples` (and those that their perturbations made); those of unreadable videos are left out."""
        paths = {video_id: video for example in examples for video_id, video in example.pair.paths.items()}
        views = [_views(example, with_perturbed) for example in examples]
        shown = [{video_id for view in of_example for video_id in view.video_ids} for of_example in views]
        failed = self._decode(paths, (view for of_example in views for view in of_example))
        lost = Counter(video_id for video_ids in shown for video_id in video_ids)
        kept = [example for example, video_ids in zip(examples, shown, strict=True) if not failed.keys() & video_ids]
        skipped = [
            SkippedVideo(paths[video_id], error.reason, error.detail, lost[video_id]) for video_id, error in failed.items()
        ]
        return self._store(paths), kept, _sorted(skipped)

    def read_conversations(
        self, conversations: Sequence[Conversation]
    ) -> tuple[FrameStore, list[SFTExample], list[SkippedVideo]]:
        """Probe the videos of `conversations`, sample and decode them; rows with an unreadable one are left out."""
        infos, failed = self._probe(sorted({video for row in conversations for video in row.videos}))
        views = {video: sample(info, self.policy) for video, info in infos.items()}
        paths = {info.video_id: video for video, info in sorted(infos.items())}
        undecoded = self._decode(paths, views.values())
        failed |= {video: undecoded[info.video_id] for video, info in infos.items() if info.video_id in undecoded}
        kept = [_example(row, views) for row in conversations if not failed.keys() & set(row.videos)]
        lost = Counter(video for row in conversations for video in set(row.videos))
        skipped = [SkippedVideo(video, error.reason, error.detail, lost[video]) for video, error in failed.items()]
        return self._store(paths), kept, _sorted(skipped)

    def _store(self, paths: Mapping[str, str], workers: DecodeWorkers | None = None) -> FrameStore:
        return FrameStore(self.root, paths, self.policy, workers=workers, cache=self.cache)

    def _decode(self, paths: Mapping[str, str], views: Iterable[VideoView]) -> dict[str, VideoError]:
        """Fill the cache; failures by video id."""
        distinct = sorted(dict.fromkeys(views), key=lambda view: view.slots[0].video_id)
        failed: dict[str, VideoError] = {}
        with DecodeWorkers(self.workers) as workers:
            store = self._store(paths, workers)
            bar = tqdm(total=len(distinct), desc="frames", unit="view", disable=not self.show_progress, mininterval=0.5)
            with bar:
                for start in range(0, len(distinct), _PREFETCHED_TOGETHER):
                    chunk = distinct[start : start + _PREFETCHED_TOGETHER]
                    failed |= store.prefetch(chunk)
                    bar.update(len(chunk))
        return failed

    def _probe(self, videos: Sequence[str]) -> tuple[dict[str, VideoInfo], dict[str, VideoError]]:
        """What each video holds; remembered beside the frames."""
        infos: dict[str, VideoInfo] = {}
        failed: dict[str, VideoError] = {}
        paths: dict[str, Path] = {}
        for video in videos:
            try:
                paths[video] = confined(self.root, video)
            except VideoError as error:
                failed[video] = error
        with DecodeWorkers(self.workers) as workers:
            results = probe_all(paths.values(), workers, ProbeCache(self.cache))
            bar = tqdm(results, total=len(paths), desc="probe", unit="video", disable=not self.show_progress)
            for video, result in zip(paths, bar, strict=True):
                if isinstance(result, VideoError):
                    failed[video] = result
                else:
                    infos[video] = result
        return infos, failed


def require_folder(root: Path | None, name: str) -> Path:
    """Raises InputError where the stage's videos folder is not named or not there."""
    if root is None:
        raise InputError(f"stage '{name}': its data shows videos; say where they are (`videos`)")
    if not root.is_dir():
        raise InputError(f"stage '{name}': {root}: no such videos folder")
    return root


def _views(example: PairExample, with_perturbed: bool) -> list[VideoView]:
    perturbed = example.pair.perturbed_view
    return [*example.views, *([perturbed] if with_perturbed and perturbed is not None else [])]


def _example(row: Conversation, views: Mapping[str, VideoView]) -> SFTExample:
    parts: list[Part] = [row.texts[0]] if row.texts[0] else []
    for video, text in zip(row.videos, row.texts[1:], strict=True):
        parts.append(views[video])
        if text:
            parts.append(text)
    return SFTExample(row.id, Prompt(tuple(parts)), row.response)


def _sorted(skipped: list[SkippedVideo]) -> list[SkippedVideo]:
    return sorted(skipped, key=lambda video: video.video)
