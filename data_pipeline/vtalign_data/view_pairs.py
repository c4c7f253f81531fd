"""View pairs: one response, and two views of which only one bears it out (VDPO). What image-space perturbations are made into.

A crop or a blur makes no word about time wrong, so a description of the changed video is no rejected response to learn time from;
but the response should be likelier with the clean frames. Such a pair has the clean response on both sides and the perturbed view
as its `rejected_view`. Nothing is asked of the model for it, and rules that compare the two texts do not apply.
"""

from vtalign.video.registry import find_perturbation
from vtalign_data.stage import Row


def compares_views(row: Row) -> bool:
    """Whether a perturbation row (or what was made of it) belongs to an image-space perturbation."""
    found = find_perturbation(row["name"])
    return found is not None and found.image_space
