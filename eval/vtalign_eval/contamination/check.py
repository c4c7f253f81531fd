"""`check_contamination`: training pairs against a benchmark, by content, name, frames and text of their videos and questions."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from vtalign.artifacts import claim_run_folder, write_atomic, write_json
from vtalign.errors import GateNotMet, InputError, VideoError
from vtalign.ids import file_hash, video_id_of
from vtalign.preference.pair import PreferencePair
from vtalign.preference.schema import pair_files, read_pairs
from vtalign.video.frame_hashes import hash_videos
from vtalign.video.isolated import DecodeWorkers
from vtalign.video.paths import confined
from vtalign_eval.benchmarks import find_benchmark
from vtalign_eval.contamination.config import Check, ContaminationConfig
from vtalign_eval.contamination.frame_matches import frame_matches
from vtalign_eval.contamination.names import source_names
from vtalign_eval.contamination.text import gram_size, text_matches, words_of
from vtalign_eval.items import Item
from vtalign_eval.tables import print_contamination

SUMMARY, MATCHES = "contamination.json", "matches.jsonl"
_TEXT_FIELDS = ("prompt", "chosen", "rejected")

Match = dict[str, Any]


@dataclass(frozen=True)
class _Sides:
    """Benchmark and training set, each by video path, and the files that are there to be read."""

    items: dict[str, list[Item]]
    pairs: dict[str, list[PreferencePair]]
    benchmark_files: dict[str, Path]
    training_files: dict[str, Path]

    def match(self, kind: Check, video: str, other: str, **found: Any) -> Match:
        """Two videos as one row, with the questions and pairs that hang on them."""
        questions = sorted(item.question_id for item in self.items[video])
        pairs = self.pairs[other]
        theirs = {"video": other, "pairs": len(pairs), "pair_id": pairs[0].pair_id}
        return {"kind": kind, "benchmark": {"video": video, "question_ids": questions}, "training": theirs, **found}


def check_contamination(config: ContaminationConfig, console: Console | None = None) -> dict[str, Any]:
    """Look for the benchmark's videos and questions in the pairs. Returns the summary; leaves `contamination.json` and `matches.jsonl`.

    A match names both sides. `content`: the same file; `name`: the same source by its name (weak evidence); `frames`: the same
    footage, as the hashes of frames tell; `text`: n-grams of a question in a prompt or a response. Videos that cannot be read
    and questions too short to tell are counted, not taken for clean. Raises InputError, and, after everything is written,
    GateNotMet with `fail_on_match` where there is a match.
    """
    benchmark = find_benchmark(config.benchmark)
    if not config.data.is_dir():
        raise InputError(f"{config.data}: no such data folder")
    if config.videos is not None and not config.videos.is_dir():
        raise InputError(f"videos: {config.videos}: no such folder")
    items = sorted(benchmark.items(config.data), key=lambda item: item.question_id)
    pairs = read_pairs(config.pairs)
    hashes = {
        "question_files": benchmark.file_hashes(config.data),
        "pairs": {path.name: file_hash(path) for path in pair_files(config.pairs)},
    }
    claim_run_folder(config.out, {**config.settings(), "data_hashes": hashes}, "eval contamination")
    sides = _sides(items, pairs, config)
    matches: dict[Check, list[Match]] = {}
    unread: dict[str, dict[str, str]] = {}
    if "content" in config.checks:
        matches["content"] = _same_content(sides)
    if "name" in config.checks:
        matches["name"] = _same_names(sides)
    if "frames" in config.checks and config.videos is not None:
        matches["frames"], unread = _same_frames(sides, config)
    if "text" in config.checks:
        matches["text"] = _same_text(items, pairs, config)
    summary = {
        "benchmark": benchmark.name,
        "config": config.settings(),
        "data": hashes,
        "counts": {"questions": len(items), "videos": len(sides.items), "pairs": len(pairs), "training_videos": len(sides.pairs)},
        "checks": {check: _counted(found) for check, found in matches.items()},
        "question_ids": sorted(
            {name for found in matches.values() for match in found for name in match["benchmark"]["question_ids"]}
        ),
        "not_checked": {
            "checks": [check for check in config.checks if check not in matches],
            "questions_too_short": sum(_is_short(item, config) for item in items) if "text" in matches else 0,
            "benchmark_videos_missing": sorted(sides.items.keys() - sides.benchmark_files.keys()),
            "videos_unread": unread,
        },
    }
    rows = [match for found in matches.values() for match in found]
    write_atomic(config.out / MATCHES, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    write_json(config.out / SUMMARY, summary)
    print_contamination(console or Console(), summary, rows)
    if rows and config.fail_on_match:
        raise GateNotMet(
            f"{len(rows)} matches, {len(summary['question_ids'])} questions (--fail-on-match); see {config.out / MATCHES}"
        )
    return summary


def _sides(items: Sequence[Item], pairs: Sequence[PreferencePair], config: ContaminationConfig) -> _Sides:
    by_video: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        by_video[item.video].append(item)
    of_pairs: dict[str, list[PreferencePair]] = defaultdict(list)
    for pair in pairs:
        of_pairs[pair.video].append(pair)
    training = {} if config.videos is None else _files(config.videos, of_pairs)
    return _Sides(dict(sorted(by_video.items())), dict(sorted(of_pairs.items())), _files(config.data, by_video), training)


def _files(root: Path, videos: Iterable[str]) -> dict[str, Path]:
    found = {}
    for video in sorted(videos):
        try:
            path = confined(root, video)
        except VideoError:
            continue
        if path.is_file():
            found[video] = path
    return found


def _same_content(sides: _Sides) -> list[Match]:
    """By the hash of the file. A pair's own video id counts where the training file is not at hand."""
    training: dict[str, list[str]] = defaultdict(list)
    for video, pairs in sides.pairs.items():
        training[video_id_of(sides.training_files[video]) if video in sides.training_files else pairs[0].video_id].append(video)
    matches = []
    for video, path in sides.benchmark_files.items():
        video_id = video_id_of(path)
        matches += [sides.match("content", video, other, video_id=video_id) for other in training.get(video_id, ())]
    return matches


