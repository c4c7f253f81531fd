"""`vtalign data build`: a folder of videos becomes preference pairs, stage by stage, resumable at any moment."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from vtalign.artifacts import claim_run_folder, write_json
from vtalign.errors import VTAlignError
from vtalign.preference.pair import VIEW_KIND
from vtalign.video.frames import FrameStore
from vtalign.video.readers import check_reader
from vtalign_data import balance, captions, clips, filter, perturbations, responses, scan, score, selection, shot_pass, views
from vtalign_data.annotated.stages import annotated_candidates
from vtalign_data.card import BuildFacts, dataset_card
from vtalign_data.config import BuildConfig
from vtalign_data.corpus import ingest_corpus, list_source
from vtalign_data.distractors import distractor_pool
from vtalign_data.lengths import PairLength
from vtalign_data.listing.index import Listing
from vtalign_data.listing.source import Source, find_source
from vtalign_data.pair_statistics import pair_statistics
from vtalign_data.pairs import put_pairs
from vtalign_data.progress import BuildProgress, SilentProgress
from vtalign_data.runners.choose import open_runner
from vtalign_data.runners.task import VIDEO_LM, WORKERS, Process, Runner, made, task
from vtalign_data.runners.tools import WorkTools
from vtalign_data.score_filter_config import ScoreFilterConfig
from vtalign_data.selection_report import selection_record
from vtalign_data.stage import BatchResult, Row, Stage, StageCounts
from vtalign_data.stage_rows import StageRows
from vtalign_data.summary import BuildSummary, count_pairs, length_states, read_lengths, require_some
from vtalign_data.text_pairs.stages import caption_lists, write_build_text
from vtalign_data.versions import run_versions
from vtalign_data.video_selection import found_shots, selected_views

T = TypeVar("T")

_WARNINGS_TOLD = 5

# Settings that came after the first release, as they are where they change nothing: a run begun without them goes on.
_LATER = {"config": {"score_filters": ScoreFilterConfig().model_dump(mode="json")}}


def run_build(config: BuildConfig, progress: BuildProgress | None = None) -> BuildSummary:
    """Build `config.out/pairs` from `config.videos`; go on where an earlier, killed run stopped.

    Raises InputError (nothing to read, no model, a folder that is not ours), RunFailed where no pairs are left.
    """
    started = time.monotonic()
    source = find_source(config.videos, config.root, config.columns, config.extensions)
    check_reader(config.reader)
    shot_pass.check_shot_tools(config.clips)
    with ExitStack() as stack:
        runner, tools = open_runner(config, stack)
        build = _Build(config, source, progress or SilentProgress(), runner, tools)
        _claim(build)
        return build.run(started)


def _claim(build: "_Build") -> None:
    """Take the run folder; give a new one back where nothing is listed or the model turns out not to load."""
    out = build.config.out
    was_there = out.exists()
    resuming = claim_run_folder(out, build.settings(), "data build", _LATER)
    for leftover in out.glob(".*.partial"):  # of a process that was killed while it wrote
        if leftover.is_file():
            leftover.unlink()
    try:
        _ = build.listing
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

    def settings(self) -> dict[str, Any]:
        """All that decides the result; kept in run.yaml."""
        config = self.config
        model = str(Path(config.model).resolve()) if Path(config.model).is_dir() else config.model
        named = {"videos": str(config.videos.resolve()), "root": str(self.root.resolve()), "model": model}
        return {"config": {**config.result_settings(), **named}, "versions": run_versions(config.clips.method)}

    @cached_property
    def listing(self) -> Listing:
        return list_source(self.source, self.config.out, self.config.limit)

    def run(self, started: float) -> BuildSummary:
        config, facts = self.config, self.model.facts
        size = config.batch_size
        placeholders = tuple(dict.fromkeys([*config.filters.placeholders, *facts.special_tokens]))

        ingested = ingest_corpus(config, self.root, self.listing, WORKERS, self._stage)
        infos = {row["video_id"]: row for row in ingested.rows()}
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
        frames = made(
            FrameStore,
            self.root,
            {video_id: row["video"] for video_id, row in infos.items()},
            facts.policy,
            reader=config.reader,
            workers=WORKERS,
            cache=config.frame_cache,
        )
        chosen = selected_views(self._stage, config, list(viewed.rows()), frames)
        chosen, shots = found_shots(self._stage, config, self.root, chosen, infos)
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
        asking = captions.Asking(config.captions, facts.fingerprint, config.seed)
        perturbed_views = _by_view([perturbed])
        described_rows = (row for rows in perturbed_views for row in rows) if config.needs_captions else ()
        requests = captions.clip_requests(described_rows, asking)
        described = self._stage(
            "06-captions",
            ("clip", "clip"),
            captions.SCHEMA,
            requests,
            lambda request: request.request_id,
            task(captions.write_captions, asking, VIDEO_LM, frames, config.model_batch_size),
            size,
            required=config.needs_captions,
        )
        answers = {row["request_id"]: row for row in described.rows(["request_id", "text", "stray", "ended"])}
        candidates = self._stage(
            "07-responses",
            ("video", "pair"),
            responses.SCHEMA,
            perturbed_views if {"self", "text"} & set(config.sources) else [],
            _first_view_id,
            task(responses.make_candidates, answers, asking, self._composer(frames), config, placeholders),
            size,
            required=config.sources in (("self",), ("text",), ("self", "text")),
        )
        annotated = (
            [annotated_candidates(self._stage, config, self.root, self.model, self._scanned, perturbed_views, frames)]
            if config.annotations is not None
            else []
        )
        filtered = self._stage(
            "08-filter",
            ("video", "pair"),
            filter.SCHEMA,
            _by_view([candidates, *annotated]),
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
            _by_view([filtered], kept),
            _first_view_id,
            task(score.score_candidates, VIDEO_LM, frames, config.model_batch_size),
            size,
        )
        lengths = {row["pair_id"]: PairLength(**row) for row in balanced.rows()}
        selected = self._stage(
            "11-select",
            ("pair", "pair"),
            balance.SCHEMA,
            selection.scored_pairs(filtered.rows(selection.TEXTS), scored_stage.rows(["pair_id", "scores"])),
            lambda pair: pair.pair_id,
            lambda pairs: self._select(pairs, lengths),
            None,
        )
        staying = {row["pair_id"] for row in selected.rows(["pair_id"])}
        scored = {row["pair_id"]: row for row in scored_stage.rows() if row["pair_id"] in staying}
        if config.text_pairs is not None:
            write_build_text(
                self._stage, config, config.text_pairs, caption_lists(perturbed_views, asking, answers), placeholders
            )
        counts = count_pairs(filtered.rows(["pair_id", "kind", "parameters"]), scored)
        told = read_lengths(config.out / "stages")
        known = BuildFacts(
            config,
            self.settings()["versions"],
            facts.fingerprint,
            counts["by_perturbation"],
            tuple(self._counts),
            length_states(told),
        )
        folder = config.out / "pairs"
        put_pairs(folder, filtered.rows(), scored, lambda pairs: dataset_card(known, pair_statistics(pairs)))
        summary = BuildSummary(
            out=config.out,
            model=config.model,
            fingerprint=facts.fingerprint,
            seed=config.seed,
            seconds=time.monotonic() - started,
            **counts,
            caption_requests=len(answers),
            truncated=sum(row["ended"] == "length" for row in answers.values()),
            warnings=dict(Counter(text for row in infos.values() for text in row["warnings"]).most_common(20)),
            lengths=told,
            statistics=pair_statistics(folder).to_dict(),
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
            require_some(self._counts, self.config.out)
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

    def _composer(self, frames: FrameStore) -> responses.Composer:
        config = self.config
        if config.composer.method == "join":
            return responses.JoinComposer(config.composer)
        return made(responses.ModelComposer, config.composer, VIDEO_LM, frames, config.model_batch_size, config.seed)

    def _select(self, pairs: Sequence[selection.ScoredPair], lengths: Mapping[str, PairLength]) -> BatchResult:
        config = self.config
        selected = selection.select(pairs, lengths, config.score_filters, config.balance.max_accuracy, config.seed)
        self._keep_lengths("11-select", selected.balanced)
        return selected.result

    def _keep_lengths(self, stage: str, balanced: balance.Balanced) -> None:
        accuracy = balanced.after.accuracy
        if accuracy is not None and accuracy > self.config.balance.max_accuracy:
            self._progress.say(f"{stage}: warning: lengths still tell chosen from rejected in {accuracy:.0%} of the pairs")
        write_json(self.config.out / "stages" / stage / "lengths.json", balanced.to_dict())

    def _balance(self, rows: Sequence[Row]) -> BatchResult:
        tokenizer = self.model.video_lm.tokenizer

        def count_tokens(texts: list[str]) -> list[int]:
            return [len(ids) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]] if texts else []

        lengths = balance.measure(rows, count_tokens)
        of_views = [length for length in lengths if length.kind == VIEW_KIND]  # their two sides are one text
        said = [length for length in lengths if length.kind != VIEW_KIND]
        balanced = balance.balance(said, self.config.balance.max_accuracy, self.config.seed)
        self._keep_lengths("09-balance", balanced)
        result = balance.balance_result(balanced)
        result.rows.extend(vars(length) for length in of_views)
        return result


def _view_id(row: Row) -> str:
    return str(row["view_id"])


def _pair_id(row: Row) -> str:
    return str(row["pair_id"])


def _first_view_id(rows: Sequence[Row]) -> str:
    return str(rows[0]["view_id"])


def _by_view(stages: Sequence[Stage], pair_ids: set[str] | None = None) -> list[list[Row]]:
    """The rows of each view together, in the order of the stages; only pairs of `pair_ids` where given."""
    views: dict[str, list[Row]] = {}
    for stage in stages:
        for row in stage.rows():
            if pair_ids is None or row["pair_id"] in pair_ids:
                views.setdefault(_view_id(row), []).append(row)
    return list(views.values())
