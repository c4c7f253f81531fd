"""Stage 5, perturbations: what each view could be mistaken for, by a grid of specs on its clips."""

import json
from collections.abc import Sequence

import pyarrow as pa

from vtalign.ids import stable_id
from vtalign.preference.schema import OTHER_VIDEOS
from vtalign.video.perturb import PerturbationSpec, Perturbed, perturbations_for
from vtalign.video.view import VideoView
from vtalign_data import clips
from vtalign_data.distractors import Distractor, pick_distractor, view_of
from vtalign_data.stage import BatchResult, Rejected, Row

PIECES = pa.list_(pa.struct([("start", pa.int64()), ("stop", pa.int64()), ("source", pa.int64()), ("changed", pa.bool_())]))
SCHEMA = pa.schema(
    [
        ("perturbation_id", pa.string()),
        *clips.SCHEMA,
        ("perturbed_view_id", pa.string()),
        ("perturbed_view", pa.string()),
        ("other_videos", OTHER_VIDEOS),
        ("pieces", PIECES),
        ("name", pa.string()),
        ("strength", pa.int64()),
        ("seed", pa.int64()),
        ("parameters", pa.string()),
    ]
)


def make_perturbations(
    rows: Sequence[Row], specs: Sequence[PerturbationSpec], seed: int, pool: Sequence[Distractor] = ()
) -> BatchResult:
    """One row per view and perturbation that it can bear, in the order of the grid; what was refused is a loss.

    `pool`: the videos of which parts may be inserted.
    """
    result = BatchResult()
    for row in rows:
        view = VideoView.from_json(row["view"])
        other = pick_distractor(row, pool, seed)
        made, refused = perturbations_for(view, specs, clips.segments_of(row), seed, [view_of(other)] if other else [])
        result.rows.extend(_row(row, perturbed, other) for perturbed in made)
        for spec, message in refused:
            # "<label>: <reason>: <detail>"
            reason, _, detail = message.removeprefix(f"{spec.label}: ").partition(": ")
            result.rejected.append(Rejected(f"{row['view_id']}/{spec.label}", "filtered", reason, detail))
    return result


def _row(row: Row, perturbed: Perturbed, other: Distractor | None) -> Row:
    spec = perturbed.spec
    parameters = {"spec": spec.model_dump(mode="json", exclude_defaults=True), "done": perturbed.parameters}
    return {
        **row,
        "perturbation_id": stable_id("perturbation", row["view_id"], parameters, perturbed.seed),
        "perturbed_view_id": perturbed.view.view_id,
        "perturbed_view": perturbed.view.to_json(),
        "other_videos": [
            {"video_id": other.video_id, "video": other.video}
            for other in ([other] if other else [])
            if other.video_id in perturbed.view.video_ids
        ],
        "pieces": [
            {"start": piece.start, "stop": piece.stop, "source": piece.source, "changed": piece.changed}
            for piece in perturbed.segments_after
        ],
        "name": spec.name,
        "strength": spec.strength,
        "seed": perturbed.seed,
        "parameters": json.dumps(parameters, sort_keys=True, separators=(",", ":")),
    }
