"""Known Y'CbCr values by the formulas of ITU-T H.273, into files and out of frames."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

LUMA = {"bt709": (0.2126, 0.0722), "smpte170m": (0.299, 0.114), "bt2020nc": (0.2627, 0.0593)}  # (red, blue)
NUMBERS = {"bt709": 1, "smpte170m": 6, "bt2020nc": 9}
COLOURS = [
    (255, 255, 255), (0, 0, 0), (128, 128, 128), (191, 30, 30), (30, 180, 40), (40, 40, 200), (220, 200, 20),
    (20, 190, 190), (180, 30, 170), (240, 150, 120), (90, 60, 30), (16, 16, 16),
]  # fmt: skip
EDGE = 8  # pixels beside an edge where subsampled chroma and filters mix neighbours

Planes = Sequence[np.ndarray]


def flat_and_ramp(width: int, height: int) -> np.ndarray:
    """Flat colours in columns above a grey ramp; (height, width, 3) floats from 0 to 1."""
    picture = np.zeros((height, width, 3))
    for number, colour in enumerate(COLOURS):
        left, right = (round(n * width / len(COLOURS) / 4) * 4 for n in (number, number + 1))
        picture[:, left:right] = np.array(colour) / 255
    picture[height // 2 :] = np.linspace(0, 1, width)[None, :, None]
    return picture


def calm(picture: np.ndarray) -> np.ndarray:
    """Where a picture of `flat_and_ramp` is away from its edges: (height, width) booleans."""
    height, width = picture.shape[:2]
    away = np.ones((height, width), bool)
    away[height // 2 - EDGE : height // 2 + EDGE] = False
    for edge in np.flatnonzero(np.abs(np.diff(picture[0], axis=0)).sum(1)):
        away[: height // 2, max(0, edge - EDGE) : edge + EDGE + 1] = False
    return away


def to_planes(rgb: np.ndarray, matrix: str, color_range: str, bits: int) -> list[np.ndarray]:
    """RGB from 0 to 1 -> Y, Cb, Cr as floats in codes of `bits` bits, all of full resolution."""
    red, blue = LUMA[matrix]
    r, g, b = (rgb[..., channel] for channel in range(3))
    y = red * r + (1 - red - blue) * g + blue * b
    cb, cr = (b - y) / (2 - 2 * blue), (r - y) / (2 - 2 * red)
    unit, middle = 1 << (bits - 8), 1 << (bits - 1)
    if color_range == "full":
        top = (1 << bits) - 1
        return [top * y, top * cb + middle, top * cr + middle]
    return [(219 * y + 16) * unit, 224 * unit * cb + middle, 224 * unit * cr + middle]


def to_rgb(planes: Planes, matrix: str, color_range: str, bits: int) -> np.ndarray:
    """The inverse of `to_planes`, not clipped."""
    red, blue = LUMA[matrix]
    unit, middle, top = 1 << (bits - 8), 1 << (bits - 1), (1 << bits) - 1
    y, cb, cr = (plane.astype(float) for plane in planes)
    if color_range == "full":
        y, cb, cr = y / top, (cb - middle) / top, (cr - middle) / top
    else:
        y, cb, cr = (y / unit - 16) / 219, (cb - middle) / (224 * unit), (cr - middle) / (224 * unit)
    r, b = y + (2 - 2 * red) * cr, y + (2 - 2 * blue) * cb
    return np.stack([r, (y - red * r - blue * b) / (1 - red - blue), b], axis=-1)


def frame_of(planes: Planes, pixel_format: str) -> av.VideoFrame:
    """A frame of whole numbers; `planes` as the format stores them, each in its own resolution."""
    height, width = planes[0].shape
    frame = av.VideoFrame(width, height, pixel_format)
    for plane, values in zip(frame.planes, planes, strict=True):
        kind = np.uint16 if frame.format.components[0].bits > 8 else np.uint8
        rows = np.zeros((values.shape[0], plane.line_size // np.dtype(kind).itemsize), kind)
        rows[:, : values.shape[1]] = np.clip(values.round(), 0, np.iinfo(kind).max).astype(kind)
        plane.update(rows.tobytes()[: plane.buffer_size].ljust(plane.buffer_size, b"\0"))
    return frame


def planes_of(frame: av.VideoFrame) -> list[np.ndarray]:
    """What a frame stores, each plane in its own resolution; of semi-planar formats Y alone."""
    kind = np.uint16 if frame.format.components[0].bits > 8 else np.uint8
    found = []
    for plane in frame.planes:
        rows = np.frombuffer(bytes(plane), kind).reshape(-1, plane.line_size // np.dtype(kind).itemsize)
        found.append(rows[: plane.height, : plane.width])
    return found


def subsampled(planes: Planes, pixel_format: str) -> list[np.ndarray]:
    """Chroma in the format's resolution, none for grey; alpha, where there is one, is opaque."""
    if pixel_format.startswith("gray"):
        return [planes[0]]
    down = 2 if "420" in pixel_format else 1
    across = 1 if "444" in pixel_format else 2
    stored = [planes[0], planes[1][::down, ::across], planes[2][::down, ::across]]
    if "yuva" in pixel_format:
        stored.append(np.full_like(planes[0], 255))
    return stored


def write_frames(
    path: Path, frames: Sequence[av.VideoFrame], codec: str = "ffv1", rate: int = 25, *,
    tags: dict[str, int] | None = None, options: dict[str, str] | None = None,
) -> Path:  # fmt: skip
    """Encode frames as they are. `tags`: colorspace, color_range, color_primaries, color_trc."""
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream(codec, rate=rate, options=options or {})
        first = frames[0]
        stream.width, stream.height, stream.pix_fmt = first.width, first.height, first.format.name
        for name, value in (tags or {}).items():
            setattr(stream.codec_context, name, value)
        for index, frame in enumerate(frames):
            frame.pts, frame.time_base = index, Fraction(1, rate)
            for name, value in (tags or {}).items():
                setattr(frame, name, value)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path
