"""`PerturbationSpec`: what is asked of the perturbation engine, as config and as JSON."""

from typing import Literal

from pydantic import Field, model_validator

from vtalign.config import Config
from vtalign.errors import InputError
from vtalign.video.registry import Perturbation, find_perturbation, perturbation_names
from vtalign.video.segments import Grouping


class PerturbationSpec(Config):
    """One perturbation and how strong. Big strength = plainly different = easy to tell from the clean view.

    What strength r means, for a view of n segments (given bounds, such as clips; else uniform ones):

    - `shuffle`: the segments are put into r groups and the groups are shuffled. More groups, finer disorder. Needs n >= r.
    - `reverse`: the same groups in reversed order, the frames inside each kept in order (TEMPLE) or, with `frames: reversed`, the
      whole view played backwards; that one is the same at every strength, which then only says where a curriculum puts it.
    - `drop`: n // r segments stay, the others go. Needs n >= r.
    - `speed`: the content runs r times as fast (or as slow).
    - `mask`: r sixteenths of the frames turn black, drawn, one at least; r = 4 to 8 are RRPO's 25 to 50 %. At most 15.
    - `local_shuffle`: frames are shuffled inside windows of r frames of one segment, or segments inside windows of r segments.
    - `segment_exclude`: r // 2 neighbouring segments go (of sixteen uniform ones); with `start` and `stop`, the segments that show
      these seconds, whatever r, which then only says where a curriculum puts it.
    - `sparse_subsample`: every r-th frame of a segment stays, held until the next; the clock and the length stay.
    - `insert_distractor`: r // 2 neighbouring segments (of sixteen uniform ones) become, or are followed by, part of another video.
    - `crop`: a window of 1 / r of the area, enlarged. `blur`: Gaussian of r / 128 of the shorter side. `noise`: 8 r of 255 levels.
      `pixel_mask`: 7.5 r % of the pixels, at most 13. `mirror`: left for right, at every strength. A frame transform of an
      entry point vtalign.frame_transforms reads r as it likes. All frames of a view are changed alike.
    - `compose`: the `steps` one after the other; its strength is nominal.

    Strength 2 is the least that changes anything. TEMPLE's curriculum is r = 16, 8, 4, 2 with `groups: temple`.
    """

    name: str = Field(
        description="see the class; or a name from the entry points vtalign.perturbations or vtalign.frame_transforms"
    )
    strength: int = Field(ge=1, description="how plainly the result differs; see the class")
    groups: Grouping = Field(
        default="even",
        description="shuffle, reverse: even = r groups of nearly equal size; temple = groups of max(1, n // r) segments",
    )
    frames: Literal["kept", "reversed"] = Field(
        default="kept",
        description="reverse: order of the frames inside a group; reversed = the view backwards, so that motion turns too",
    )
    direction: Literal["fast", "slow"] = Field(default="fast", description="speed: skip content, or stretch it")
    affected: Literal["all", "one"] = Field(default="all", description="speed: every segment, or one drawn by seed")
    units: Literal["frames", "segments"] = Field(default="frames", description="local_shuffle: what changes place")
    start: float | None = Field(default=None, ge=0, description="segment_exclude: seconds on the clock of the view, with `stop`")
    stop: float | None = Field(default=None, gt=0, description="segment_exclude: where the part that goes ends, seconds")
    place: Literal["replace", "after"] = Field(
        default="replace", description="insert_distractor: in the place of segments, or after them"
    )
    steps: tuple["PerturbationSpec", ...] = Field(default=(), description="compose: the perturbations, first one first")
    options: dict[str, str | int | float | bool] = Field(default={}, description="options of a perturbation from an entry point")

    @model_validator(mode="after")
    def _options_belong_to_the_name(self) -> "PerturbationSpec":
        found = find_perturbation(self.name)
        if found is None:
            raise ValueError(f"unknown perturbation '{self.name}' (known: {', '.join(perturbation_names())})")
        known = found.options
        for option in type(self).model_fields:
            changed = getattr(self, option) != type(self).model_fields[option].default
            if option not in {"name", "strength", *known} and changed:
                raise ValueError(f"'{self.name}' has no option '{option}' (its options: {', '.join(sorted(known)) or 'none'})")
        if self.name == "compose" and len(self.steps) < 2:
            raise ValueError("'compose' needs two or more steps")
        if (self.start is None) != (self.stop is None) or (
            self.start is not None and self.stop is not None and self.start >= self.stop
        ):
            raise ValueError(f"'{self.name}' needs start before stop, both or neither (found: {self.start}, {self.stop})")
        if self.strength < found.least(self):
            raise ValueError(f"'{self.name}' with strength {self.strength} changes nothing; the least is {found.least(self)}")
        if found.most is not None and self.strength > found.most:
            raise ValueError(f"'{self.name}' with strength {self.strength} leaves nothing to see; the most is {found.most}")
        return self

    @property
    def uniform_count(self) -> int:
        """Into how many uniform segments a view without given bounds is split.

        Some act on the view as a whole; the steps of a composition share the finest split any needs.
        """
        return self.registered.uniform(self)

    @property
    def needs_distractors(self) -> bool:
        """True where views of other videos are shown."""
        return self.registered.needs_distractors or any(step.needs_distractors for step in self.steps)

    @property
    def registered(self) -> Perturbation:
        """What the registry has under the name. Raises InputError where it is not installed any more."""
        found = find_perturbation(self.name)
        if found is None:
            raise InputError(f"perturbation '{self.name}': no package with an entry point of that name is installed here")
        return found

    @property
    def label(self) -> str:
        """Short name for tables and messages: `shuffle-4`, `reverse-2[frames=reversed]`."""
        if self.name == "compose":
            return f"compose-{self.strength}[{' > '.join(step.label for step in self.steps)}]"
        chosen = self.model_dump(mode="json", exclude_defaults=True, exclude={"name", "strength", "options"}) | self.options
        return f"{self.name}-{self.strength}" + (f"[{','.join(f'{k}={v}' for k, v in chosen.items())}]" if chosen else "")


def compose(*steps: PerturbationSpec) -> PerturbationSpec:
    """The perturbation that applies `steps` in turn (first one first), as strong as its strongest step."""
    return PerturbationSpec(name="compose", strength=max((step.strength for step in steps), default=1), steps=steps)
