"""Marks of pictures that are not flat: 360 degrees, and one picture for each eye. Without them players show them flat.

They come with decoded frames, wherever the file keeps them, and are passed on in the header of the result. What the
result's picture does not fit any more is named instead.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, cast

from flashvsr.video.ebml import element

if TYPE_CHECKING:
    from av.buffer import Buffer
    from av.video.frame import VideoFrame

_SPHERE_BYTES = _STEREO_BYTES = 36  # FFmpeg's structures
_ROUND, _CUBE, _TILE, _HALF = range(4)  # its projections, of those that are passed on
_WHOLE = 1 << 32  # of its fractions of a side
_DEGREE = 1 << 16  # of its angles
_FLAT, _BESIDE, _BELOW = range(3)  # its ways to put two pictures into one
_SWAPPED = 1
_BOTH = (0, 3)  # its views: both packed into one, and not told
# Matroska's words.
_STEREO_MODE = {(_BESIDE, False): 1, (_BELOW, True): 2, (_BELOW, False): 3, (_BESIDE, True): 11}
_PROJECTION_TYPES = {_TILE: 1, _CUBE: 2}
_MODE, _PROJECTION, _TYPE, _PRIVATE = b"\x53\xb8", b"\x76\x70", b"\x76\x71", b"\x76\x72"
_YAW, _PITCH, _ROLL = b"\x76\x73", b"\x76\x74", b"\x76\x75"


@dataclass(frozen=True)
class Sphere:
    """A picture of the world around. `projection`: FFmpeg's number. `turn`: yaw, pitch and roll in degrees.

    `left`, `top`, `right`, `bottom`: parts of the whole, 0 to 1, that are not in the picture. `padding`: of a cube's
    faces, in pixels.
    """

    projection: int
    turn: tuple[float, float, float] = (0.0, 0.0, 0.0)
    left: Fraction = Fraction(0)
    top: Fraction = Fraction(0)
    right: Fraction = Fraction(0)
    bottom: Fraction = Fraction(0)
    padding: int = 0

    def cut(self, across: Fraction, down: Fraction) -> Sphere:
        """Of the middle of the picture: `across` and `down` tell which part of its sides."""
        x, y = (1 - self.left - self.right) * (1 - across) / 2, (1 - self.top - self.bottom) * (1 - down) / 2
        return replace(self, left=self.left + x, right=self.right + x, top=self.top + y, bottom=self.bottom + y)


@dataclass(frozen=True)
class Spatial:
    """What a film says about its space. `stereo`: FFmpeg's number of how the pictures of two eyes lie in one."""

    sphere: Sphere | None = None
    stereo: int = _FLAT
    swapped: bool = False
    is_one_of_two: bool = False

    def marks(self, across: Fraction, down: Fraction, turned: bool) -> tuple[bytes, list[str]]:
        """Matroska's elements for a result that shows the middle of the picture; and what could not be kept, in words.

        `across`, `down`: parts of the picture's sides that the result has. `turned`: whether it was made upright.
        """
        advice = 'set fit = "pad" in the preset to keep it'
        elements, lost = [], []
        if self.is_one_of_two:
            lost.append("the second eye's picture of the source is left out")
        if self.stereo != _FLAT:
            split = across if self.stereo == _BESIDE else down
            mode = None if turned else _STEREO_MODE.get((self.stereo, self.swapped))
            if mode is not None and split == 1:
                elements.append(element(_MODE, bytes([mode])))
            else:
                lost.append(f"the mark of a 3D picture is left out{f'; {advice}' if mode else ''}")
        if self.sphere is not None:
            split = across if self.stereo == _BESIDE else down if self.stereo == _BELOW else Fraction(1)
            whole = split == 1 if self.sphere.projection == _TILE else across == down == 1
            known = self.sphere.projection in _PROJECTION_TYPES and not turned
            if known and whole:
                elements.append(_projection(self.sphere.cut(across, down)))
            else:
                lost.append(f"the mark of a 360° picture is left out{f'; {advice}' if known else ''}")
        return b"".join(elements), lost


def spatial_of(frame: VideoFrame) -> Spatial | None:
    """What comes with a decoded frame; None where it is flat."""
    sphere = _sphere(_side_data(frame, "SPHERICAL"))
    stereo = _side_data(frame, "STEREO3D")
    if len(stereo) < _STEREO_BYTES:
        return Spatial(sphere) if sphere else None
    kind, flags, view = struct.unpack("=3i", stereo[:12])
    packed = kind in range(1, 8) and view in _BOTH
    found = Spatial(
        sphere, kind if packed else _FLAT, bool(flags & _SWAPPED), is_one_of_two=not packed and kind != _FLAT
    )
    return None if found in (Spatial(), Spatial(swapped=True)) else found


def _sphere(data: bytes) -> Sphere | None:
    """From AVSphericalMapping. The whole round, and half of it, are tiles of it as well."""
    if len(data) < _SPHERE_BYTES:
        return None
    projection, *turn = struct.unpack("=4i", data[:16])
    *bounds, padding = struct.unpack("=5I", data[16:36])
    angles = cast("tuple[float, float, float]", tuple(angle / _DEGREE for angle in turn))
    if projection not in (_ROUND, _TILE, _HALF):
        return Sphere(projection, angles, padding=padding)
    sides = [Fraction(bound, _WHOLE) for bound in bounds] if projection == _TILE else [Fraction(0)] * 4
    if projection == _HALF:
        sides[0] = sides[2] = Fraction(1, 4)
    if sides[0] + sides[2] >= 1 or sides[1] + sides[3] >= 1:
        return None
    return Sphere(_TILE, angles, sides[0], sides[1], sides[2], sides[3])


def _projection(sphere: Sphere) -> bytes:
    if sphere.projection == _TILE:
        sides = (sphere.top, sphere.bottom, sphere.left, sphere.right)
        private = struct.pack(">5I", 0, *(round(side * _WHOLE) for side in sides))
    else:
        private = struct.pack(">3I", 0, 0, sphere.padding)
    turn = zip((_YAW, _PITCH, _ROLL), sphere.turn, strict=True)
    content = element(_TYPE, bytes([_PROJECTION_TYPES[sphere.projection]])) + element(_PRIVATE, private)
    return element(_PROJECTION, content + b"".join(element(name, struct.pack(">f", angle)) for name, angle in turn))


def _side_data(frame: VideoFrame, name: str) -> bytes:
    data = cast("Buffer | None", frame.side_data.get(name))
    return b"" if data is None else bytes(data)
