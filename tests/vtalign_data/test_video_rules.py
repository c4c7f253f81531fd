import pytest

from vtalign.video.probe import VideoInfo
from vtalign_data.ingest_config import IngestConfig
from vtalign_data.video_rules import broken_rule

INFO = VideoInfo("video-0", 320, 240, 0, "h264", 40, 40, tuple(i / 8 for i in range(40)), 5.0, "pass")


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ({}, None),
        ({"min_duration": 5.0, "max_duration": 5.0}, None),
        ({"min_duration": 5.1}, "too_short"),
        ({"max_duration": 4.9}, "too_long"),
        ({"min_frames": 40}, None),
        ({"min_frames": 41}, "too_few_frames"),
        ({"min_side": 240, "max_side": 320}, None),
        ({"min_side": 241}, "too_small"),
        ({"max_side": 319}, "too_large"),
        ({"codecs": ["vp9", "h264"]}, None),
        ({"codecs": ["vp9"]}, "codec"),
        ({"codecs": ["vp9"], "min_side": 241}, "too_small"),
    ],
)
def test_rules(rules: dict[str, object], reason: str | None) -> None:
    found = broken_rule(INFO, IngestConfig.model_validate(rules))
    assert (found and found[0]) == reason


def test_the_detail_names_both_numbers() -> None:
    assert broken_rule(INFO, IngestConfig(min_duration=8)) == ("too_short", "5 s, ingest.min_duration is 8")
