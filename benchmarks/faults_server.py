"""A build that a server writes, with a proxy between them that fails on purpose: retries give the undisturbed rows; without them the
run ends all the same, and every request without an answer is a line with its reason."""

import io
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from faults_build import build_subject
from faults_files import build_files, differences

from vtalign.errors import RunFailed

sys.path.append(str(Path(__file__).resolve().parent.parent))
from tests.chat_servers import FAULTS, ChatEcho, FaultProxy

ALL = "all"
_QUICK_S, _PATIENT_S = 2.0, 60.0  # how long a reply is waited for where some never come, and where all do
_MOST_RUNS = 10  # of one build: a server that fails many times in a row stops it, and it is started again
_ASKING = ("06-captions", "06b-view-responses", "06-answers")
_REASONS = ("server_timeout", "server_unreachable", "server_garbage", "server_error")


def build_through_faults(folder: Path, names: Sequence[str], seed: int) -> int:
    """Each fault named alone, `all` together; with retries and without any. Returns the exit code."""
    wrong = 0
    with ChatEcho() as server:
        _runs(folder, "undisturbed", server.url, 5, _PATIENT_S)
        whole = build_files(folder / "undisturbed")
        pairs = _pair_ids(whole)
        print(f"undisturbed: {len(server.bodies)} requests, {len(pairs)} pairs", flush=True)
        for number, name in enumerate(names):
            faults = FAULTS if name == ALL else (name,)
            for retries, share in ((5, 0.3), (0, 0.08)):
                with FaultProxy(server.url, share, seed + number, faults) as proxy:
                    out = folder / f"{name}-{retries}"
                    runs = _runs(folder, out.name, proxy.url, retries, _QUICK_S if "hang" in faults else _PATIENT_S)
                    met = sum(proxy.met.values())
                found = build_files(out)
                said = differences(found, whole) if retries else _unexplained(out, found, whole)
                wrong += bool(said)
                lost = Counter(row["reason"] for stage in _ASKING for row in _lost(out, stage))
                kept = f"{len(_pair_ids(found))} of {len(pairs)} pairs"
                print(
                    f"{name:8} {retries} retries: {met:3d} faults, {runs} runs, {kept}, lost {dict(lost) or 'nothing'}: "
                    f"{'; '.join(said) or ('equal to the undisturbed run' if retries else 'every loss has its line')}",
                    flush=True,
                )
    return 1 if wrong else 0


def _runs(folder: Path, name: str, url: str, retries: int, timeout_s: float) -> int:
    """Build `folder/name`, again where the server was given up; how many runs it took. Raises RunFailed after too many."""
    server: dict[str, Any] = {"url": url, "model": "echo", "concurrency": 8, "timeout_s": timeout_s, "retries": retries}
    subject = build_subject(folder, model=None, server=server, frames={"max_pixels": 4096})
    for run in range(1, _MOST_RUNS + 1):
        try:
            subject.run(folder / name)
            return run
        except RunFailed as error:
            if run == _MOST_RUNS or "go on" not in str(error):
                raise
    raise AssertionError


def _unexplained(out: Path, found: dict[str, bytes], whole: dict[str, bytes]) -> list[str]:
    """What is wrong with a run that lost requests: a loss without a server's reason, requests that are gone, other rows, or pairs that
    are missing although nothing that they are made of was lost."""
    said = []
    for stage in _ASKING:
        losses, asked = _lost(out, stage), json.loads(whole[f"stages/{stage}/complete.json"])["kept"]
        said += [f"{stage} {row['id']}: {row}" for row in losses if row["reason"] not in _REASONS or not row["detail"]]
        kept = json.loads(found[f"stages/{stage}/complete.json"])["kept"]
        said += [f"{stage}: {asked} asked, {kept} kept, {len(losses)} lost" for _ in range(kept + len(losses) != asked)]
    before, after = _pair_ids(whole), _pair_ids(found)
    said += [f"pair {pair_id} is not one of the undisturbed run" for pair_id in after.keys() - before.keys()]
    said += [f"pair {pair_id} differs" for pair_id in after.keys() & before.keys() if after[pair_id] != before[pair_id]]
    if before.keys() - after.keys() and not any(_lost(out, stage) for stage in _ASKING):
        said.append(f"{len(before.keys() - after.keys())} pairs are gone and no request is")
    return said


def _lost(out: Path, stage: str) -> list[dict[str, str]]:
    file = out / "stages" / stage / "rejected.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []


def _pair_ids(files: dict[str, bytes]) -> dict[str, str]:
    """Rows of the pairs by id."""
    tables = (
        pq.read_table(io.BytesIO(data)) for name, data in files.items() if name.startswith("pairs/") and name.endswith(".parquet")
    )
    return {row["pair_id"]: json.dumps(row, sort_keys=True) for table in tables for row in table.to_pylist()}
