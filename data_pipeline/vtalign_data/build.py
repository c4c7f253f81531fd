"""`vtalign data build`: a folder of videos becomes preference pairs, stage by stage, resumable at any moment."""

import json
import platform
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from functools import cached_property
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from vtalign.artifacts import claim_run_folder, write_json
from vtalign.errors import VTAlignError
from vtalign.preference.schema import SCHEMA_VERSION
from vtalign.video.frames import FrameStore
from vtalign.video.isolated import DecodeWorkers
from vtalign.video.readers import check_reader
from vtalign_data import balance, captions, clips, filter, ingest, perturbations, responses, scan, score, view_responses, views
from vtalign_data.config import BuildConfig
from vtalign_data.pairs import write_scored_pairs
from vtalign_data.progress import BuildProgress, SilentProgress
from vtalign_data.prompts import with_prompts
from vtalign_data.run_model import RunModel
from vtalign_data.stage import BatchResult, Row, Stage, StageCounts
from vtalign_data.summary import BuildSummary, count_pairs, require_some
from vtalign_data.telling import Telling
from vtalign_data.usage import counting_decodes
from vtalign_data.writer import Traced

T = TypeVar("T")
R = TypeVar("R", bound=Traced)

_WARNINGS_TOLD = 5


def run_build(config: BuildConfig, progress: BuildProgress | None = None) -> BuildSummary:
    """Build `config.out/pairs` from `config.videos`; go on where an earlier, killed run stopped.

    Raises InputError (nothing to read, no model, a folder that is not ours), RunFailed where no pairs are left.
    """
    started = time.monotonic()
    config = with_prompts(config)
    root, listed = scan.list_videos(config.videos, config.root)
    check_reader(config.reader)
    with ExitStack() as stack:
        build = _Build(config, root, listed, progress or SilentProgress(), stack)
        _claim(build)
        return build.run(started)


def _claim(build: "_Build") -> None:
    """Take the run folder; give a new one back where the model then turns out not to load."""
    out = build.config.out
    was_there = out.exists()
    resuming = claim_run_folder(out, build.settings(), "data build")
    for leftover in out.glob(".*.partial"):  # of a process that was killed while it wrote
        if leftover.is_file():
            leftover.unlink()
    try:
        _ = build.model.facts
        if not resuming:
            build.model.check_server()
    except VTAlignError:
        if not resuming:
            (out / "run.yaml").unlink()
            if not was_there:
                out.rmdir()
        raise


