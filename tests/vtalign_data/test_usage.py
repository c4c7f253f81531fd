from pathlib import Path

import pyarrow as pa
import pytest

from vtalign_data.stage import BatchResult, Stage
from vtalign_data.summary import BuildSummary
from vtalign_data.usage import Usage, total

SCHEMA = pa.schema([("id", pa.string())])


def test_sums() -> None:
    assert Usage(1, 2, 3, 4) + Usage(10, 20, 30, 40) == Usage(11, 22, 33, 44)
    assert Usage(11, 2, reads=5) - Usage(1, 2, reads=3) == Usage(10, reads=2)
    assert total([]) == Usage() and total([Usage(1), Usage(2, decodes=5)]) == Usage(3, decodes=5)


def test_a_resumed_stage_counts_every_batch_once(tmp_path: Path) -> None:
    dead = [3]

    def process(items) -> BatchResult:
        if int(items[0]) == dead[0]:
            raise KeyboardInterrupt
        return BatchResult([{"id": item} for item in items], usage=Usage(model_calls=len(items), decodes=int(items[0])))

    stage = Stage(tmp_path / "01-count", SCHEMA, "thing")
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            stage.run("0123456", str, process, batch_size=3)
    dead[0] = -1
    assert stage.run("0123456", str, process, batch_size=3).usage == Usage(model_calls=7, decodes=0 + 3 + 6)
    assert Stage(tmp_path / "01-count", SCHEMA, "thing").counts().usage.model_calls == 7


def test_a_build_counts_what_it_asked(built: BuildSummary) -> None:
    usage = {stage.name.split("-")[1]: stage.usage for stage in built.stages}
    assert usage["captions"].model_calls == built.caption_requests
    assert 6 * built.caption_requests >= usage["captions"].generated_tokens > 0
    assert usage["captions"].prompt_tokens > 10 * built.caption_requests
    assert usage["score"].model_calls > 0 and usage["score"].generated_tokens == 0
    # 13 files are probed (the copy is not read again), and the frames of the 8 that have clips come along
    assert usage["ingest"].decodes == usage["ingest"].probes == 13 and usage["captions"].reads == 0
    assert built.decodes == {"probe": 13, "read": 0, "compare": 0, "frames": usage["ingest"].frames} and built.decodes["frames"]
    assert built.to_dict()["decodes"] == built.decodes
    assert usage["responses"] == usage["filter"] == Usage()
    assert built.usage == total(usage.values()) and built.to_dict()["usage"] == built.usage.to_dict()
