"""vtalign commands as processes of their own: what the demo runs, and the gates of a recipe."""

import ctypes
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1
# Looked up before any fork: a child between fork and exec should not load libraries.
_PRCTL = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


def command_line(*arguments: str) -> list[str]:
    """`vtalign ARGUMENTS` under the Python that runs now."""
    return [sys.executable, "-m", "vtalign", *arguments]


def die_with_parent() -> None:
    """Runs in the child. Where the parent is killed, what it started must not go on writing beside the run that resumes it."""
    if _PRCTL is not None:
        _PRCTL(_PR_SET_PDEATHSIG, signal.SIGKILL)


def last_line(log: Path) -> str:
    """The last thing that a command said."""
    lines = [line.strip() for line in log.read_text(errors="replace").replace("\r", "\n").splitlines() if line.strip()]
    return lines[-1] if lines else "no output"
