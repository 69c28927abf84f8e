"""Sizes from source to result, exact to the pixel: the preset's width, the scale, the limit, then fit to blocks."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import floor

from flashvsr.errors import BadInput, Fault, Skipped
from flashvsr.settings.preset import Preset

Size = tuple[int, int]

BLOCK = 128  # the model needs both sides as multiples of this
MAX_SIDE = 16384  # what the encoders and players take at most


@dataclass(frozen=True)
class Geometry:
    """All sizes are (width, height) in pixels.

    `scaled`: what the decoder delivers. `upscaled`: the whole picture behind the model. `model`: what the model
    computes. `output`: what is encoded. `offset`: position (x, y) of the model's rectangle inside the
    upscaled picture; positive where edges are cut (crop), negative where they are extended (pad).
    """

    scaled: Size
    upscaled: Size
    model: Size
    output: Size
    offset: tuple[int, int]

    @property
    def shown(self) -> tuple[Fraction, Fraction]:
        """Which part of the picture's width and of its height the output has; the middle of it."""
        return Fraction(self.output[0], self.upscaled[0]), Fraction(self.output[1], self.upscaled[1])


def plan(width: int, height: int, preset: Preset, *, force: bool = False) -> Geometry:
    """Plan the sizes for a source of `width` x `height` pixels (after rotation).

    A limit of "auto" is none here: whoever knows the device fixes it before. `force`: what the limit would have
    skipped is made all the same, at its own size.

    Raises:
        BadInput: the result would be smaller than one block or larger than encoders take.
        Skipped: the source is as large already as the limit lets its result be.
    """
    scaled, upscaled = _asked(width, height, preset)
    box = _turned(preset.largest, width, height)
    if box is None or _fits(upscaled, box):
        return _fitted(width, height, scaled, upscaled, preset)
    limited = _within(width, height, box)
    geometry = _fitted(width, height, _before(limited, preset), limited, preset)
    own = (_even(Fraction(width)), _even(Fraction(height)))
    if _pixels(geometry.output) > _pixels(own) or (preset.width and _pixels(upscaled) < _pixels(own)):
        return geometry
    if force or (preset.at_limit == "restore" and _fits(own, box)):
        return _fitted(width, height, _before(own, preset), own, preset)
    raise Skipped(
        f"it has {width}x{height} pixels already, and its result may have {box[0]}x{box[1]} at most. "
        "For a larger one raise limit in the preset"
        + ("" if preset.at_limit == "restore" else '; at_limit = "restore" makes such videos at their own size')
    )


def notes(width: int, height: int, preset: Preset, geometry: Geometry) -> list[str]:
    """What a person should know about the sizes, for a source of `width` x `height`."""
    result = "{}x{}".format(*geometry.output)
    found = []
    asked = _asked(width, height, preset)[1]
    if geometry.upscaled != asked and _pixels(geometry.upscaled) < _pixels(asked):
        found.append(f"the result is {result} and not {asked[0]}x{asked[1]}, as the limit is {preset.limit}")
    if _pixels(geometry.output) < width * height:
        reason = f"width = {preset.width}" if preset.width else f'fit = "{preset.fit}"'
        found.append(f"the result, {result}, has fewer pixels than the source, {width}x{height}: {reason} asks for it")
    return found


def _asked(width: int, height: int, preset: Preset) -> tuple[Size, Size]:
    """What the decoder delivers, and what becomes of it, as width and scale have it."""
    longer = max(width, height)
    ratio = Fraction(preset.width or longer, longer)
    scaled = (_even(width * ratio), _even(height * ratio))
    scale = Fraction(str(preset.scale))
    return scaled, (_even(scaled[0] * scale), _even(scaled[1] * scale))


def _turned(box: Size | None, width: int, height: int) -> Size | None:
    """The limit for this picture: for a high one its sides change places."""
    if box is None:
        return None
    longer, shorter = max(box), min(box)
    return (longer, shorter) if width >= height else (shorter, longer)


def _fits(size: Size, box: Size) -> bool:
    return size[0] <= box[0] and size[1] <= box[1]


def _within(width: int, height: int, box: Size) -> Size:
    """The largest size of this shape in the box."""
    ratio = min(Fraction(box[0], width), Fraction(box[1], height))
    return _at_most(width * ratio, box[0]), _at_most(height * ratio, box[1])


def _at_most(value: Fraction, limit: int) -> int:
    return min(_even(value), max(2, limit // 2 * 2))


def _before(upscaled: Size, preset: Preset) -> Size:
    """What the decoder delivers for a picture of this size behind the model."""
    scale = Fraction(str(preset.scale))
    return _even(upscaled[0] / scale), _even(upscaled[1] / scale)


def _fitted(width: int, height: int, scaled: Size, upscaled: Size, preset: Preset) -> Geometry:
    if preset.fit == "pad":
        model = (_round_up(upscaled[0]), _round_up(upscaled[1]))
        output = upscaled
    else:
        if min(upscaled) < BLOCK:
            raise BadInput(
                f"{width}x{height} becomes {upscaled[0]}x{upscaled[1]}, less than one {BLOCK}x{BLOCK} block "
                'of the model; raise width or scale in the preset, or set fit = "pad"',
                fault=Fault.TOO_SMALL,
            )
        model = (upscaled[0] // BLOCK * BLOCK, upscaled[1] // BLOCK * BLOCK)
        output = model
    if max(*model, *upscaled) > MAX_SIDE:
        raise BadInput(
            f"{width}x{height} becomes {upscaled[0]}x{upscaled[1]}, more than the {MAX_SIDE} pixels a side "
            "that encoders take; lower width or scale in the preset",
            fault=Fault.RESULT_TOO_LARGE,
        )
    offset = (_half(upscaled[0] - model[0]), _half(upscaled[1] - model[1]))
    return Geometry(scaled, upscaled, model, output, offset)


def _pixels(size: Size) -> int:
    return size[0] * size[1]


def _even(value: Fraction) -> int:
    """The nearest even number, at least 2; halfway goes up (as FFmpeg's `scale=W:-2` does)."""
    return max(2, 2 * floor(value / 2 + Fraction(1, 2)))


def _round_up(value: int) -> int:
    return -(-value // BLOCK) * BLOCK


def _half(difference: int) -> int:
    """Half of an even difference of either sign."""
    return difference // 2
