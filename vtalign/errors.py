"""The errors a user can meet. Each is one line that names the file, field or value and says what to do."""


class VTAlignError(Exception):
    """Base of every error vtalign raises on purpose; `exit_code` is what the command line ends with."""

    exit_code = 1


class InputError(VTAlignError):
    """The user's input cannot be used: a missing path, an impossible combination, a wrong folder."""

    exit_code = 2


class ConfigError(InputError):
    """A config file or override names an unknown key or a value that does not fit."""


class VideoError(VTAlignError):
    """One video cannot be read. Costs that video one reported line, never the run.

    `reason` is a short stable word (`missing`, `not_a_video`, `corrupt`, `timeout`, `crashed`, `too_large`, `lies`, ..)
    that tables group by; `detail` is for people.
    """

    def __init__(self, path: str, reason: str, detail: str) -> None:
        super().__init__(f"{path}: {reason}: {detail}")
        self.path, self.reason, self.detail = path, reason, detail

    def __reduce__(self) -> tuple[type["VideoError"], tuple[str, str, str]]:
        return VideoError, (self.path, self.reason, self.detail)


class PerturbationError(VTAlignError):
    """A perturbation cannot do its work on this view (too short for the strength, would change nothing)."""


class RunFailed(VTAlignError):
    """The run ended without a usable result (no pairs left, margins not finite, every video unreadable)."""


class GateNotMet(VTAlignError):
    """A `--fail-under` threshold was not reached."""

    exit_code = 3
