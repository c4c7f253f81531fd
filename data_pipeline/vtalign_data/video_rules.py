"""Which probed videos the config leaves out: too short or long, too few frames, too small or large, another codec."""

from vtalign.video.probe import VideoInfo
from vtalign_data.ingest_config import IngestConfig


def broken_rule(info: VideoInfo, rules: IngestConfig) -> tuple[str, str] | None:
    """(reason, detail) of the first rule that the video breaks; None where it breaks none."""
    short, long = sorted((info.width, info.height))
    checks = (
        ("too_short", "s", info.duration, "min_duration"),
        ("too_long", "s", info.duration, "max_duration"),
        ("too_few_frames", "frames", info.frames, "min_frames"),
        ("too_small", "pixels on the shorter side", short, "min_side"),
        ("too_large", "pixels on the longer side", long, "max_side"),
    )
    for reason, unit, found, setting in checks:
        bound = getattr(rules, setting)
        if bound is not None and (found < bound if setting.startswith("min") else found > bound):
            return reason, f"{found:g} {unit}, ingest.{setting} is {bound:g}"
    if rules.codecs is not None and info.codec not in rules.codecs:
        return "codec", f"{info.codec}, ingest.codecs are {', '.join(rules.codecs)}"
    return None
