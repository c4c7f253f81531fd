"""Stage 1, scan: which of the listed files there are, and the content hash that names each."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pyarrow as pa

from vtalign.errors import VideoError
from vtalign.ids import file_hash, stable_id
from vtalign.video.paths import confined
from vtalign_data.listing.index import Listed
from vtalign_data.stage import BatchResult, Rejected

SCHEMA = pa.schema([("video", pa.string()), ("video_id", pa.string()), ("bytes", pa.int64())])


def scan_listed(batch: Sequence[Listed], root: Path) -> BatchResult:
    """`scan` of the paths in a batch of a listing; what the listing lost is passed on, and losses name the row of the manifest."""
    places = {listed.id: listed.place for listed in batch if listed.lost is None}
    found = scan(list(places), root)
    lost = [listed.lost for listed in batch if listed.lost is not None]
    for loss in found.rejected:
        place = places.get(loss.id)
        lost.append(replace(loss, detail=f"{loss.detail} ({place})") if place else loss)
    return BatchResult(found.rows, lost)


def scan(paths: Sequence[str], root: Path) -> BatchResult:
    """Hash one batch. What lies outside `root` (by `..`, absolute path or link), is missing or unreadable, is lost."""
    result = BatchResult()
    lost = partial(Rejected, outcome="failed")
    for path in paths:
        name = path.encode("utf-8", "backslashreplace").decode()
        if name != path:
            result.rejected.append(lost(name, reason="bad_name", detail="the file name is not valid UTF-8"))
            continue
        try:
            real = confined(root, path)
            if not real.is_file():
                result.rejected.append(lost(path, reason="not_a_file", detail="is a folder or a device"))
                continue
            video_id = stable_id("video", file_hash(real))
            result.rows.append({"video": path, "video_id": video_id, "bytes": real.stat().st_size})
        except VideoError as error:
            result.rejected.append(lost(path, reason=error.reason, detail=error.detail))
        except OSError as error:
            result.rejected.append(lost(path, reason="unreadable", detail=str(error.strerror)))
    return result
