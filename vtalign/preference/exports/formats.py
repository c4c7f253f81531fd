"""The formats by the names that the command line has for them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from vtalign.preference.exports.llamafactory import from_llamafactory, to_llamafactory
from vtalign.preference.exports.ms_swift import from_ms_swift, to_ms_swift
from vtalign.preference.exports.row import PreferenceRow
from vtalign.preference.exports.rrpo import from_rrpo, to_rrpo
from vtalign.preference.exports.trl import from_trl, to_trl

FormatName = Literal["trl", "ms-swift", "llamafactory", "rrpo"]


@dataclass(frozen=True)
class Format:
    """`write` and `read` raise RowError. `two_videos`: whether the sides may be about two videos (VDPO). `images`: it has frames
    as images in place of videos."""

    write: Callable[[PreferenceRow], dict[str, Any]]
    read: Callable[[Mapping[str, Any]], PreferenceRow]
    two_videos: bool = False
    images: bool = False


FORMATS: dict[FormatName, Format] = {
    "trl": Format(to_trl, from_trl, images=True),
    "ms-swift": Format(to_ms_swift, from_ms_swift, two_videos=True),
    "llamafactory": Format(to_llamafactory, from_llamafactory),
    "rrpo": Format(to_rrpo, from_rrpo),
}
