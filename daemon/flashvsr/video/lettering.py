"""Short labels on pictures, in capitals of 5x7 dots: no library for letters is needed, and no font of the machine."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]  # (height, width, 3)

ROWS, COLUMNS = 7, 5
_MARGIN = 3  # dots around the text
_BOX_SHADE = 0.28  # how much of the picture shows through behind a label
_WHITE = 255

# One byte a column, its lowest bit the upper row.
_GLYPHS = {
    "0": "3e5149453e", "1": "00427f4000", "2": "4261514946", "3": "2141454b31", "4": "1814127f10", "5": "2745454539",
    "6": "3c4a494930", "7": "0171090503", "8": "3649494936", "9": "064949291e", "A": "7e1111117e", "B": "7f49494936",
    "C": "3e41414122", "D": "7f4141221c", "E": "7f49494941", "F": "7f09090901", "G": "3e4149497a", "H": "7f0808087f",
    "I": "00417f4100", "J": "2040413f01", "K": "7f08142241", "L": "7f40404040", "M": "7f020c027f", "N": "7f0408107f",
    "O": "3e4141413e", "P": "7f09090906", "Q": "3e4151215e", "R": "7f09192946", "S": "4649494931", "T": "01017f0101",
    "U": "3f4040403f", "V": "1f2040201f", "W": "3f4038403f", "X": "6314081463", "Y": "0708700807", "Z": "6151494543",
    "x": "4428102844", " ": "0000000000", ",": "0050300000", ".": "0060600000", "-": "0808080808",
}  # fmt: skip


def label(picture: Picture, text: str, left: int, top: int, dot: int) -> None:
    """Write a label into the picture, on a darkened box whose corner is at (left, top); `dot`: pixels of a dot.

    Letters become capitals, but for an x between numbers. A character that it does not have is left out. What does not
    fit into the picture is cut.
    """
    dots = _dots(text)
    mask = np.pad(dots, _MARGIN).repeat(dot, axis=0).repeat(dot, axis=1)
    place = picture[top : top + mask.shape[0], left : left + mask.shape[1]]
    place[:] = (place * _BOX_SHADE).astype(np.uint8)
    place[mask[: place.shape[0], : place.shape[1]]] = _WHITE


def label_size(text: str, dot: int) -> tuple[int, int]:
    """The (width, height) of a label in pixels."""
    height, width = _dots(text).shape
    return (width + 2 * _MARGIN) * dot, (height + 2 * _MARGIN) * dot


def _dots(text: str) -> npt.NDArray[np.bool_]:
    """The dots of a text, (rows, columns)."""
    blank = np.zeros((ROWS, 1), np.bool_)
    columns = [blank]
    for character in text:
        glyph = _GLYPHS.get(character) or _GLYPHS.get(character.upper())
        if glyph is not None:
            bits = np.frombuffer(bytes.fromhex(glyph), np.uint8)
            columns += [((bits[None, :] >> np.arange(ROWS)[:, None]) & 1).astype(np.bool_), blank]
    return np.concatenate(columns[1:-1] or columns, axis=1)
