"""What the enlargement gains, for people to see: a labelled picture of one frame, and a small one for the status page.

The place that is shown enlarged is the one that gains most: where the result has more detail than the source has when
a filter enlarges it.
"""

from __future__ import annotations

import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame as CodedFrame

from flashvsr.errors import FlashVSRError
from flashvsr.video.color import ColorInfo
from flashvsr.video.convert import Converter
from flashvsr.video.decode import RGB
from flashvsr.video.lettering import label, label_size
from flashvsr.video.picture import Pair, Picture, detail_of, encoded_picture, greatest, resized

WIDEST = 1920  # pixels of the labelled picture
ZOOM = 4
SMALL = (320, 132)  # (width, height) of the small one, both halves and the gap between them
SMALL_BYTES = 20_000
_GAP, _SMALL_GAP = 8, 4  # pixels between two panels
_GREY, _LINE = 96, 255
_PANEL_SHAPE = 9 / 16
_FINE = 1600  # from that width on a result is shown pixel by pixel in the small picture, else enlarged twice
_JFIF = ColorInfo("smpte170m", "full", 6, 6)  # what readers of JPEG take for granted
_BEST, _COARSEST = 3, 31  # quantisers of JPEG


def labelled(pair: Pair, source_size: tuple[int, int]) -> bytes:
    """Return a JPEG. Above the frame, left half before, right half after; below the place that gains most, enlarged.

    `source_size`: (width, height) of the source, for its label. Raises FlashVSRError.
    """
    height, width = pair.after.shape[:2]
    shown = min(width, WIDEST) // 2 * 2
    panel = ((shown - _GAP) // 2, max(2, round((shown - _GAP) // 2 * _PANEL_SHAPE)))
    region = _region((panel[0] // ZOOM, panel[1] // ZOOM), (width, height))
    y, x = _most_gained(pair, region)
    before, after = (_outlined(picture, (x, y), region) for picture in (pair.before, pair.after))
    frame = np.concatenate([before[:, : width // 2], after[:, width // 2 :]], axis=1)
    if width != shown:
        frame = resized(frame, (shown, max(2, round(height * shown / width))))
    middle = frame.shape[1] // 2
    frame[:, max(0, middle - 1) : middle + 1] = _LINE
    texts = ("SOURCE {}x{}, BICUBIC".format(*source_size), f"RESULT {width}x{height}")
    _label_halves(frame, texts)
    panels = [_cut(picture, (x, y), region, panel) for picture in (pair.before, pair.after)]
    gap = np.full((panel[1], shown - 2 * panel[0], 3), _GREY, np.uint8)
    row = np.concatenate([panels[0], gap, panels[1]], axis=1)
    _label_halves(row, ("BICUBIC", "RESULT"))
    line = np.full((_GAP, shown, 3), _GREY, np.uint8)
    return _jpeg(np.concatenate([frame, line, row]), _BEST)


def small(pair: Pair) -> bytes:
    """Return a JPEG of `SMALL` pixels and at most `SMALL_BYTES`: the place that gains most, before and after.

    Raises FlashVSRError.
    """
    height, width = pair.after.shape[:2]
    panel = ((SMALL[0] - _SMALL_GAP) // 2, SMALL[1])
    zoom = 1 if width >= _FINE else 2
    region = _region((panel[0] // zoom, panel[1] // zoom), (width, height))
    corner = _most_gained(pair, region)[::-1]
    panels = [_cut(picture, corner, region, panel) for picture in (pair.before, pair.after)]
    picture = np.concatenate([panels[0], np.full((panel[1], _SMALL_GAP, 3), _LINE, np.uint8), panels[1]], axis=1)
    for step in range(_BEST, _COARSEST + 1):
        data = _jpeg(picture, step)
        if len(data) <= SMALL_BYTES:
            return data
    raise FlashVSRError("the small picture does not become small enough")  # not even noise does not


def _region(wanted: tuple[int, int], picture: tuple[int, int]) -> tuple[int, int]:
    """The largest size (width, height) of the wanted shape that is no larger and lies in the picture."""
    factor = min(1.0, picture[0] / wanted[0], picture[1] / wanted[1])
    return max(1, int(wanted[0] * factor)), max(1, int(wanted[1] * factor))


def _most_gained(pair: Pair, region: tuple[int, int]) -> tuple[int, int]:
    """The (y, x) corner of the region (width, height) that has gained most detail."""
    return greatest(detail_of(pair.after) - detail_of(pair.before), region[::-1])


def _cut(picture: Picture, corner: tuple[int, int], region: tuple[int, int], size: tuple[int, int]) -> Picture:
    x, y = corner
    part = picture[y : y + region[1], x : x + region[0]]
    times = size[0] // part.shape[1]
    if times > 2:  # its pixels are what one wants to see
        part = part.repeat(times, axis=0).repeat(times, axis=1)
    return resized(part, size)


def _outlined(picture: Picture, corner: tuple[int, int], region: tuple[int, int]) -> Picture:
    """A copy with a frame around the region."""
    picture, (x, y) = picture.copy(), corner
    thick = max(1, picture.shape[1] // 960)
    right, bottom = x + region[0], y + region[1]
    picture[y : y + thick, x:right] = picture[bottom - thick : bottom, x:right] = _LINE
    picture[y:bottom, x : x + thick] = picture[y:bottom, right - thick : right] = _LINE
    return picture


def _label_halves(picture: Picture, texts: tuple[str, str]) -> None:
    """Label the left and the right half of a picture, each in its own corner, as large as fits."""
    half = picture.shape[1] // 2
    dot = max(1, picture.shape[1] // 640)
    while dot > 1 and max(label_size(text, dot)[0] for text in texts) > half - 4 * dot:
        dot -= 1
    edge = 2 * dot
    label(picture, texts[0], edge, edge, dot)
    label(picture, texts[1], max(half + edge, picture.shape[1] - label_size(texts[1], dot)[0] - edge), edge, dot)


def _jpeg(picture: Picture, step: int) -> bytes:
    height, width = picture.shape[:2]
    even = np.ascontiguousarray(picture[: max(2, height // 2 * 2), : max(2, width // 2 * 2)])
    try:
        frame = CodedFrame.from_ndarray(even, format="rgb24")
        coded = Converter((even.shape[1], even.shape[0]), "yuvj420p", _JFIF).convert(frame, RGB)
        return encoded_picture("mjpeg", coded, step)
    except FFmpegError as error:
        raise FlashVSRError(f"no picture can be made: {error}") from error
