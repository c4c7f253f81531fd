"""Processes that tests start: what they can import, and that they heed Ctrl-C."""

import os
import signal
import sys


def child_environment() -> dict[str, str]:
    """That of this process, with what is imported here importable there."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def heed_ctrl_c() -> None:
    """For `preexec_fn`. Where the tests run in the background they ignore Ctrl-C, and so would their children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
