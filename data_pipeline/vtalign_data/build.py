"""`vtalign data build`: a folder of videos becomes preference pairs, stage by stage, resumable at any moment."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from vtalign.artifacts import claim_run_folder, hold_run_folder, remove_leftovers, write_json
from vtalign.errors import RunFailed, VTAlignError
from vtalign.video.readers import check_reader
from vtalign_data import clips, filter, perturbations, scan, shot_pass, views
from vtalign_data.annotated.stages import annotated_candidates, check_judge
from vtalign_data.annotated.table import Placed, read_annotations
from vtalign_data.card import BuildFacts, dataset_card
from vtalign_data.config import BuildConfig
from vtalign_data.corpus import ingest_corpus, list_source
from vtalign_data.distractors import distractor_pool
from vtalign_data.listing.entries import BadEntry
from vtalign_data.listing.index import Listing
from vtalign_data.listing.source import Source, find_source
from vtalign_data.pair_selection import PairSelection, rows_by_view
from vtalign_data.pair_statistics import pair_statistics
from vtalign_data.pairs import put_pairs
from vtalign_data.progress import BuildProgress, SilentProgress
from vtalign_data.prompts import with_prompts
from vtalign_data.run_frames import RunFrames, frames_shown
from vtalign_data.runners.choose import open_runner
from vtalign_data.runners.task import WORKERS, Process, Runner
from vtalign_data.runners.tools import WorkTools
from vtalign_data.shots_ahead import shots_ahead
from vtalign_data.stage import Row, Stage, StageCounts
from vtalign_data.stage_rows import StageRows
from vtalign_data.summary import BuildSummary, count_pairs, length_states, read_lengths, require_some
from vtalign_data.telling import Telling
from vtalign_data.text_pairs.stages import caption_lists, write_build_text
from vtalign_data.versions import run_versions
from vtalign_data.video_selection import found_shots, selected_views
from vtalign_data.video_selection_report import selection_record

T = TypeVar("T")

_WARNINGS_TOLD = 5


def run_build(config: BuildConfig, progress: BuildProgress | None = None) -> BuildSummary:
    """Build `config.out/pairs` from `config.videos`; go on where an earlier, killed run stopped.

    Raises InputError (nothing to read, no model, a folder that is not ours), RunFailed where no pairs are left.
    """
    started = time.monotonic()
    config = with_prompts(config)
    source = find_source(config.videos, config.root, config.columns, config.extensions)
    check_reader(config.reader)
    shot_pass.check_shot_tools(config.clips)
    with ExitStack() as stack:
        runner, tools = open_runner(config, stack)
        build = _Build(config, source, progress or SilentProgress(), runner, tools)
        _claim(build, stack)
        return build.run(started)


def _claim(build: "_Build", stack: ExitStack) -> None:
    """Take the run folder until `stack` is left; give a new one back where nothing is listed or the model turns out not to load."""
    out = build.config.out
    was_there = out.exists()
    resuming = claim_run_folder(out, build.settings(), "data build")
    stack.enter_context(hold_run_folder(out))
    try:
        _ = build.listing
        _ = build.annotations
        if not resuming:  # before the model is loaded, which leaves a record
            build.model.check_server()
            check_judge(build.config)
        _ = build.model.facts
    except VTAlignError:
        if not resuming:
            (out / "run.yaml").unlink()
            if not was_there:
                out.rmdir()
        raise


class _Build:
    """One run: its stages in order, and what they share."""

    def __init__(self, config: BuildConfig, source: Source, progress: BuildProgress, runner: Runner, tools: WorkTools) -> None:
        self.config, self.source, self.root = config, source, source.root
        self.model = tools.model
        self._progress, self._runner = progress, runner
        self._counts: list[StageCounts] = []
        self._frames = RunFrames(config, progress.say)

    def settings(self) -> dict[str, Any]:
        """All that decides the result; kept in run.yaml."""
        config = self.config
        model = str(Path(config.model).resolve()) if config.model and Path(config.model).is_dir() else config.model
        named = {"videos": str(config.videos.resolve()), "root": str(self.root.resolve()), "model": model}
        return {"config": {**config.result_settings(), **named}, "versions": run_versions(config.clips.method)}

    @cached_property
    def listing(self) -> Listing:
        return list_source(self.source, self.config.out, self.config.limit)

    @cached_property
    def annotations(self) -> list[Placed | BadEntry]:
        """What the manifest or the file of annotations says, where that is asked about."""
        config = self.config
        if not config.tells_annotations:
            return []
        if config.annotations.file is not None:
            return read_annotations(config.annotations.file, config.annotations.columns, self.root)
        return [Placed(f"{self.source.manifest}:{row}", path, said) for path, row, said in self.listing.annotations()]

    def run(self, started: float) -> BuildSummary:
        config, facts = self.config, self.model.facts
        size = config.batch_size
        placeholders = tuple(dict.fromkeys([*config.filters.placeholders, *facts.special_tokens]))

        ingested = ingest_corpus(
            config, self.root, self.listing, WORKERS, self._stage, shots_ahead(config, facts.policy, self._frames)
        )
        infos = {row["video_id"]: row for row in ingested.rows(["video_id", "video", "width", "height", "warnings"])}
        self._tell_warnings(infos.values())
        viewed = self._stage(
            "03-views",
            ("video", "video"),
            views.SCHEMA,
            StageRows(ingested),
            lambda row: row["video_id"],
            lambda batch: views.make_views(batch, facts.policy, config.reader),
            size,
        )
        views_made = list(viewed.rows())
        shown = frames_shown(views_made, config.perturbations)
        frames = self._frames.store(config, self.root, infos, StageRows(ingested), facts.policy, shown)
        readable, shots = found_shots(self._stage, config, views_made, ingested, frames, self._frames.known)
        chosen = selected_views(self._stage, config, readable, frames)
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
        pool = distractor_pool(clipped.rows(), config.perturbations, config.seed)
        perturbed = self._stage(
            "05-perturbations",
            ("video", "perturbed view"),
            perturbations.SCHEMA,
            StageRows(clipped),
            _view_id,
            lambda batch: perturbations.make_perturbations(batch, config.perturbations, config.seed, pool),
            size,
        )
        perturbed_views = rows_by_view([perturbed])
        telling = Telling(self._stage, config, self.model.writer_fingerprint, frames)
        described = telling.clips(perturbed_views)
        told = telling.views(perturbed_views)
        candidates = telling.candidates(perturbed_views, described, told, placeholders)
        annotated = (
            [
                annotated_candidates(
                    self._stage, config, self.model, self._scanned, self.annotations, perturbed_views, frames, placeholders
                )
            ]
            if config.tells_annotations
            else []
        )
        filtered = self._stage(
            "08-filter",
            ("video", "pair"),
            filter.SCHEMA,
            rows_by_view([candidates, *annotated]),
            _first_view_id,
            lambda batch: filter.filter_candidates(batch, config.filters, placeholders),
            size,
        )
        scored = PairSelection(self._stage, config, self.model, self._progress.say).selected(filtered, frames)
        if config.text_pairs is not None:
            lists = caption_lists(perturbed_views, telling.asking, described)
            write_build_text(self._stage, config, config.text_pairs, lists, placeholders)
        counts = count_pairs(filtered.rows(["pair_id", "kind", "parameters"]), scored)
        lengths = read_lengths(config.out / "stages")
        known = BuildFacts(
            config,
            self.settings()["versions"],
            facts.fingerprint,
            counts["by_perturbation"],
            tuple(self._counts),
            length_states(lengths),
        )
        folder = config.out / "pairs"
        put_pairs(folder, filtered.rows(), scored, lambda pairs: dataset_card(known, pair_statistics(pairs)))
        summary = BuildSummary(
            out=config.out,
            model=config.model or config.writer,
            writer=config.writer,
            fingerprint=facts.fingerprint,
            seed=config.seed,
            seconds=time.monotonic() - started,
            **counts,
            caption_requests=len(described),
            response_requests=len(told),
            truncated=sum(row["ended"] == "length" for row in (*described.values(), *told.values())),
            warnings=dict(Counter(text for row in infos.values() for text in row["warnings"]).most_common(20)),
            lengths=lengths,
            statistics=pair_statistics(folder).to_dict(),
            selection=selection_record(config, self._counts),
            stages=tuple(self._counts),
        )
        write_json(config.out / "summary.json", summary.to_dict())
        self._frames.remove()
        remove_leftovers(config.out)
        return summary

    def _stage(
        self,
        name: str,
        units: tuple[str, str],
        schema: pa.Schema,
        items: Sequence[T],
        key: Callable[[T], str],
        process: Process[T],
        batch_size: int | None,
        required: bool = True,
    ) -> Stage:
        """Run one stage to its end; `units` name what goes in and what comes out. Raises RunFailed where a `required` one leaves
        nothing.

        A `task` is done by the runner's workers, any other callable in this process.
        """
        stage = Stage(self.config.out / "stages" / name, schema, units[1])
        self._progress.start(name, len(items), units[0])
        counts = stage.run(items, key, process, batch_size=batch_size, on_batch=self._progress.advance, runner=self._runner)
        self._counts.append(counts)
        if required:
            try:
                require_some(self._counts, self.config.out)
            except RunFailed:
                self._frames.remove()  # this config will leave nothing again
                raise
        return stage

    @property
    def _scanned(self) -> Stage:
        return Stage(self.config.out / "stages" / "01-scan", scan.SCHEMA, "file")

    def _tell_warnings(self, rows: Iterable[Row]) -> None:
        """Videos that are read, but not quite as they should be (a reader that shows other frames than PyAV, among others)."""
        warned = [(row["video"], text) for row in rows for text in row["warnings"]]
        for video, text in warned[:_WARNINGS_TOLD]:
            self._progress.say(f"02-ingest: {video}: warning: {text}")
        if len(warned) > _WARNINGS_TOLD:
            self._progress.say(
                f"02-ingest: {len(warned) - _WARNINGS_TOLD} more warnings; all are in stages/02-ingest (column warnings)"
            )


def _view_id(row: Row) -> str:
    return str(row["view_id"])


def _first_view_id(rows: Sequence[Row]) -> str:
    return str(rows[0]["view_id"])
