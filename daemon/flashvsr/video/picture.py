"""A before/after picture of one frame: source beside result, and below each the same detail enlarged."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, cast

import av
import numpy as np
import numpy.typing as npt
from av.error import FFmpegError
from av.video.frame import VideoFrame as CodedFrame

from flashvsr.errors import FlashVSRError
from flashvsr.video.convert import Converter
from flashvsr.video.decode import RGB, DecodeOptions, VideoFrame, decode
from flashvsr.video.geometry import Geometry
from flashvsr.video.interlacing import PROGRESSIVE, Scan
from flashvsr.video.probe import SourceInfo, probe
from flashvsr.video.writing import write_error

if TYPE_CHECKING:
    from av.video.codeccontext import VideoCodecContext

Picture = npt.NDArray[np.uint8]  # (height, width, 3)

ZOOM = 4  # the detail is enlarged so many times, without smoothing
_SEPARATOR = 8  # pixels between the panels
_SEPARATOR_GREY = 96
_LATEST = Fraction(10)  # seconds; looking for a frame further in would decode too much of a long film
_EARLY = 2  # frames before the one that is expected, from which on the result is looked through


@dataclass(frozen=True)
class Pair:
    """The same frame, `before`: of the source, enlarged by bicubic interpolation, and `after`: of the result.

    Both (height, width, 3), of the result's size.
    """

    before: Picture
    after: Picture


def before_after(
    source: Path, result: Path, target: Path, at: float | None = None, geometry: Geometry | None = None
) -> None:
    """Write a PNG comparing the frame shown at `at` seconds (None: a third into the video, at most 10 s).

    Upper row: the source's frame, enlarged to the result's size by bicubic interpolation, and the result's
    frame. Lower row: the region with the most detail of each, enlarged 4 times. `geometry` places the result
    exactly on the source; without it a centred crop of the same shape is taken. Raises BadInput, Transient or
    FlashVSRError.
    """
    pair = pair_of(probe(source), result, at=at, geometry=geometry)
    write_png(_compose(pair.before, pair.after), target)


def pair_of(
    source: SourceInfo,
    result: Path,
    *,
    at: float | None = None,
    geometry: Geometry | None = None,
    scan: Scan = PROGRESSIVE,
) -> Pair:
    """Take the frame shown at `at` seconds of both, as `before_after` does; `scan`: how the source was scanned.

    Raises BadInput, Transient or FlashVSRError.
    """
    source_info, result_info = replace(source, bits=8), replace(probe(result), bits=8)  # pictures have 8 bits
    moment = _moment(source_info, at)
    result_size = (result_info.width, result_info.height)
    upscaled, corner = _placement(source_info, result_size, geometry)
    before_frame = _frame_at(source_info, moment, geometry.scaled if geometry else None, scan)
    after = cast("Picture", _frame_at(result_info, before_frame.time, None, PROGRESSIVE).rgb)
    enlarged = resized(cast("Picture", before_frame.rgb), upscaled)
    x, y = corner
    return Pair(enlarged[y : y + result_size[1], x : x + result_size[0]], after)


def _moment(info: SourceInfo, at: float | None) -> Fraction:
    if at is not None:
        return Fraction(at)
    return min(Fraction(info.duration or 0) / 3, _LATEST)


def _frame_at(info: SourceInfo, moment: Fraction, size: tuple[int, int] | None, scan: Scan) -> VideoFrame:
    """The frame shown at `moment` seconds, or the last one of a shorter video.

    Those long before it are not converted. Where they have other distances than the file says, all are.
    """
    first = max(0, int(moment * info.frame_rate) - _EARLY)
    found = _last_until(info, moment, size, DecodeOptions(first, scan=scan))
    if first and (found is None or found.time > moment):
        found = _last_until(info, moment, size, DecodeOptions(scan=scan))
    if found is None:
        raise FlashVSRError(f"{info.path} has no frame to show")
    return found


def _last_until(
    info: SourceInfo, moment: Fraction, size: tuple[int, int] | None, options: DecodeOptions
) -> VideoFrame | None:
    """The last frame that begins by `moment`, or the first one if that begins later."""
    decoder = decode(info, size or (info.width, info.height), options)
    found: VideoFrame | None = None
    for frame in decoder:
        if found is not None and frame.time > moment:
            break
        found = frame
    decoder.close()
    return found


def _placement(
    info: SourceInfo, result: tuple[int, int], geometry: Geometry | None
) -> tuple[tuple[int, int], tuple[int, int]]:
    """The size to enlarge the source to, and where in it the result lies (both in pixels)."""
    if geometry is not None:
        return geometry.upscaled, (max(0, geometry.offset[0]), max(0, geometry.offset[1]))
    factor = max(result[0] / info.width, result[1] / info.height)
    size = (max(result[0], round(info.width * factor)), max(result[1], round(info.height * factor)))
    return size, ((size[0] - result[0]) // 2, (size[1] - result[1]) // 2)


def resized(rgb: Picture, size: tuple[int, int]) -> Picture:
    """Return a picture at another size (width, height), by bicubic interpolation."""
    frame = CodedFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
    return cast(Picture, Converter(size, "rgb24", RGB).convert(frame, RGB).to_ndarray())


def _compose(before: Picture, after: Picture) -> Picture:
    height, width = after.shape[:2]
    detail = (max(1, height // ZOOM), max(1, width // ZOOM))
    y, x = greatest(detail_of(after), detail)
    columns = []
    for picture in (before, after):
        region = picture[y : y + detail[0], x : x + detail[1]]
        zoomed = region.repeat(ZOOM, axis=0).repeat(ZOOM, axis=1)  # (detail * ZOOM) may miss a few pixels of the width
        panel = np.full((zoomed.shape[0], width, 3), _SEPARATOR_GREY, np.uint8)
        panel[:, : zoomed.shape[1]] = zoomed
        line = np.full((_SEPARATOR, width, 3), _SEPARATOR_GREY, np.uint8)
        columns.append(np.concatenate([picture, line, panel]))
    gap = np.full((columns[0].shape[0], _SEPARATOR, 3), _SEPARATOR_GREY, np.uint8)
    return np.concatenate([columns[0], gap, columns[1]], axis=1)


def detail_of(picture: Picture) -> npt.NDArray[np.float64]:
    """How much brightness differs at each place, (height - 1, width - 1)."""
    luma = picture.astype(np.float64) @ np.array([0.299, 0.587, 0.114])  # (height, width)
    return cast("npt.NDArray[np.float64]", np.abs(np.diff(luma, axis=0))[:, :-1] + np.abs(np.diff(luma, axis=1))[:-1])


def greatest(values: npt.NDArray[np.float64], size: tuple[int, int]) -> tuple[int, int]:
    """The (y, x) corner of the window of `size` (height, width) with the greatest sum of values (height, width)."""
    sums = np.pad(values.cumsum(0).cumsum(1), ((1, 0), (1, 0)))  # sums[y, x]: everything above and left of (y, x)
    h, w = min(size[0], values.shape[0]), min(size[1], values.shape[1])
    windows = sums[h:, w:] - sums[:-h, w:] - sums[h:, :-w] + sums[:-h, :-w]
    y, x = np.unravel_index(int(windows.argmax()), windows.shape)
    return int(y), int(x)


def write_png(picture: Picture, target: Path) -> None:
    """Write a picture, or leave what was there. Raises FlashVSRError or Transient."""
    temporary = target.with_name(f".{target.name}.tmp")
    try:
        frame = CodedFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        temporary.write_bytes(encoded_picture("png", frame))
        temporary.replace(target)
    except (FFmpegError, OSError) as error:
        raise write_error(target, error) from error


def encoded_picture(codec: str, frame: CodedFrame, step: int = 0) -> bytes:
    """Return the bytes of a file of one picture. `step`: quantiser of a JPEG, 2 is the best. Raises FFmpegError."""
    encoder = cast("VideoCodecContext", av.CodecContext.create(codec, "w"))
    encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, frame.format.name
    encoder.time_base = Fraction(1, 25)
    if step:
        encoder.qmin = encoder.qmax = step
        encoder.color_range = 2  # of JPEG, which has the full one
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])
