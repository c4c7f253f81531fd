"""Stages 3a to 3c: which of the views a build uses, by how they sound backwards or by their shots.

Shots are found first, whatever decides: their pass over a video takes the frames of its view along.
"""

from vtalign.models.video_lm import VideoLM
from vtalign.video.frames import FrameStore
from vtalign_data import reversal, shot_pass
from vtalign_data.config import BuildConfig
from vtalign_data.embed import FrameEncoder, make_encoder
from vtalign_data.known_shots import KnownShots
from vtalign_data.run_encoder import check_same_encoder, run_encoder
from vtalign_data.runners.task import DEVICE, TOOLS, VIDEO_LM, made, task
from vtalign_data.runners.tools import WorkTools
from vtalign_data.stage import Row, RunStage, Stage
from vtalign_data.viewed_videos import ViewedVideos


def selected_views(run_stage: RunStage, config: BuildConfig, viewed: list[Row], frames: FrameStore) -> list[Row]:
    """The views that the reversal signal keeps, or all where shots decide."""
    if config.select.signal == "shots":
        return viewed
    turned = run_stage(
        "03a-reversal",
        ("video", "video"),
        reversal.SCHEMA,
        viewed,
        _view_id,
        task(reversal.score_reversals, config.select, VIDEO_LM, frames, config.model_batch_size),
        config.batch_size,
    )
    selected = run_stage(
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


def found_shots(
    run_stage: RunStage,
    config: BuildConfig,
    viewed: list[Row],
    ingested: Stage,
    frames: FrameStore,
    known: KnownShots | None = None,
) -> tuple[list[Row], dict[str, list[Row]] | None]:
    """The views that could be read, and the shots of each video; all views and None where clips go by the clock.

    `known`: shots that ingest has found already.
    """
    if config.clips.method == "uniform":
        return viewed, None
    groups = config.clips.groups
    # a histogram needs no model and no device: those that decode can make it
    by_model = groups.encoder != "histogram"
    encoder = made(encoder_of, config, TOOLS if by_model else None, run_encoder(config)) if groups.merges else None
    found = run_stage(
        "03c-shots",
        ("video", "shot"),
        shot_pass.SCHEMA,
        ViewedVideos(viewed, ingested),
        _view_id,
        task(
            shot_pass.make_shots,
            config.clips,
            frames,
            encoder,
            DEVICE if config.clips.method == "transnetv2" else "cpu",
            all_shown=config.select.signal == "reversal",
            known=known,
        ),
        config.batch_size,
        # a video without shots has clips by the clock where the reversal signal chose it
        required=config.select.signal != "reversal",
    )
    shots: dict[str, list[Row]] = {}
    for row in found.rows():
        shots.setdefault(row["video_id"], []).append(row)
    unread = {loss.id for loss in found.rejected() if loss.outcome == "failed"}
    return [row for row in viewed if row["video"] not in unread], shots


def encoder_of(config: BuildConfig, tools: WorkTools | None, known: str | None) -> FrameEncoder:
    """What tells which shots look alike. `tools`: None where the encoder is no model; `known`: see `check_same_encoder`."""

    def video_lm() -> VideoLM:
        assert tools is not None
        return tools.video_lm

    encoder = make_encoder(config.clips.groups, video_lm, tools.device if tools else "cpu", config.trust_remote_code)
    check_same_encoder(config, encoder, known)
    return encoder


def _view_id(row: Row) -> str:
    return str(row["view_id"])
