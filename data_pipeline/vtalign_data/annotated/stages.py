"""The stages of source annotation in a build: the user's rows, the model's answers on perturbed views, what of them is wrong."""

from collections.abc import Sequence

from vtalign.ids import stable_id
from vtalign.judging.replier import open_replier
from vtalign.video.frames import FrameStore
from vtalign_data.annotated import answers, table
from vtalign_data.annotated.candidates import make_annotated
from vtalign_data.annotated.table import Placed
from vtalign_data.config import BuildConfig
from vtalign_data.listing.entries import BadEntry
from vtalign_data.responses import SCHEMA
from vtalign_data.run_model import RunModel
from vtalign_data.runners.task import WRITER, task
from vtalign_data.stage import Row, RunStage, Stage


def annotated_candidates(
    run_stage: RunStage,
    config: BuildConfig,
    model: RunModel,
    scanned: Stage,
    rows: Sequence[Placed | BadEntry],
    perturbed_views: Sequence[Sequence[Row]],
    frames: FrameStore,
    placeholders: Sequence[str],
) -> Stage:
    """The stage with the candidate pairs of the annotations, which may be none. `rows`: of a file or the manifest;
    `placeholders`: what no prompt may hold.

    Raises InputError where the judge cannot be used, RunFailed where no row is about a video of the build.
    """
    settings = config.annotations
    judge = open_replier(settings.judge) if settings.judge is not None else None
    paths = {rows[0]["video_id"]: rows[0]["video"] for rows in perturbed_views}
    known = {row["video"]: (row["video_id"], paths[row["video_id"]]) for row in scanned.rows() if row["video_id"] in paths}
    joined = run_stage(
        "06-annotations",
        ("row", "annotation"),
        table.SCHEMA,
        rows,
        lambda row: stable_id("row", repr(row)),  # by content: a file that changed is another input
        lambda batch: table.join(batch, known, placeholders, settings.max_characters),
        config.batch_size,
    )
    said = table.by_video(joined.rows())
    asked = [rows for rows in perturbed_views if rows[0]["video_id"] in said]
    questioning = answers.Questioning(settings, model.writer_fingerprint, config.seed)
    answering = task(answers.write_answers, said, questioning, WRITER, frames, config.model_batch_size)
    answered = run_stage(
        "06-answers",
        ("video", "answer"),
        answers.SCHEMA,
        asked,
        _view_id,
        answering.gathered() if config.server else answering,
        config.batch_size,
    )
    replies = {row["request_id"]: row for row in answered.rows()}
    return run_stage(
        "07-annotated",
        ("video", "pair"),
        SCHEMA,
        asked,
        _view_id,
        lambda batch: make_annotated(batch, said, replies, questioning, judge),
        config.batch_size,
        required=False,
    )


def check_judge(config: BuildConfig) -> None:
    """Raises InputError where the judge of the annotations cannot be asked. Costs little."""
    if config.tells_annotations and config.annotations.judge is not None:
        open_replier(config.annotations.judge).check()


def _view_id(rows: Sequence[Row]) -> str:
    return str(rows[0]["view_id"])
