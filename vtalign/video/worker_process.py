"""The parent's end of one decoder process."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from vtalign.errors import InputError, RunFailed, VideoError, VTAlignError
from vtalign.video.limits import DecodeLimits

_START_S = 120.0  # a busy disk may take long to import the libraries

# The worker finds the packages where this process does, whatever started it (console script, -m, notebook, editable install).
_BOOT = "import sys; sys.path[:] = sys.argv[2:]; from runpy import run_module; run_module('vtalign.video.worker', {}, '__main__')"


class WorkerKilled(Exception):
    """Somebody ended the decoder process with SIGKILL (the kernel where memory is short, or a person), which no file can do by itself.

    `error`: what it comes to where the job is not given to another process.
    """

    def __init__(self, error: VTAlignError) -> None:
        super().__init__(str(error))
        self.error = error


class NotWaitedFor(VideoError):
    """Nobody waits for the answer any more: the decoder process was ended by `WorkerProcess.kill`."""


class WorkerProcess:
    """One decoder process. A job that kills it, or that it cannot finish in time, raises VideoError and leaves it dead."""

    def __init__(self, limits: DecodeLimits) -> None:
        ours, theirs = socket.socketpair()
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        folders = [entry or os.getcwd() for entry in sys.path]
        self._limits = limits
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 (open as long as the process)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _BOOT, str(theirs.fileno()), *folders],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._stderr,
                pass_fds=(theirs.fileno(),),
                env=environment,
            )
        self._connection = Connection(ours.detach())
        self._ready = self._ended_by_us = False

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, path: str, job: dict[str, Any]) -> tuple[dict[str, Any], list[np.ndarray]]:
        """The answer's header and sets of frames, each uint8 (N, H, W, 3), to one job on `path`.

        Raises VideoError, InputError where the job itself cannot be done, RunFailed where no decoder process can be started, and
        WorkerKilled.
        """
        try:
            return self._converse(path, job)
        except (VTAlignError, WorkerKilled):
            raise
        except BaseException:  # Ctrl-C, no memory: an answer that was not taken must not become that to the next job
            self.stop()
            raise

    def stop(self) -> None:
        """Kill the process and reap it."""
        self._ended_by_us = True
        with contextlib.suppress(OSError):
            self._connection.close()
        self._process.kill()
        self._process.wait()
        self._stderr.close()

    def kill(self) -> None:
        """End the process while another thread may be waiting for its answer; that thread sees it crash."""
        self._ended_by_us = True
        self._process.kill()

    def abandon(self) -> None:
        """After a fork: let go of the socket of a process that is the parent's, not ours."""
        with contextlib.suppress(OSError):
            self._connection.close()

    def _converse(self, path: str, job: dict[str, Any]) -> tuple[dict[str, Any], list[np.ndarray]]:
        self._await_ready()
        deadline = time.monotonic() + self._limits.timeout_s
        try:
            self._connection.send_bytes(json.dumps({**job, "path": os.path.abspath(path)}).encode())
            header = json.loads(self._receive(deadline))
            arrays = [np.frombuffer(self._receive(deadline), np.uint8).reshape(shape) for shape in header.get("shapes", ())]
        except TimeoutError:
            self.stop()
            raise VideoError(path, "timeout", f"not done after {self._limits.timeout_s:g} s") from None
        except (EOFError, ConnectionError):
            raise self._death(path) from None
        except (ValueError, KeyError) as error:  # not what a worker of ours says
            self.stop()
            raise VideoError(path, "crashed", f"the decoder process answered nonsense ({type(error).__name__})") from None
        if header["last"]:
            self.stop()
        if "input_error" in header:
            raise InputError(header["input_error"])
        if "reason" in header:
            raise VideoError(path, header["reason"], header["detail"])
        return header, arrays

    def _await_ready(self) -> None:
        if self._ready:
            return
        try:
            self._connection.send_bytes(self._limits.model_dump_json().encode())
            if self._receive(time.monotonic() + _START_S) != b"ready":
                raise EOFError
        except (EOFError, ConnectionError, TimeoutError):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=1)  # what has closed its socket is about to end
            killed = self._process.poll() == -signal.SIGKILL and not self._ended_by_us
            self._process.kill()
            self._process.wait()
            self._stderr.seek(0)
            said = self._stderr.read().decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
            self.stop()
            error = RunFailed(f"no decoder process can be started: {'it is ended by SIGKILL' if killed else said[0]}")
            raise (WorkerKilled(error) if killed else error) from None
        self._ready = True

    def _receive(self, deadline: float) -> bytes:
        if not self._connection.poll(max(0.0, deadline - time.monotonic())):
            raise TimeoutError
        return self._connection.recv_bytes()

    def _death(self, path: str) -> VideoError | WorkerKilled:
        """Why the process closed its socket while it worked on `path`."""
        ended_by_us = self._ended_by_us
        try:
            code = self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            return VideoError(path, "crashed", "the decoder process closed its connection")
        finally:
            self.stop()
        if code == -signal.SIGALRM:
            return VideoError(path, "timeout", f"not done after {self._limits.timeout_s:g} s")
        if code >= 0:
            return VideoError(path, "crashed", f"the decoder process ended with exit code {code}")
        name = signal.Signals(-code).name if -code in signal.valid_signals() else f"signal {-code}"
        said = f"the decoder process was ended by {name}"
        if ended_by_us:
            return NotWaitedFor(path, "crashed", said)
        error = VideoError(path, "crashed", said)
        return WorkerKilled(error) if code == -signal.SIGKILL else error
