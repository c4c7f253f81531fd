"""Text-only pairs of a build: from the descriptions of the clips of each clean view, into a folder of their own.

Not into `pairs/`: no perturbation made them and no view shows anything of them, so a curriculum by strength, and what compares views,
has no place for them. `text/pairs` trains as any other folder of pairs.
"""

from collections.abc import Mapping, Sequence

from vtalign.artifacts import write_json
from vtalign_data.captions import Asking
from vtalign_data.config import BuildConfig
from vtalign_data.stage import Row, RunStage
from vtalign_data.text_pairs.config import TextConfig
from vtalign_data.text_pairs.rows import SCHEMA, CaptionList, make_text_rows, write_text_pairs


def caption_lists(perturbed_views: Sequence[Sequence[Row]], asking: Asking, captions: Mapping[str, Row]) -> list[CaptionList]:
    """What the model says of the clips of each clean view; a clip that it could not describe says nothing."""
    lists = []
    for first, *_ in perturbed_views:
        rows = [captions.get(request.request_id) for request in asking.clean(first)]
        texts = tuple(row["text"] if row is not None and not row["stray"] else "" for row in rows)
        lists.append(CaptionList(first["video_id"], first["video"], texts))
    return lists


def write_build_text(
    run_stage: RunStage, config: BuildConfig, settings: TextConfig, lists: Sequence[CaptionList], placeholders: Sequence[str]
) -> None:
    """`text/pairs`, `text/sft.jsonl` and `text/summary.json` of a build; a list that gives no question is counted as lost."""
    stage = run_stage(
        "11-text",
        ("video", "text pair"),
        SCHEMA,
        lists,
        lambda one: one.list_id,
        lambda batch: make_text_rows(batch, settings, config.seed, placeholders),
        config.batch_size,
        required=False,
    )
    folder = config.out / "text"
    if not (folder / "summary.json").is_file():
        folder.mkdir(exist_ok=True)
        write_json(folder / "summary.json", write_text_pairs(folder, stage.rows()))
