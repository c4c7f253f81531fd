"""`PerturbationSpec`: what is asked of the perturbation engine, as config and as JSON."""

from importlib.metadata import EntryPoint, entry_points
from typing import Literal

from pydantic import Field, model_validator

from vtalign.config import Config
from vtalign.video.segments import Grouping

ENTRY_POINT_GROUP = "vtalign.perturbations"

_OPTIONS: dict[str, set[str]] = {
    "shuffle": {"groups"},
    "reverse": {"groups", "frames"},
    "drop": set(),
    "speed": {"direction", "affected"},
    "compose": {"steps"},
}


class PerturbationSpec(Config):
    """One perturbation and how strong. Big strength = plainly different = easy to tell from the clean view.

    What strength r means, for a view of n segments (given bounds, such as clips; else uniform ones):

    - `shuffle`: the segments are put into r groups and the groups are shuffled. More groups, finer disorder. Needs n >= r.
    - `reverse`: the same groups in reversed order, the frames inside each kept in order (TEMPLE) or, with `frames: reversed`, the
      whole view played backwards; that one is the same at every strength, which then only says where a curriculum puts it.
    - `drop`: n // r segments stay, the others go. Needs n >= r.
    - `speed`: the content runs r times as fast (or as slow).
    - `compose`: the `steps` one after the other; its strength is nominal.

    Strength 2 is the least that changes anything. TEMPLE's curriculum is r = 16, 8, 4, 2 with `groups: temple`.
    """

    name: str = Field(description="shuffle, reverse, drop, speed, compose, or a name from the entry points vtalign.perturbations")
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
    steps: tuple["PerturbationSpec", ...] = Field(default=(), description="compose: the perturbations, first one first")
    options: dict[str, str | int | float | bool] = Field(default={}, description="options of a perturbation from an entry point")

    @model_validator(mode="after")
    def _options_belong_to_the_name(self) -> "PerturbationSpec":
        known = _OPTIONS.get(self.name)
        if known is None:
            if user_perturbation(self.name) is None:
                installed = sorted(point.name for point in entry_points(group=ENTRY_POINT_GROUP))
                raise ValueError(f"unknown perturbation '{self.name}' (known: {', '.join([*_OPTIONS, *installed])})")
            known = {"options"}
        for option in type(self).model_fields:
            changed = getattr(self, option) != type(self).model_fields[option].default
            if option not in {"name", "strength", *known} and changed:
                raise ValueError(f"'{self.name}' has no option '{option}' (its options: {', '.join(sorted(known)) or 'none'})")
        if self.name == "compose" and len(self.steps) < 2:
            raise ValueError("'compose' needs two or more steps")
        idle_at_one = self.name in ("shuffle", "drop", "speed") or (self.name == "reverse" and self.frames == "kept")
        if self.strength < 2 and idle_at_one:
            raise ValueError(f"'{self.name}' with strength {self.strength} changes nothing; the least is 2")
        return self

    @property
    def uniform_count(self) -> int:
        """Into how many uniform segments a view without given bounds is split.

        `speed` and the full reversal act on the view as a whole; the steps of a composition share the finest split any needs.
        """
        if self.name == "compose":
            return max(step.uniform_count for step in self.steps)
        whole = self.name == "speed" or (self.name == "reverse" and self.frames == "reversed")
        return 1 if whole else self.strength

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


def user_perturbation(name: str) -> EntryPoint | None:
    """The installed entry point of that name, not loaded yet."""
    return next(iter(entry_points(group=ENTRY_POINT_GROUP, name=name)), None)
