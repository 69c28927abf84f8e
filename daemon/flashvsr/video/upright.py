"""Decoded pictures to RGB of one size: scaled, fitted into the result's frame where their shape is another, turned."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt

from flashvsr.video.color import ColorInfo
from flashvsr.video.convert import Converter

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

    from flashvsr.video.probe import SourceInfo
    from flashvsr.video.shape import Fitted

RGB = ColorInfo("rgb", "full")
Rgb = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


class Upright:
    """`stored`: the frame's size (width, height) before it is turned, for results of `size`."""

    def __init__(self, info: SourceInfo, size: tuple[int, int], threads: int) -> None:
        self.stored = size[::-1] if info.rotation in (90, 270) else size
        self._info = info
        self._threads = threads
        self._converters: dict[tuple[int, int], Converter] = {}

    def rgb(self, frame: VideoFrame, color: ColorInfo, fitted: Fitted) -> Rgb:
        """(height, width, 3), uint8, or uint16 where the source is deep."""
        converter = self._converters.get(fitted.size)
        if converter is None:
            pixels = "rgb48le" if self._info.is_deep else "rgb24"
            converter = self._converters[fitted.size] = Converter(
                fitted.size, pixels, RGB, self._threads, self._info.crop
            )
        rgb = cast("Rgb", converter.convert(frame, color).to_ndarray())
        if fitted.size != self.stored:
            (x, y), (width, height) = fitted.place, fitted.size
            black = np.zeros((*self.stored[::-1], 3), rgb.dtype)
            black[y : y + height, x : x + width] = rgb
            rgb = black
        if self._info.mirrored:
            rgb = rgb[:, ::-1]
        if self._info.rotation:
            rgb = np.rot90(rgb, k=-self._info.rotation // 90)
        return cast("Rgb", np.ascontiguousarray(rgb))
