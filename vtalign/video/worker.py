"""The decoder process: takes one job at a time over a socket, answers, and may die of it.

Started by `isolated` as a plain interpreter, so that neither the parent's main module nor torch is imported. Messages are JSON
and raw bytes, never pickles: a decoder that a hostile file has taken over must not reach into the parent.
"""

import json
import resource
import signal
import sys
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vtalign.errors import InputError, VideoError
from vtalign.video.compare import compare_readers
from vtalign.video.limits import DecodeLimits
from vtalign.video.pixels import Fit, Sketch, TargetSize
from vtalign.video.probe import probe, probe_reading, survey
from vtalign.video.readers import WantedFrames, read_sets

# The parent kills a late worker; this is for a worker whose parent is gone.
_GRACE_S = 2.0

Answer = tuple[dict[str, Any], list[np.ndarray]]
"""A header, and the arrays whose shapes it states."""


def serve(connection: Connection) -> None:
    """Answer jobs until the parent closes the socket."""
    limits = DecodeLimits.model_validate_json(connection.recv_bytes())
    _confine(limits)
    connection.send_bytes(b"ready")
    while True:
        try:
            job = json.loads(connection.recv_bytes())
        except EOFError:
            return
        signal.setitimer(signal.ITIMER_REAL, limits.timeout_s + _GRACE_S)
        header, arrays = _answer(job, limits)
        # Decoders leak (decord grows by gigabytes): a worker that has grown this much is replaced before it hits the limit.
        header["last"] = _peak_mb() > limits.max_memory_mb / 2
        connection.send_bytes(json.dumps(header).encode())
        for frames in arrays:
            connection.send_bytes(np.ascontiguousarray(frames).data.cast("B"))
        signal.setitimer(signal.ITIMER_REAL, 0)
        if header["last"]:
            return


def _peak_mb() -> float:
    """The most memory that this process has had resident, in MiB."""
    if sys.platform != "linux":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    # Linux hands ru_maxrss down through exec: a worker of a parent with a model in memory would look grown from the start.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) / 1024


def _confine(limits: DecodeLimits) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle; it then closes the socket
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    cv2.setNumThreads(1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        bound = limits.max_memory_mb * 1024**2
        resource.setrlimit(resource.RLIMIT_AS, (bound, bound))


def _answer(job: dict[str, Any], limits: DecodeLimits) -> Answer:
    path = Path(job["path"])
    try:
        return _do(job, path, limits)
    except VideoError as error:
        return {"reason": error.reason, "detail": error.detail}, []
    except InputError as error:
        return {"input_error": str(error)}, []
    except MemoryError:
        return {"reason": "too_large", "detail": f"decoding needs more than max_memory_mb {limits.max_memory_mb}"}, []
    except Exception as error:  # whatever a file does to a decoder costs that file, with its name in the report
        return {"reason": "decoder_error", "detail": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"}, []


def _do(job: dict[str, Any], path: Path, limits: DecodeLimits) -> Answer:
    match job["do"]:
        case "probe":
            return {"info": probe(path, limits).to_dict()}, []
        case "survey":
            guess = survey(path, limits)
            return {"info": guess and guess.to_dict()}, []
        case "probe_reading":
            info, arrays = probe_reading(path, _sets(job), limits)
            return {"info": info.to_dict(), "shapes": [frames.shape for frames in arrays]}, arrays
        case "read":
            arrays = read_sets(path, _sets(job), limits, job["reader"])
            return {"shapes": [frames.shape for frames in arrays]}, arrays
        case "compare":
            found = compare_readers(path, job["reader"], job["frames"], limits, sample=job["sample"])
            return {"differences": [asdict(difference) for difference in found]}, []
        case other:
            raise ValueError(f"unknown job {other!r}")


def _sets(job: dict[str, Any]) -> list[WantedFrames]:
    return [WantedFrames(indices, _size(size)) for indices, size in job["sets"]]


def _size(size: dict[str, Any] | list[int] | None) -> TargetSize:
    if isinstance(size, dict):
        return Sketch(*size["sketch"]) if "sketch" in size else Fit(**size)
    return (size[0], size[1]) if size else None


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])))
