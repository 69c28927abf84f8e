"""Pixel conversion through libavfilter: size, pixel format, colour matrix and range in one accurate step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av.filter
import numpy as np
from av.video.frame import VideoFrame

from flashvsr.video.color import ColorInfo
from flashvsr.video.crop import NOTHING, Crop

if TYPE_CHECKING:
    from av.filter.context import FilterContext
    from av.filter.graph import Graph

# Without accurate_rnd swscale takes a fast path that is off by up to 3 code values; without full_chroma it
# averages neighbouring chroma samples once more than needed.
_FLAGS = "bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"
_RANGES = {"limited": "tv", "full": "pc"}


class Converter:
    """Converts frames to one size and pixel format; rebuilt by itself when the incoming frames change.

    `size`: (width, height) in pixels. `color`: how the output's samples are coded. `crop`: edges to take off first.
    """

    def __init__(
        self, size: tuple[int, int], pixel_format: str, color: ColorInfo, threads: int = 2, crop: Crop = NOTHING
    ) -> None:
        self._crop = crop
        self._size = size
        self._pixel_format = pixel_format
        self._color = color
        self._threads = threads
        self._key: tuple[object, ...] | None = None
        self._graph: Graph | None = None

    def convert(self, frame: VideoFrame, color: ColorInfo) -> VideoFrame:
        """Convert one frame whose samples are coded as `color` says."""
        if frame.format.name.startswith("gray") and color.range == "limited":
            frame = with_chroma(frame)
        key = (frame.width, frame.height, frame.format.name, color)
        if self._graph is None or key != self._key:
            self._graph = self._build(frame, color)
            self._key = key
        tag(frame, color)
        self._graph.vpush(frame)
        return self._graph.vpull()

    def _build(self, frame: VideoFrame, color: ColorInfo) -> Graph:
        graph = av.filter.Graph()
        if hasattr(graph, "threads"):
            graph.threads = self._threads
        source = graph.add(
            "buffer",
            f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:time_base=1/1000000:"
            f"pixel_aspect=1/1:colorspace={color.matrix_number}:range={color.range_number}",
        )
        options = [f"w={self._size[0]}", f"h={self._size[1]}", f"flags={_FLAGS}"]
        options += _side("in", color) + _side("out", self._color)
        chain: list[FilterContext] = [
            source,
            *(graph.add(*step) for step in self._crop.filters(frame.width, frame.height, frame.format)),
            graph.add("scale", ":".join(options)),
            graph.add("format", f"pix_fmts={self._pixel_format}"),
            graph.add("buffersink"),
        ]
        graph.link_nodes(*chain)
        graph.configure()
        return graph


def tag(frame: VideoFrame, color: ColorInfo) -> None:
    """Say on the frame itself what filters read there: that its samples are coded as `color` says."""
    frame.colorspace, frame.color_range = color.matrix_number, color.range_number
    frame.color_primaries, frame.color_trc = color.primaries, color.transfer


def with_chroma(grey: VideoFrame) -> VideoFrame:
    """A grey frame as Y'CbCr without colour: swscale takes plain grey for full range whatever it is told."""
    bits = grey.format.components[0].bits
    frame = VideoFrame(grey.width, grey.height, "yuv420p" if bits == 8 else f"yuv420p{bits}le")
    luma, source = frame.planes[0], grey.planes[0]
    rows = np.frombuffer(bytes(source), np.uint8).reshape(source.height, source.line_size)
    used = grey.width * (1 if bits == 8 else 2)
    padded = np.zeros((luma.height, luma.line_size), np.uint8)
    padded[:, :used] = rows[:, :used]
    luma.update(padded.tobytes())
    for chroma in frame.planes[1:]:
        kind = np.uint8 if bits == 8 else np.uint16
        chroma.update(np.full(chroma.buffer_size // kind().itemsize, 1 << (bits - 1), kind).tobytes())
    return frame


def _side(prefix: str, color: ColorInfo) -> list[str]:
    """The scale filter's options for one side. RGB has no matrix and is always full range."""
    if color.matrix == "rgb":
        return []
    matrix = "bt2020" if color.matrix == "bt2020nc" else color.matrix
    return [f"{prefix}_color_matrix={matrix}", f"{prefix}_range={_RANGES[color.range]}"]
