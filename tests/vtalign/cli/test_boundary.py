"""Errors become one line on stderr and the exit code that the design promises."""

import errno
from collections.abc import Callable

import pytest
import typer

from vtalign.cli.boundary import INTERRUPTED, is_disk_full, run_command
from vtalign.errors import ConfigError, GateNotMet, InputError, RunFailed, VideoError, VTAlignError


def raising(error: BaseException) -> Callable[[], None]:
    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (VTAlignError("plain"), 1),
        (RunFailed("no pairs left"), 1),
        (VideoError("a.mp4", "corrupt", "half of it"), 1),
        (InputError("x: no such folder"), 2),
        (ConfigError("config.yaml: beta: is required"), 2),
        (GateNotMet("0.5 is below 0.6"), 3),
    ],
)
def test_our_errors_are_one_line(error: VTAlignError, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(raising(error), show_traceback=False) == code
    out, err = capsys.readouterr()
    assert err == f"vtalign: error: {error}\n" and not out


def test_a_message_of_several_lines_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    run_command(raising(InputError("first\n  second")), show_traceback=False)
    assert capsys.readouterr().err == "vtalign: error: first second\n"


def test_traceback_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(raising(InputError("bad")), show_traceback=True) == 2
    err = capsys.readouterr().err
    assert "Traceback" in err and err.endswith("vtalign: error: bad\n")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), typer.Abort()])
def test_an_interrupt_says_how_to_go_on(error: BaseException, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(raising(error), show_traceback=False) == INTERRUPTED == 130
    err = capsys.readouterr().err
    assert "run the same command again" in err and err.count("\n") == 1


def wrapped(cause: OSError) -> RuntimeError:
    try:
        raise RuntimeError("writing the file failed") from cause
    except RuntimeError as error:
        return error


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device", "/data/part-0"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        wrapped(OSError(errno.ENOSPC, "No space left on device")),
        RuntimeError("SafetensorError: No space left on device (os error 28)"),
        RuntimeError("[enforce fail at inline_container.cc:671] . unexpected pos 6051648 vs 6051540"),  # torch.save
    ],
)
def test_a_full_disk_is_one_line(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    assert is_disk_full(error)
    assert run_command(raising(error), show_traceback=False) == 1
    err = capsys.readouterr().err
    assert err.startswith("vtalign: error: the disk is full") and err.count("\n") == 1


def test_a_bug_keeps_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(raising(ZeroDivisionError("oops")), show_traceback=False) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err and "ZeroDivisionError: oops" in err


def test_success_and_exit_codes_pass_through() -> None:
    assert run_command(lambda: None, show_traceback=False) == 0
    assert run_command(raising(typer.Exit(0)), show_traceback=False) == 0
