"""Sizes from source to result, exact to the pixel: scale to the preset's width, upscale, fit to blocks."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import floor

from flashvsr.errors import BadInput
from flashvsr.settings.preset import Preset

Size = tuple[int, int]

BLOCK = 128  # the model needs both sides as multiples of this
MAX_SIDE = 16384  # what the encoders and players take at most


@dataclass(frozen=True)
class Geometry:
    """All sizes are (width, height) in pixels.

    `scaled`: what the decoder delivers. `upscaled`: `scaled` times the factor. `model`: what the model
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


def plan(width: int, height: int, preset: Preset) -> Geometry:
    """Plan the sizes for a source of `width` x `height` pixels (after rotation).

    Raises BadInput when the result would be smaller than one block or larger than encoders take.
    """
    target = preset.width or width
    scaled = (_even(Fraction(target)), _even(Fraction(target * height, width)))
    scale = Fraction(str(preset.scale))
    upscaled = (_even(scaled[0] * scale), _even(scaled[1] * scale))
    if preset.fit == "pad":
        model = (_round_up(upscaled[0]), _round_up(upscaled[1]))
        output = upscaled
    else:
        if min(upscaled) < BLOCK:
            raise BadInput(
                f"{width}x{height} becomes {upscaled[0]}x{upscaled[1]}, less than one {BLOCK}x{BLOCK} block "
                'of the model; raise width or scale in the preset, or set fit = "pad"'
            )
        model = (upscaled[0] // BLOCK * BLOCK, upscaled[1] // BLOCK * BLOCK)
        output = model
    if max(*model, *upscaled) > MAX_SIDE:
        raise BadInput(
            f"{width}x{height} becomes {upscaled[0]}x{upscaled[1]}, more than the {MAX_SIDE} pixels a side "
            "that encoders take; lower width or scale in the preset"
        )
    offset = (_half(upscaled[0] - model[0]), _half(upscaled[1] - model[1]))
    return Geometry(scaled, upscaled, model, output, offset)


def _even(value: Fraction) -> int:
    """The nearest even number, at least 2; halfway goes up (as FFmpeg's `scale=W:-2` does)."""
    return max(2, 2 * floor(value / 2 + Fraction(1, 2)))


def _round_up(value: int) -> int:
    return -(-value // BLOCK) * BLOCK


def _half(difference: int) -> int:
    """Half of an even difference of either sign."""
    return difference // 2
