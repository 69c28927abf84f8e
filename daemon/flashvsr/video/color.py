"""Colour description of a picture: which matrix and range its YUV samples use, and how to tag the output.

Numbers of matrices, primaries and transfer functions are those of ITU-T H.273, which FFmpeg uses unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass

UNSPECIFIED = 2
# What H.273 defines, less what it reserves. Damaged files hold any number, and swscale refuses those it does not know.
_PRIMARIES = frozenset({1, *range(4, 13), 22})
_TRANSFERS = frozenset({1, *range(4, 19)})

# H.273 matrix number -> the name swscale's filter knows. RGB (0) and constant-luminance kinds are handled
# elsewhere.
_MATRIX_NAMES = {
    1: "bt709",
    4: "fcc",
    5: "smpte170m",
    6: "smpte170m",
    7: "smpte240m",
    9: "bt2020nc",
    10: "bt2020nc",
}
_MATRIX_NUMBERS = {"bt709": 1, "fcc": 4, "smpte170m": 6, "smpte240m": 7, "bt2020nc": 9}
_PRIMARIES_OF = {"bt709": 1, "fcc": 4, "smpte170m": 6, "smpte240m": 7, "bt2020nc": 9}
_TRANSFER_OF = {"bt709": 1, "fcc": 4, "smpte170m": 6, "smpte240m": 7, "bt2020nc": 14}


@dataclass(frozen=True)
class ColorInfo:
    """`matrix`: bt709, smpte170m, bt2020nc, fcc, smpte240m or rgb. `range`: limited or full.

    `primaries` and `transfer` are H.273 numbers, 2 when the file does not say.
    """

    matrix: str
    range: str
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED

    @property
    def matrix_number(self) -> int:
        """The H.273 number of `matrix` (0 for rgb)."""
        return _MATRIX_NUMBERS.get(self.matrix, 0)

    @property
    def range_number(self) -> int:
        """FFmpeg's number of `range`: 1 limited, 2 full."""
        return 2 if self.range == "full" else 1


def is_high_definition(width: int, height: int) -> bool:
    """Whether untagged material of this size is taken for BT.709, as players do; smaller is BT.601."""
    return width >= 1280 or height > 576


def resolve(
    matrix: int, color_range: int, pixel_format: str, is_rgb: bool, size: tuple[int, int],
    primaries: int = UNSPECIFIED, transfer: int = UNSPECIFIED,
) -> ColorInfo:  # fmt: skip
    """Fill in what a file leaves open or has wrong. `size` is (width, height) as stored, in pixels."""
    primaries = primaries if primaries in _PRIMARIES else UNSPECIFIED
    transfer = transfer if transfer in _TRANSFERS else UNSPECIFIED
    if is_rgb:
        return ColorInfo("rgb", "full", primaries, transfer)
    default = "bt709" if is_high_definition(*size) else "smpte170m"
    # Grey that does not say is a PNG's, a GIF's or a JPEG's, and players take it for full range, too.
    full = color_range == 2 or (color_range != 1 and pixel_format.startswith(("yuvj", "gray", "ya")))
    return ColorInfo(_MATRIX_NAMES.get(matrix, default), "full" if full else "limited", primaries, transfer)


def output_color(source: ColorInfo, width: int, height: int) -> ColorInfo:
    """How the output is coded and tagged: limited range, BT.709 for HD, BT.601 for SD, BT.2020 is kept.

    Only the matrix is converted. Primaries and transfer function are properties of the RGB values, which the
    model keeps, so the source's tags are passed on.
    """
    if source.matrix == "bt2020nc":
        matrix = "bt2020nc"
    else:
        matrix = "bt709" if is_high_definition(width, height) else "smpte170m"
    return ColorInfo(
        matrix,
        "limited",
        _PRIMARIES_OF[matrix] if source.primaries == UNSPECIFIED else source.primaries,
        _TRANSFER_OF[matrix] if source.transfer == UNSPECIFIED else source.transfer,
    )