def _same_names(sides: _Sides) -> list[Match]:
    training: dict[str, list[str]] = defaultdict(list)
    for video in sides.pairs:
        for name in source_names(video):
            training[name].append(video)
    matches = []
    for video in sides.items:
        shared = {other: name for name in sorted(source_names(video)) for other in training.get(name, ())}
        matches += [sides.match("name", video, other, overlap=name) for other, name in sorted(shared.items())]
    return matches


def _same_frames(sides: _Sides, config: ContaminationConfig) -> tuple[list[Match], dict[str, dict[str, str]]]:
    """Matches, and the reasons why videos of either side could not be read."""
    with DecodeWorkers(config.workers, config.decode) as workers:
        ours, failed = hash_videos(sides.benchmark_files, config.frames, workers)
        theirs, failed_in_training = hash_videos(sides.training_files, config.frames, workers)
    missing = dict.fromkeys(sorted(sides.pairs.keys() - sides.training_files.keys()), "missing")
    unread = {"benchmark": failed, "training": missing | failed_in_training}
    found = frame_matches(ours, theirs, config.max_distance, config.min_share)
    return [sides.match("frames", match.video, match.other, share=match.share) for match in found], unread


def _same_text(items: Sequence[Item], pairs: Sequence[PreferencePair], config: ContaminationConfig) -> list[Match]:
    """One row for each text of a question that is found, with the first pair that has it and how many have."""
    asked: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        asked[_asked_text(item)].append(item)
    trained: dict[str, list[tuple[str, PreferencePair]]] = defaultdict(list)
    for pair in pairs:
        for field in _TEXT_FIELDS:
            trained[getattr(pair, field)].append((field, pair))
    matches = []
    for found in text_matches({text: text for text in asked}, {text: text for text in trained}, config.ngram, config.shortest):
        having = {pair.pair_id for text in found.texts for _, pair in trained[text]}
        field, pair = trained[found.texts[0]][0]
        same = asked[found.question]
        ours = {"question_ids": [item.question_id for item in same], "video": same[0].video, "text": found.question}
        theirs = {"video": pair.video, "pairs": len(having), "pair_id": pair.pair_id, "field": field, "text": found.texts[0]}
        matches.append({"kind": "text", "benchmark": ours, "training": theirs, "overlap": found.overlap, "share": found.share})
    return matches


def _asked_text(item: Item) -> str:
    """The question with the options that it does not spell out itself."""
    return " ".join([item.question, *(option for option in item.options if option not in item.question)])


def _is_short(item: Item, config: ContaminationConfig) -> bool:
    return gram_size(len(words_of(_asked_text(item))), config.ngram, config.shortest) is None


def _counted(matches: Sequence[Match]) -> dict[str, int]:
    questions = {name for match in matches for name in match["benchmark"]["question_ids"]}
    return {"matches": len(matches), "questions": len(questions)}
