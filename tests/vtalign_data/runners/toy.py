"""Work that processes of other names can import: squares, now and then with an accident."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path

from vtalign.errors import InputError
from vtalign_data.runners.tools import WorkTools
from vtalign_data.stage import BatchResult, Rejected


def square(batch: Sequence[int], tools: WorkTools, accidents: Path) -> BatchResult:
    """A file `<number>` in `accidents` has the worker die once at this number, `<number>.always` each time, `.error` raises."""
    result = BatchResult()
    for number in batch:
        once = accidents / str(number)
        if once.is_file() or once.with_suffix(".always").is_file():
            once.unlink(missing_ok=True)
            os.kill(os.getpid(), signal.SIGKILL)
        if once.with_suffix(".error").is_file():
            raise InputError(f"{number} cannot be squared")
        if number % 7 == 6:
            result.rejected.append(Rejected(str(number), "filtered", "six"))
        else:
            result.rows.append({"id": str(number), "square": number**2})
    return result
