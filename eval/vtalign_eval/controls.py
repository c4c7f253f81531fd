"""Controls: the same questions with the evidence about time taken away.

A model that scores the same under a control did not use time.

- `text`: no video at all; what language alone gives.
- `one-frame`: the frame in the middle of the view and nothing else, held as the frame policy holds a still. Prompt and clock are as
  short as those of a picture (the single-frame baseline of TOMATO, https://arxiv.org/abs/2410.23266).
- `repeated-frame`: the frame in the middle of the view, shown in every slot. Length, clock and token count stay what they were, so
  that the missing motion is the only difference.
- `shuffled`: every frame is there, in an order drawn from the video's content and the seed; the clock stays.
- `reversed`: the view played backwards; the clock stays.
"""

from vtalign.errors import PerturbationError
from vtalign.ids import seed_from
from vtalign.video.perturb import PerturbationSpec, perturb
from vtalign.video.sample import FramePolicy
from vtalign.video.view import VideoView
from vtalign_eval.config import Control


def controlled(view: VideoView, control: Control, seed: int, policy: FramePolicy) -> VideoView | None:
    """What the model is shown instead of `view`; None for no video.

    Raises PerturbationError where the control would change nothing (a still has no order).
    """
    if control == "none":
        return view
    if control == "text":
        return None
    middle = view.with_contents([len(view) // 2] * len(view))
    if control == "one-frame":
        return middle.clip(0, policy.min_frames)
    if control == "repeated-frame":
        return middle
    if len(view) < 2:
        raise PerturbationError(f"{control}: the view has a single frame")
    if control == "shuffled":
        spec = PerturbationSpec(name="shuffle", strength=len(view))
    else:
        spec = PerturbationSpec(name="reverse", strength=1, frames="reversed")
    return perturb(view, spec, seed=seed_from("control", control, seed)).view