class _Build:
    """One run: its stages in order, and what they share."""

    def __init__(self, config: BuildConfig, root: Path, listed: Sequence[str], progress: BuildProgress, stack: ExitStack) -> None:
        self.config, self.root, self.listed = config, root, listed
        self.model = RunModel(config)
        self._progress, self._stack = progress, stack
        self._counts: list[StageCounts] = []

    def settings(self) -> dict[str, Any]:
        """All that decides the result; kept in run.yaml."""
        config = self.config
        model = str(Path(config.model).resolve()) if config.model and Path(config.model).is_dir() else config.model
        named = {"videos": str(config.videos.resolve()), "root": str(self.root.resolve()), "model": model}
        versions = {package: version(package) for package in ("vtalign", "torch", "transformers", "av", "scenedetect")}
        versions = {"python": platform.python_version(), "pair_schema": str(SCHEMA_VERSION), **versions}
        return {"config": {**config.result_settings(), **named}, "versions": versions}

    @cached_property
    def workers(self) -> DecodeWorkers:
        return self._stack.enter_context(DecodeWorkers(self.config.workers, self.config.limits))

    def run(self, started: float) -> BuildSummary:
        config, facts = self.config, self.model.facts
        size = config.batch_size
        placeholders = tuple(dict.fromkeys([*config.filters.placeholders, *facts.special_tokens]))

        scanned = self._stage(
            "01-scan", ("file", "file"), scan.SCHEMA, self.listed, str, lambda batch: scan.scan(batch, self.root), size
        )
        ingested = self._stage(
            "02-ingest",
            ("video", "video"),
            ingest.SCHEMA,
            ingest.group_copies(scanned.rows()),
            lambda copies: copies[0]["video_id"],
            lambda batch: ingest.ingest(batch, self.root, self.workers, config.reader),
            size,
        )
        infos = {row["video_id"]: row for row in ingested.rows()}
        self._tell_warnings(infos.values())
        viewed = self._stage(
            "03-views",
            ("video", "video"),
            views.SCHEMA,
            list(infos.values()),
            lambda row: row["video_id"],
            lambda batch: views.make_views(batch, facts.policy, config.reader),
            size,
        )
        clipped = self._stage(
            "04-clips",
            ("video", "video"),
            clips.SCHEMA,
            list(viewed.rows()),
            _view_id,
            lambda batch: clips.make_clips(batch, infos, config.clips, self.root, self.workers, config.reader),
            size,
        )
        perturbed = self._stage(
            "05-perturbations",
            ("video", "perturbed view"),
            perturbations.SCHEMA,
            list(clipped.rows()),
            _view_id,
            lambda batch: perturbations.make_perturbations(batch, config.perturbations, config.seed),
            size,
        )
        frames = FrameStore(
            self.root,
            {video_id: row["video"] for video_id, row in infos.items()},
            facts.policy,
            reader=config.reader,
            workers=self.workers,
            cache=config.frame_cache,
        )
        perturbed_views = _by_view(perturbed)
        telling = Telling(config, self.model, frames)
        requests = telling.clip_requests(perturbed_views)
        answers = self._answers("06-captions", "clip", captions.SCHEMA, requests, telling.write_captions)
        asked = telling.view_requests(perturbed_views)
        told = self._answers("06b-view-responses", "response", view_responses.SCHEMA, asked, telling.write_view_responses)
        candidates = self._stage(
            "07-responses",
            ("video", "pair"),
            responses.SCHEMA,
            perturbed_views,
            _first_view_id,
            lambda batch: telling.make_candidates(batch, answers, told, placeholders),
            size,
        )
        filtered = self._stage(
            "08-filter",
            ("video", "pair"),
            filter.SCHEMA,
            _by_view(candidates),
            _first_view_id,
            lambda batch: filter.filter_candidates(batch, config.filters, placeholders),
            size,
        )
        balanced = self._stage(
            "09-balance",
            ("pair", "pair"),
            balance.SCHEMA,
            list(filtered.rows()),
            _pair_id,
            lambda rows: self._balance(rows),
            None,
        )
        kept = {row["pair_id"] for row in balanced.rows(["pair_id"])}
        if config.model is None:
            scored = score.without_scores(filtered.rows(["pair_id", "group_id"]), kept)
        else:
            scored_stage = self._stage(
                "10-score",
                ("video", "pair"),
                score.SCHEMA,
                _by_view(filtered, kept),
                _first_view_id,
                lambda batch: score.score_candidates(batch, self.model.video_lm, frames, config.model_batch_size),
                size,
            )
            scored = {row["pair_id"]: row for row in scored_stage.rows()}
        folder = config.out / "pairs"
        if not folder.is_dir():
            write_scored_pairs(folder, filtered.rows(), scored)
        summary = BuildSummary(
            out=config.out,
            model=config.model or config.writer,
            writer=config.writer,
            fingerprint=facts.fingerprint,
            seed=config.seed,
            seconds=time.monotonic() - started,
            **count_pairs(filtered.rows(["pair_id", "kind", "parameters"]), scored),
            caption_requests=len(answers),
            response_requests=len(told),
            truncated=sum(row["ended"] == "length" for row in (*answers.values(), *told.values())),
            warnings=dict(Counter(text for row in infos.values() for text in row["warnings"]).most_common(20)),
            lengths=json.loads(self._lengths.read_text(encoding="utf-8")),
            stages=tuple(self._counts),
        )
        write_json(config.out / "summary.json", summary.to_dict())
        return summary

    def _stage(
        self,
        name: str,
        units: tuple[str, str],
        schema: pa.Schema,
        items: Sequence[T],
        key: Callable[[T], str],
        process: Callable[[Sequence[T]], BatchResult],
        batch_size: int | None,
    ) -> Stage:
        """Run one stage to its end; `units` name what goes in and what comes out. Raises RunFailed where it leaves nothing."""
        stage = Stage(self.config.out / "stages" / name, schema, units[1])
        self._progress.start(name, len(items), units[0])
        counted = counting_decodes(process, self.workers)
        self._counts.append(stage.run(items, key, counted, batch_size=batch_size, on_batch=self._progress.advance))
        require_some(self._counts, self.config.out)
        return stage

    def _answers(
        self, name: str, unit: str, schema: pa.Schema, requests: Sequence[R], write: Callable[[Sequence[R]], BatchResult]
    ) -> dict[str, Row]:
        """What the model wrote, by request id; a stage without requests is left out."""
        if not requests:
            return {}
        stage = self._stage(
            name, (unit, unit), schema, requests, lambda request: request.request_id, write, self.config.batch_size
        )
        return {row["request_id"]: row for row in stage.rows(["request_id", "text", "stray", "ended"])}

    def _tell_warnings(self, rows: Iterable[Row]) -> None:
        """Videos that are read, but not quite as they should be (a reader that shows other frames than PyAV, among others)."""
        warned = [(row["video"], text) for row in rows for text in row["warnings"]]
        for video, text in warned[:_WARNINGS_TOLD]:
            self._progress.say(f"02-ingest: {video}: warning: {text}")
        if len(warned) > _WARNINGS_TOLD:
            self._progress.say(
                f"02-ingest: {len(warned) - _WARNINGS_TOLD} more warnings; all are in stages/02-ingest (column warnings)"
            )

    @property
    def _lengths(self) -> Path:
        return self.config.out / "stages" / "09-balance" / "lengths.json"

    def _balance(self, rows: Sequence[Row]) -> BatchResult:
        balanced = balance.balance(
            balance.measure(rows, self.model.count_tokens), self.config.balance.max_accuracy, self.config.seed
        )
        accuracy = balanced.after.accuracy
        if accuracy is not None and accuracy > self.config.balance.max_accuracy:
            self._progress.say(f"09-balance: warning: lengths still tell chosen from rejected in {accuracy:.0%} of the pairs")
        write_json(self._lengths, balanced.to_dict())
        return balance.balance_result(balanced)


def _view_id(row: Row) -> str:
    return str(row["view_id"])


def _pair_id(row: Row) -> str:
    return str(row["pair_id"])


def _first_view_id(rows: Sequence[Row]) -> str:
    return str(rows[0]["view_id"])


def _by_view(stage: Stage, pair_ids: set[str] | None = None) -> list[list[Row]]:
    """The rows of each view together (a view's rows are neighbours); only pairs of `pair_ids` where given."""
    rows = (row for row in stage.rows() if pair_ids is None or row["pair_id"] in pair_ids)
    return [list(group) for _, group in groupby(rows, key=_view_id)]
