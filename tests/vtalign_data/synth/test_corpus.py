"""The written corpus: splits apart, conflict groups in conflict, answers true of what is drawn, the same bytes every time."""

import hashlib
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import av
import pytest

from vtalign.errors import InputError
from vtalign_data.synth import write_corpus
from vtalign_data.synth.render import FRAMES_PER_CLIP

TEMPORAL = {"action", "direction", "speed", "order", "attribute_change"}


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def digests(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()
    }


def test_same_arguments_give_the_same_bytes(small_corpus: Path, tmp_path: Path) -> None:
    write_corpus(tmp_path / "again", videos=16, seed=0)
    assert digests(tmp_path / "again") == digests(small_corpus)


def test_another_seed_gives_other_videos(small_corpus: Path, tmp_path: Path) -> None:
    write_corpus(tmp_path / "other", videos=16, seed=1)
    same = set(digests(tmp_path / "other").values()) & set(digests(small_corpus).values())
    assert not same


def test_splits_share_no_video(small_corpus: Path) -> None:
    seen: dict[str, str] = {}
    for split in ("train", "validation", "heldout"):
        for path in (small_corpus / split / "videos").iterdir():
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            assert seen.setdefault(digest, split) == split, path


def test_videos_decode_to_the_stated_clips(small_corpus: Path) -> None:
    for row in rows(small_corpus / "heldout" / "captions.jsonl")[:8]:
        with av.open(str(small_corpus / "heldout" / row["video"])) as container:
            frames = sum(1 for _ in container.decode(video=0))
        assert frames == FRAMES_PER_CLIP * row["events"] == FRAMES_PER_CLIP * len(row["clips"])


def test_questions_cover_every_aspect_and_their_ids_are_unique(small_corpus: Path) -> None:
    questions = rows(small_corpus / "heldout" / "questions.jsonl")
    assert {q["aspect"] for q in questions} == TEMPORAL | {"static"}
    assert len({q["question_id"] for q in questions}) == len(questions)
    assert all(q["answer"] in q["options"] and len(set(q["options"])) == 2 for q in questions)


def test_conflict_groups_ask_the_same_and_are_answered_differently(small_corpus: Path) -> None:
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for question in rows(small_corpus / "heldout" / "questions.jsonl"):
        if question["group"] is not None:
            groups[question["group"]].append(question)
    assert len(groups) > 20
    for members in groups.values():
        assert len(members) == 2
        assert len({m["question"] for m in members}) == 1 and len({m["family"] for m in members}) == 1
        assert len({m["answer"] for m in members}) == 2 and len({m["video"] for m in members}) == 2


def test_order_and_match_answers_follow_from_the_captions(small_corpus: Path) -> None:
    clips = {
        row["video"]: [clip.removesuffix(" .") for clip in row["clips"]] for row in rows(small_corpus / "heldout/captions.jsonl")
    }
    checked = 0
    for question in rows(small_corpus / "heldout" / "questions.jsonl"):
        told = clips[question["video"]]
        if question["template"].startswith("first_event"):
            assert question["answer"] == min(question["options"], key=told.index)
            checked += 1
        elif question["template"].startswith("match"):
            assert question["answer"] in told and not set(question["options"]) <= set(told)
            checked += 1
    assert checked > 20


def test_training_text_about_one_clip_is_true_and_about_several_is_not_always(small_corpus: Path) -> None:
    truth = {row["video"]: row["caption"] for row in rows(small_corpus / "train" / "captions.jsonl")}
    events = {row["video"]: row["events"] for row in rows(small_corpus / "train" / "captions.jsonl")}
    told: dict[bool, list[bool]] = {True: [], False: []}
    for row in rows(small_corpus / "train" / "sft.jsonl"):
        answer = row["conversations"][1]["value"]
        if answer.endswith(" ."):
            told[events[row["video"]] == 1].append(answer == truth[row["video"]])
    assert all(told[True]) and not all(told[False])


def test_too_few_videos_and_a_folder_of_another_corpus_are_refused(small_corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least 8"):
        write_corpus(tmp_path / "few", videos=3, seed=0)
    with pytest.raises(InputError, match="holds another run"):
        write_corpus(small_corpus, videos=16, seed=7)
