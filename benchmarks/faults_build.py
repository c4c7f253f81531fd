"""The build that `faults.py` disturbs: every stage that writes, over a small synthetic corpus with broken files in it."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # a process that has started threads must not fork

from faults_files import Subject, batches_kept, build_files

VIDEOS = 16

# Random words of the tiny model would break rules on lengths; those are not what is tried here.
_LOOSE = {
    "filters": {"max_length_ratio": 99, "max_length_ratio_question": 99},
    "balance": {"max_accuracy": 1},
}


def write_inputs(folder: Path) -> None:
    """`folder/videos`, with a copy and three files that are no good, and `folder/captions.jsonl`, with a row about no video."""
    from vtalign_data.synth import write_corpus

    write_corpus(folder / "corpus", videos=VIDEOS, seed=0)
    videos = folder / "videos"
    shutil.copytree(folder / "corpus" / "train" / "videos", videos)
    names = sorted(path.name for path in videos.iterdir())
    whole = (videos / names[0]).read_bytes()
    (videos / "broken-cut.mp4").write_bytes(whole[: len(whole) // 2])
    (videos / "broken-text.mp4").write_text("no video at all")
    (videos / "broken-empty.mp4").touch()
    (videos / "copy.mp4").write_bytes(whole)
    rows = [{"video": name, "caption": "A giraffe, a zebra and an okapi go into a library."} for name in [*names, "nowhere.mp4"]]
    (folder / "captions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def build_settings(inputs: Path, out: Path) -> dict[str, Any]:
    """Scenes, captions, responses, annotated source, scores, text pairs and a frame cache; small batches, so many commits."""
    from vtalign.assets import tiny_checkpoint

    return {
        "videos": str(inputs / "videos"),
        "model": str(tiny_checkpoint()),
        "out": str(out),
        "device": "cpu",
        "clips": {"method": "scenes", "threshold": 5, "shots": {"min_count": 2}, "groups": {"min_clips": 2, "threshold": 1}},
        "captions": {"prompt": "describe the video .", "max_new_tokens": 12},
        "responses": {"input": "video", "max_new_tokens": 24},
        "response_prompts": ["describe the video ."],
        "sources": ["self", "text", "annotation"],
        "annotations": {
            "file": str(inputs / "captions.jsonl"),
            "columns": {"caption": "caption", "question": None, "answer": None},
            "caption_prompt": "describe the video .",
            "max_new_tokens": 12,
        },
        "text_pairs": {},
        "perturbations": [
            {"name": "shuffle", "strength": 2},
            {"name": "reverse", "strength": 2},
            {"name": "reverse", "strength": 2, "frames": "reversed"},
            {"name": "blur", "strength": 2},
        ],
        **_LOOSE,
        "batch_size": 4,
        "workers": 2,
        "frame_cache": str(out.with_name(f"{out.name}-frames")),
    }


def build_subject(folder: Path, **changes: Any) -> Subject:
    """`data build` with `changes` of its settings; the inputs are made once."""
    from transformers.utils.logging import disable_progress_bar

    from vtalign_data.build import run_build
    from vtalign_data.config import BuildConfig

    disable_progress_bar()
    if not (folder / "videos").exists():
        write_inputs(folder)

    def run(out: Path) -> None:
        run_build(BuildConfig.model_validate({**build_settings(folder, out), **changes}))

    return Subject(run, build_files, batches_kept)
