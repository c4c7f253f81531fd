"""Controls: the same questions with the evidence about time taken away.

A model that scores the same under a control did not use time.

- `text`: no video at all; what language alone gives.
- `one-frame`: the frame in the middle of the view, shown in every slot. Length, clock and token count stay what they were, so
  that the missing motion is the only difference (a view of a single frame would change the prompt too, and models that patch two
  frames together would repeat it anyway).
- `shuffled`: every frame is there, in an order drawn per video from the seed; the clock stays.
- `reversed`: the view played backwards; the clock stays.
"""

from vtalign.errors import PerturbationError
from vtalign.ids import seed_from
from vtalign.video.perturb import PerturbationSpec, perturb
from vtalign.video.view import VideoView
from vtalign_eval.config import Control


def controlled(view: VideoView, control: Control, seed: int) -> VideoView | None:
    """What the model is shown instead of `view`; None for no video.

    Raises PerturbationError where the control would change nothing (a still has no order).
    """
    if control == "none":
        return view
    if control == "text":
        return None
    if control == "one-frame":
        return view.with_contents([len(view) // 2] * len(view))
    if len(view) < 2:
        raise PerturbationError(f"{control}: the view has a single frame")
    if control == "shuffled":
        spec = PerturbationSpec(name="shuffle", strength=len(view))
    else:
        spec = PerturbationSpec(name="reverse", strength=1, frames="reversed")
    return perturb(view, spec, seed=seed_from("control", control, seed)).view
