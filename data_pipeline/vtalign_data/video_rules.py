"""Which probed videos the config leaves out: too short or long, too few frames, too small or large, another codec."""

from vtalign.video.probe import VideoInfo
from vtalign_data.ingest_config import IngestConfig


def broken_rule(info: VideoInfo, rules: IngestConfig) -> tuple[str, str] | None:
    """(reason, detail) of the first rule that the video breaks; None where it breaks none."""
    short, long = sorted((info.width, info.height))
    checks = (
        ("too_short", "s", info.duration, rules.min_duration, None),
        ("too_long", "s", info.duration, None, rules.max_duration),
        ("too_few_frames", "frames", info.frames, rules.min_frames, None),
        ("too_small", "pixels on the shorter side", short, rules.min_side, None),
        ("too_large", "pixels on the longer side", long, None, rules.max_side),
    )
    for reason, unit, found, least, most in checks:
        if least is not None and found < least:
            return reason, f"{found:g} {unit}, at least {least:g} wanted"
        if most is not None and found > most:
            return reason, f"{found:g} {unit}, at most {most:g} wanted"
    if rules.codecs is not None and info.codec not in rules.codecs:
        return "codec", f"{info.codec}, not one of {', '.join(rules.codecs)}"
    return None
