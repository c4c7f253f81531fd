"""The one place where an error becomes a line and an exit code."""

import errno
import os
import sys
import traceback
from collections.abc import Callable

import typer

from vtalign.errors import InputError, VTAlignError

INTERRUPTED = 130
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
# What is left of it in other libraries' errors; the second is torch's, when less of a file was written than it gave out, and the
# last is SQLite's.
_DISK_FULL_WORDS = (
    "No space left on device",
    "inline_container.cc",
    "No usable temporary directory",
    "Disk quota exceeded",
    "database or disk is full",
)


def run_command(command: Callable[[], object], *, show_traceback: bool) -> int:
    """Run `command` and return the exit code of the process; errors a user can meet are one line on stderr.

    An error that vtalign did not foresee keeps its traceback: it is a bug, and the traceback is the report.
    """
    try:
        result = command()
    except typer.Exit as exit_request:
        return exit_request.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted()
    except typer.TyperException as error:
        return _fail(error, _usage_line(error), InputError.exit_code, show_traceback)
    except VTAlignError as error:
        return _fail(error, str(error), error.exit_code, show_traceback)
    except BrokenPipeError:
        # Whoever read our output (`| head`) has gone; Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if not is_disk_full(error):
            traceback.print_exc()
            return 1
        line = f"the disk is full ({_one_line(error)}): free some space and run the same command again, it goes on from here"
        return _fail(error, line, 1, show_traceback)
    if result == INTERRUPTED:  # how typer tells of Ctrl-C
        return _interrupted()
    return result if isinstance(result, int) else 0


def is_disk_full(error: BaseException) -> bool:
    """Also where a library wrapped the operating system's error (safetensors, torch) and kept only its words."""
    seen: BaseException | None = error
    while seen is not None:
        if (isinstance(seen, OSError) and seen.errno in DISK_FULL) or any(words in str(seen) for words in _DISK_FULL_WORDS):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _interrupted() -> int:
    _say("interrupted: run the same command again and it goes on from here")
    return INTERRUPTED


def _fail(error: Exception, line: str, code: int, show_traceback: bool) -> int:
    if show_traceback:
        traceback.print_exception(error)
    _say(f"error: {line}")
    return code


def _usage_line(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    return error.format_message().rstrip(".") + (f" (see {context.command_path} --help)" if context else "")


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _say(line: str) -> None:
    print("vtalign: " + " ".join(line.split()), file=sys.stderr, flush=True)
