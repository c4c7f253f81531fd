"""A page is made after its numbers are on disk: what goes wrong with it costs the page alone."""

import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

PAGE = "report.html"


def attempt(console: Console, folder: Path, write: Callable[[], None]) -> None:
    """Call `write`, which makes the page of `folder`, and say where it is and how long it took, or why there is none."""
    started = time.monotonic()
    try:
        write()
    except Exception as error:  # any: hours of answers are not to end as a failed run because of a picture
        reason = f"{folder / PAGE} could not be made: {type(error).__name__}: {error}"
        console.print(reason, style="yellow", markup=False, highlight=False, soft_wrap=True)
        return
    seconds = time.monotonic() - started
    console.print(f"{folder / PAGE} ({seconds:.1f} s)", markup=False, highlight=False, soft_wrap=True)
