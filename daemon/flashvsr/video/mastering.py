"""HDR10's facts about the display that a film was graded on, and about its brightest pictures: read, and passed on.

They come with decoded frames, wherever the file keeps them, and go into the result's stream through the encoders' own
options. What changes from scene to scene (HDR10+, Dolby Vision) is not among them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from av.buffer import Buffer
    from av.video.frame import VideoFrame

Point = tuple[Fraction, Fraction]  # x and y of CIE 1931

_CHROMATICITY = 50_000  # steps to 1 in H.264 and HEVC
_LUMINANCE = 10_000  # steps to 1 cd/m² there
_MOST_LUMINANCE = 100_000  # cd/m²; more is damage
_DISPLAY_BYTES, _LIGHT_BYTES = 88, 8  # FFmpeg's structures


@dataclass(frozen=True)
class Display:
    """The mastering display: its primaries, its white, and the luminances it reaches, in cd/m²."""

    red: Point
    green: Point
    blue: Point
    white: Point
    darkest: Fraction
    brightest: Fraction


@dataclass(frozen=True)
class Light:
    """The brightest pixel (MaxCLL) and the brightest picture on average (MaxFALL), in cd/m²; 0 is unknown."""

    content: int
    frame_average: int


@dataclass(frozen=True)
class Mastering:
    """What a file says about its mastering, either part where it does."""

    display: Display | None = None
    light: Light | None = None

    def options(self, encoder: str) -> str:
        """The part of the encoder's `-params` option that says it, each item led by a colon; empty for NVENC."""
        found = []
        if self.display is not None:
            found.append(_display_option(encoder, self.display))
        if self.light is not None:
            name = {"libx264": "cll", "libx265": "max-cll", "libsvtav1": "content-light"}.get(encoder, "")
            found.append(f"{name}={self.light.content},{self.light.frame_average}" if name else "")
        return "".join(f":{option}" for option in found if option)


def mastering_of(frame: VideoFrame) -> Mastering | None:
    """What comes with a decoded frame; None where there is nothing, or nothing that makes sense."""
    found = Mastering(_display(_side_data(frame, "MASTERING_DISPLAY_METADATA")),
                      _light(_side_data(frame, "CONTENT_LIGHT_LEVEL")))  # fmt: skip
    return None if found == Mastering() else found


def _side_data(frame: VideoFrame, name: str) -> bytes:
    data = cast("Buffer | None", frame.side_data.get(name))
    return b"" if data is None else bytes(data)


def _display(data: bytes) -> Display | None:
    """From AVMasteringDisplayMetadata. Encoders take all of it or nothing, so a part of it does not count."""
    if len(data) < _DISPLAY_BYTES:
        return None
    *numbers, has_primaries, has_luminance = struct.unpack("=22i", data[:_DISPLAY_BYTES])
    if not has_primaries or not has_luminance or 0 in numbers[1::2]:
        return None
    values = [Fraction(*pair) for pair in zip(numbers[::2], numbers[1::2], strict=True)]
    red, green, blue, white = ((values[n], values[n + 1]) for n in range(0, 8, 2))
    darkest, brightest = values[8:]
    if not all(0 <= value <= 1 for value in values[:8]) or not 0 <= darkest < brightest <= _MOST_LUMINANCE:
        return None
    return Display(red, green, blue, white, darkest, brightest)


def _light(data: bytes) -> Light | None:
    """From AVContentLightMetadata."""
    if len(data) < _LIGHT_BYTES:
        return None
    content, frame_average = struct.unpack("=2I", data[:_LIGHT_BYTES])
    if not 0 < max(content, frame_average) <= _MOST_LUMINANCE // 2:
        return None
    return Light(content, frame_average)


def _display_option(encoder: str, display: Display) -> str:
    points = {"G": display.green, "B": display.blue, "R": display.red, "WP": display.white}
    if encoder == "libsvtav1":
        shown = "".join(f"{at}({float(x):.5f},{float(y):.5f})" for at, (x, y) in points.items())
        return f"mastering-display={shown}L({float(display.brightest):.4f},{float(display.darkest):.4f})"
    name = {"libx264": "mastering-display", "libx265": "master-display"}.get(encoder)
    if name is None:
        return ""
    shown = "".join(f"{at}({round(x * _CHROMATICITY)},{round(y * _CHROMATICITY)})" for at, (x, y) in points.items())
    return f"{name}={shown}L({round(display.brightest * _LUMINANCE)},{round(display.darkest * _LUMINANCE)})"
