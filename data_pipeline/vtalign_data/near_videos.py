"""Stages 2a and 2b, only where `ingest.near_duplicates.max_distance` is set: videos that show the same footage as another.

A video's signature is the hashes (dHash, 64 bits each) of frames spread evenly over it, in order: a copy at another size, rate
or encoding has nearly the same one, a mirrored one does not. Before a still camera the frames differ by a few bits only, so that
even a reversed copy comes near: two videos that are nearer when one of them is turned round are no duplicates.

Candidates come from bands of bits that are equal, not from comparing all pairs. Two signatures within d bits agree in at least
one of d + 1 bands (pigeonhole), so none is missed.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vtalign.errors import VideoError
from vtalign.video.frame_hashes import DECODED_SIZE, frame_hash
from vtalign.video.isolated import DecodeWorkers, ReadRequest
from vtalign.video.sample import FramePolicy, sample
from vtalign_data import ingest
from vtalign_data.ingest import info_of
from vtalign_data.ingest_config import NearDuplicateConfig
from vtalign_data.scratch import insert_all, scratch_database
from vtalign_data.stage import BatchResult, Rejected, Row

SCHEMA = pa.schema([*ingest.SCHEMA, ("hashes", pa.list_(pa.uint64()))])

Signature = NDArray[np.uint64]
Near = tuple[str, float]
"""The path of the video that stays, and the mean bits (of 64) in which the frames differ."""

_TABLES = """
CREATE TABLE signatures (video TEXT PRIMARY KEY, video_id TEXT, duration REAL, hashes BLOB) WITHOUT ROWID;
CREATE TABLE staying (n INTEGER PRIMARY KEY, video TEXT, duration REAL, hashes BLOB);
CREATE TABLE bands (band INTEGER, bits BLOB, n INTEGER, PRIMARY KEY (band, bits, n)) WITHOUT ROWID;
CREATE TABLE asked (band INTEGER, bits BLOB);
CREATE TABLE near (video_id TEXT PRIMARY KEY, video TEXT, bits REAL) WITHOUT ROWID;
"""
_CANDIDATES = """
SELECT video, hashes FROM staying
WHERE n IN (SELECT bands.n FROM asked CROSS JOIN bands ON bands.band = asked.band AND bands.bits = asked.bits)
AND duration BETWEEN ? AND ? ORDER BY n
"""


def hash_frames(batch: Sequence[Row], root: Path, workers: DecodeWorkers, frames: int) -> BatchResult:
    """One batch of ingest rows with their signatures: `frames` hashes, 0 for a flat frame; none for a video that is mostly flat."""
    result = BatchResult()
    policy = FramePolicy(count=frames)
    shown = [[slot.frame for slot in sample(info_of(row), policy).slots if slot.frame is not None] for row in batch]
    requests = [
        ReadRequest(root / row["video"], sorted(set(asked)), DECODED_SIZE) for row, asked in zip(batch, shown, strict=True)
    ]
    for row, asked, request, decoded in zip(batch, shown, requests, workers.map_read(requests), strict=True):
        if isinstance(decoded, VideoError):
            result.rejected.append(Rejected(row["video"], "failed", decoded.reason, decoded.detail))
            continue
        by_frame = dict(zip(request.indices, map(frame_hash, decoded), strict=True))
        found = [by_frame[frame] for frame in asked]
        mostly_flat = 2 * sum(value is None for value in found) >= len(found)
        result.rows.append({**row, "hashes": [] if mostly_flat else [int(value or 0) for value in found]})
    return result


def drop_near_duplicates(batch: Sequence[Row], near: "NearDuplicates") -> BatchResult:
    """The rows of one batch that stay, as ingest rows."""
    result = BatchResult()
    for row in batch:
        found = near.of(row["video_id"])
        if found is None:
            result.rows.append({name: row[name] for name in ingest.SCHEMA.names})
        else:
            detail = f"shows what {found[0]} shows ({found[1]:.2f} of 64 bits apart)"
            result.rejected.append(Rejected(row["video"], "filtered", "near_duplicate", detail))
    return result


class NearDuplicates:
    """Which videos show what another shows, decided once over rows with signatures, in any order; the index is on disk.

    Videos are taken in order of their paths: one that is near to a video that stays does not stay, and the first such one is named.
    """

    def __init__(self, rows: Iterable[Row], config: NearDuplicateConfig, folder: Path) -> None:
        assert config.max_distance is not None
        self._config, self._database = config, scratch_database(folder)
        self._database.executescript(_TABLES)
        signed = ((row["video"], row["video_id"], row["duration"], _blob(row["hashes"])) for row in rows if row["hashes"])
        insert_all(self._database, "INSERT INTO signatures VALUES (?, ?, ?, ?)", signed)
        self._most = int(config.max_distance * config.frames)
        bands = Bands(config.frames, self._most + 1)
        self._database.execute("BEGIN")
        for video, video_id, duration, hashes in self._database.execute("SELECT * FROM signatures ORDER BY video"):
            keys = bands.keys(_signature(hashes))
            near = self._first_near(keys, duration, _signature(hashes))
            if near is not None:
                self._database.execute("INSERT INTO near VALUES (?, ?, ?)", (video_id, *near))
                continue
            staying = self._database.execute("INSERT INTO staying VALUES (NULL, ?, ?, ?)", (video, duration, hashes)).lastrowid
            self._database.executemany("INSERT INTO bands VALUES (?, ?, ?)", ((*key, staying) for key in keys))
        self._database.execute("COMMIT")

    def of(self, video_id: str) -> Near | None:
        """The video that stays in place of this one; None where this one stays."""
        found: Near | None = self._database.execute("SELECT video, bits FROM near WHERE video_id = ?", (video_id,)).fetchone()
        return found

    def _first_near(self, keys: list[tuple[int, bytes]], duration: float, signature: Signature) -> Near | None:
        self._database.execute("DELETE FROM asked")
        self._database.executemany("INSERT INTO asked VALUES (?, ?)", keys)
        shortest = duration * (1 - self._config.duration_tolerance)
        longest = duration * (1 + self._config.duration_tolerance)
        for video, hashes in self._database.execute(_CANDIDATES, (shortest, longest)).fetchall():
            bits = distance(signature, _signature(hashes))
            if bits <= min(self._most, distance(signature[::-1], _signature(hashes))):
                return video, bits / self._config.frames
        return None


class Bands:
    """Cuts the bits of a signature into `count` bands of nearly equal width.

    Bits are dealt to the bands by a fixed shuffle: neighbouring bits of one frame, and the same bit of a still video's frames, say
    the same thing, and a band of such bits would be equal for many videos.
    """

    def __init__(self, frames: int, count: int) -> None:
        self._bands = np.array_split(np.random.default_rng(0).permutation(64 * frames), count)

    def keys(self, signature: Signature) -> list[tuple[int, bytes]]:
        """(number, bits) of each band."""
        bits = np.unpackbits(signature.astype("<u8").view(np.uint8))
        return [(number, np.packbits(bits[places]).tobytes()) for number, places in enumerate(self._bands)]


def distance(one: Signature, other: Signature) -> int:
    """Bits in which two signatures differ."""
    return int(np.bitwise_count(one ^ other).sum())


def _blob(hashes: Sequence[int]) -> bytes:
    return np.array(hashes, "<u8").tobytes()


def _signature(blob: bytes) -> Signature:
    return np.frombuffer(blob, "<u8")
