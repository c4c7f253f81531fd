"""Damage to video files, as seeded functions of bytes."""

import random
from collections.abc import Callable

Mutation = Callable[[bytearray, bytes, random.Random], bytes]
"""(content, content of another file, draws) -> damaged content."""

# Names of boxes, chunks and elements whose numbers a file states about itself, and how many bytes of numbers follow.
_MP4 = {b"mvhd": 32, b"mdhd": 28, b"tkhd": 84, b"elst": 24, b"stsd": 60, b"stts": 24, b"ctts": 24, b"stss": 24}
_MP4 |= {b"stsc": 24, b"stsz": 32, b"stco": 24, b"co64": 24, b"trun": 24, b"tfhd": 24}
_AVI = {b"avih": 56, b"strh": 56, b"strf": 40, b"idx1": 36}
# Matroska: timestamp scale, duration, size, default duration, cue time
_MKV = {b"\x2a\xd7\xb1": 8, b"\x44\x89": 8, b"\xb0": 4, b"\xba": 4, b"\x23\xe3\x83": 8, b"\xb3": 8}
_STATED = {b"ftyp": _MP4, b"AVI ": _AVI, b"\x1a\x45\xdf\xa3": _MKV, b"GIF8": {b"GIF89a": 7, b"\x21\xf9": 6}}
_EXTREMES = (0, 1, 2, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_HEAD = 512  # bytes at the beginning that every format uses for its header


def mutated(kind: str, content: bytes, other: bytes, draw: random.Random) -> bytes:
    """`content` after damage of `kind` (one of `MUTATIONS`); never `content` itself. `other` is another content."""
    while (damaged := MUTATIONS[kind](bytearray(content), other, draw)) == content:
        pass  # zeros over zeros
    return damaged


def _flip_bits(content: bytearray, _: bytes, draw: random.Random) -> bytes:
    for _ in range(draw.choice((1, 4, 16, 64))):
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    return bytes(content)


def _zero_ranges(content: bytearray, _: bytes, draw: random.Random) -> bytes:
    for _ in range(draw.randint(1, 4)):
        start, length = draw.randrange(len(content)), draw.choice((16, 256, 4096))
        content[start : start + length] = bytes(len(content[start : start + length]))
    return bytes(content)


def _cut_off(content: bytearray, _: bytes, draw: random.Random) -> bytes:
    return bytes(content[: int(len(content) * draw.uniform(0.02, 0.999))])


def _insert_bytes(content: bytearray, _: bytes, draw: random.Random) -> bytes:
    for _ in range(draw.randint(1, 3)):
        at = draw.randrange(len(content))
        content[at:at] = draw.randbytes(draw.choice((1, 4, 64, 512)))
    return bytes(content)


def _swap_blocks(content: bytearray, _: bytes, draw: random.Random) -> bytes:
    size = min(draw.choice((512, 4096, 32768)), len(content) // 3)
    first = draw.randrange(len(content) - 2 * size + 1)
    second = draw.randrange(first + size, len(content) - size + 1)
    content[first : first + size], content[second : second + size] = (
        content[second : second + size],
        content[first : first + size],
    )
    return bytes(content)


def _damage_header(content: bytearray, _: bytes, draw: random.Random) -> bytes:
    """A few wrong bytes in the first half kilobyte, or in an MP4's table of contents."""
    moov = content.find(b"moov")
    regions = [range(0, min(_HEAD, len(content)))]
    regions += [range(moov, min(moov + 4096, len(content)))] if moov >= 0 else []
    region = draw.choice(regions)
    for _ in range(draw.choice((1, 2, 8))):
        content[draw.choice(region)] = draw.randrange(256)
    return bytes(content)


def _lie(content: bytearray, _: bytes, draw: random.Random) -> bytes:
    """One number that the file states about itself becomes an extreme one, or another one nearby."""
    tables = next((tables for mark, tables in _STATED.items() if mark in content[:16]), {})
    places = [(content.find(name) + len(name), length) for name, length in tables.items() if name in content]
    start, length = draw.choice(places or [(0, _HEAD)])
    width = draw.choice((1, 2, 4)) if length < 16 else 4
    at = min(start + draw.randrange(0, max(1, length - width + 1), width), len(content) - width)
    near = int.from_bytes(content[at : at + width]) + draw.choice((-1, 1, 100))
    value = draw.choice((*_EXTREMES, near, near)) % (1 << 8 * width)
    content[at : at + width] = value.to_bytes(width)
    return bytes(content)


def _other_tail(content: bytearray, other: bytes, draw: random.Random) -> bytes:
    share = draw.uniform(0.1, 0.95)
    return bytes(content[: int(len(content) * share)]) + other[int(len(other) * share) :]


MUTATIONS: dict[str, Mutation] = {
    "bit flips": _flip_bits,
    "zeroed ranges": _zero_ranges,
    "cut off": _cut_off,
    "inserted bytes": _insert_bytes,
    "swapped blocks": _swap_blocks,
    "damaged header": _damage_header,
    "lying header": _lie,
    "another file's tail": _other_tail,
}
