"""Shots that a pass over a video found before their stage was due, on disk until the build has ended."""

import contextlib
import json
import os
import shutil
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

from vtalign.video.frame_cache import LEFT_FREE
from vtalign_data.stage import BatchResult, Rejected


@dataclass(frozen=True)
class KnownShots:
    """One JSON file per video: the rows and losses that `shot_pass` makes of it. The folder is of one run, whose settings stay."""

    folder: Path

    def get(self, video_id: str) -> BatchResult | None:
        """None where nothing is known, or where a power cut tore it: then the video is read."""
        try:
            found = json.loads(self._path(video_id).read_text(encoding="utf-8"))
            return BatchResult(found["rows"], [Rejected(**loss) for loss in found["rejected"]])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, video_id: str, found: BatchResult) -> None:
        """Remember rows and losses; where the disk has no room, they are not remembered."""
        path = self._path(video_id)
        partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")
        text = json.dumps({"rows": found.rows, "rejected": [asdict(loss) for loss in found.rejected]})
        with contextlib.suppress(OSError):
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                if shutil.disk_usage(path.parent).free < LEFT_FREE + len(text):
                    return
                # not synced: what a power cut tears is read again
                partial.write_text(text, encoding="utf-8")
                os.replace(partial, path)
            finally:
                partial.unlink(missing_ok=True)

    def remove(self) -> None:
        """Forget all."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, video_id: str) -> Path:
        return self.folder / video_id[-2:] / f"{video_id}.json"
