"""Draw events as frames and write them as real mp4 files."""

import math
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np

from vtalign_data.synth.world import CLIP_SECONDS, COLOURS, FPS, Event

FRAMES_PER_CLIP = int(CLIP_SECONDS * FPS)
_SUBPIXEL = 4  # bits: cv2 draws with fractional coordinates, so that slow motion moves in every frame
_TRAVEL = {"slowly": 0.26, "quickly": 0.56}  # path length over the clip, as a fraction of the frame
_STEP = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}


def render_event(event: Event, *, side: int = 96) -> np.ndarray:
    """Frames of one clip, uint8 (FRAMES_PER_CLIP, side, side, 3), RGB."""
    return np.stack([draw_frame(event, index / FRAMES_PER_CLIP, side=side) for index in range(FRAMES_PER_CLIP)])


def render_story(story: list[Event], *, side: int = 96) -> np.ndarray:
    """The clips one after another, uint8 (len(story) * FRAMES_PER_CLIP, side, side, 3)."""
    return np.concatenate([render_event(event, side=side) for event in story])


def write_mp4(path: Path, frames: np.ndarray, *, fps: int = FPS) -> None:
    """Encode frames (T, H, W, 3) uint8 RGB as H.264; one thread and fixed settings, so that the bytes repeat."""
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        options = {"crf": "14", "preset": "veryfast", "threads": "1", "g": "16", "x264-params": "threads=1"}
        stream = container.add_stream("libx264", rate=fps, options=options)
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
        stream.codec_context.thread_count = 1
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")))
        container.mux(stream.encode())


@dataclass(frozen=True)
class State:
    """Where the object is at one moment: centre and radius as fractions of the frame."""

    x: float
    y: float
    radius: float
    colour: str
    visible: bool


def state_at(event: Event, t: float) -> State:
    """The object at time `t` in [0, 1) of its clip."""
    x, y = event.place
    radius, colour, visible = event.room, event.colour, True
    if event.kind == "move":
        dx, dy = _STEP[event.how]
        along = (t - 0.5) * _TRAVEL[event.speed]
        # The path is centred on the frame along its direction, so that no start position gives the direction away.
        x, y = (0.5 + dx * along, y) if dx else (x, 0.5 + dy * along)
    elif event.kind == "size":
        radius = 0.08 + 0.15 * (t if event.how == "grows" else 1 - t)
    elif event.kind == "turn":
        colour = event.how if t >= 0.5 else event.colour
    elif event.how == "blinks":
        visible = math.floor(t * 4) % 2 == 0
    elif event.how == "shakes":
        x += 0.11 * math.cos(4 * math.pi * t)
    elif event.how == "jumps":
        y += 0.13 * math.cos(4 * math.pi * t)
    return State(x, y, radius, colour, visible)


def draw_frame(event: Event, t: float, *, side: int = 96) -> np.ndarray:
    """One frame at time `t` in [0, 1), uint8 (side, side, 3)."""
    state = state_at(event, t)
    image = np.full((side, side, 3), event.shade, np.uint8)
    if state.visible:
        _draw(image, event.shape, state.x * side, state.y * side, state.radius * side, COLOURS[state.colour])
    return image


def _draw(image: np.ndarray, shape: str, x: float, y: float, r: float, colour: tuple[int, int, int]) -> None:
    scale = 1 << _SUBPIXEL

    def points(*pairs: tuple[float, float]) -> np.ndarray:
        return np.array([[round((x + r * a) * scale), round((y + r * b) * scale)] for a, b in pairs], np.int32)

    if shape in ("circle", "ring"):
        centre, radius = (round(x * scale), round(y * scale)), round(r * scale)
        if shape == "circle":
            cv2.circle(image, centre, radius, colour, -1, cv2.LINE_AA, _SUBPIXEL)
        else:
            cv2.circle(image, centre, round(0.78 * r * scale), colour, max(2, round(0.42 * r)), cv2.LINE_AA, _SUBPIXEL)
    elif shape == "square":
        cv2.fillPoly(image, [points((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9))], colour, cv2.LINE_AA, _SUBPIXEL)
    elif shape == "triangle":
        cv2.fillPoly(image, [points((0, -1.1), (1.05, 0.85), (-1.05, 0.85))], colour, cv2.LINE_AA, _SUBPIXEL)
    else:
        for arm in (
            points((-1, -0.33), (1, -0.33), (1, 0.33), (-1, 0.33)),
            points((-0.33, -1), (0.33, -1), (0.33, 1), (-0.33, 1)),
        ):
            cv2.fillPoly(image, [arm], colour, cv2.LINE_AA, _SUBPIXEL)
