"""Interlaced pictures: found by their flags and by what they show, and made progressive.

Flags lie both ways: films on television are flagged as interlaced, and captured tapes carry no flag. FFmpeg's `idet`
looks for the combs that motion leaves between two fields; it is asked at four places of the film. Where it takes fine
lines for combs, because a text scrolls or a pattern crawls, its answers are not those of fields, and are not counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Generic, TypeVar

import av.filter
import numpy as np
from av.error import BlockingIOError as AvBlockingIOError
from av.error import EOFError as AvEOFError
from av.error import FFmpegError

from flashvsr.video.convert import tag
from flashvsr.video.counted import Progress, nothing
from flashvsr.video.media import open_source, packets, refused_pictures, use_threads
from flashvsr.video.probe import SourceInfo, frame_color
from flashvsr.video.renumber import renumbered
from flashvsr.video.scrolling import Lines, lines_of, scrolled

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.filter.graph import Graph
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

T = TypeVar("T")

PLACES = (0.0, 0.25, 0.5, 0.75)  # of the length
FRAMES_AT_START, FRAMES_ELSEWHERE = 100, 50
SHORT_SECONDS = 30.0  # looked at from the start only
SCAN_THREADS = 2
SURE = 40  # moving frames of one place, none of them combed: it is progressive, for telecine combs two in five
ENOUGH = 8  # moving frames for a verdict by content
COMBED = 0.2  # share of them that shows combs in interlaced video; telecined film has two in five
CONTRADICTION = 0.2  # share of combs whose fields come in the other order; those of one tape come in one
REPEATED = 0.1  # share of frames that repeat a field of each parity; telecined film has one in five
MOTION = 1.0  # mean difference of brightness from frame to frame, in code values of 8 bits


@dataclass(frozen=True)
class Scan:
    """How a source was scanned. `order`: tff, bff (the field shown first) or progressive.

    `flagged`: whether its frames say so themselves. `telecined`: film whose fields were repeated to fill the rate.
    """

    order: str = "progressive"
    flagged: bool = False
    telecined: bool = False

    @property
    def is_interlaced(self) -> bool:
        """Whether it has to be deinterlaced."""
        return self.order != "progressive"

    @property
    def note(self) -> str | None:
        """What a person should know about it, for the job's report."""
        if self.telecined:
            return (
                "the source is telecined film (fields repeated to fill the frame rate): it is deinterlaced and keeps "
                "its frame rate, so every fifth frame or so resembles the one before"
            )
        if self.is_interlaced:
            how = "by its flags" if self.flagged else "by its picture, it has no flags"
            return f"the source is interlaced ({self.order}, found {how}); it was deinterlaced, one frame from each"
        return None


PROGRESSIVE = Scan()


@dataclass
class _Counts:
    frames: int = 0
    flagged: int = 0
    moving: int = 0
    tff: int = 0
    bff: int = 0
    progressive: int = 0
    top: int = 0
    bottom: int = 0

    @property
    def combed(self) -> int:
        return self.tff + self.bff

    def add(self, place: _Counts) -> None:
        """Count the frames of a place along with the others."""
        contradictory = min(place.tff, place.bff) > CONTRADICTION * place.combed
        if contradictory and place.flagged * 2 <= place.frames:
            place = replace(place, tff=0, bff=0, progressive=place.progressive + place.combed)
        for fact in fields(self):
            setattr(self, fact.name, getattr(self, fact.name) + getattr(place, fact.name))

    def verdict(self) -> Scan:
        combed = self.combed
        judged = combed + self.progressive
        flagged = self.flagged * 2 > self.frames
        order = "bff" if self.bff > self.tff else "tff"
        if judged >= ENOUGH:
            if combed <= COMBED * judged:
                return Scan()
            least = REPEATED * self.moving
            return Scan(order, flagged, self.top > least and self.bottom > least)
        return Scan(order, True) if flagged else Scan()


def examine(info: SourceInfo, progress: Progress = nothing) -> Scan:
    """Decode a few stretches of the source and tell how it was scanned. Raises Transient when reading fails,
    BadInput when its pictures cannot be processed.
    """
    counts = _Counts()
    long = info.length is not None and info.length > SHORT_SECONDS
    source = open_source(info.path, progress, view=renumbered(info.renumberings), known=info.identity)
    with refused_pictures(info.path), source as container:
        stream = next(s for s in container.streams.video if s.index == info.video_index)
        use_threads(stream, SCAN_THREADS)
        for place in PLACES if long else PLACES[:1]:
            if place and not _seek(container, float(info.start) + place * (info.length or 0)):
                continue
            stream.codec_context.flush_buffers()
            most = FRAMES_ELSEWHERE if place else FRAMES_AT_START
            counts.add(_look(_frames(container, stream, info), stream, most))
    return counts.verdict()


def _seek(container: InputContainer, seconds: float) -> bool:
    try:
        container.seek(int(seconds * av.time_base))
    except FFmpegError:
        return False
    return True


def _frames(container: InputContainer, stream: VideoStream, info: SourceInfo) -> Iterator[VideoFrame]:
    for packet in packets(container, info.path, [stream], lambda: None):
        try:
            yield from stream.decode(packet)
        except FFmpegError:
            continue


def _look(frames: Iterator[VideoFrame], stream: VideoStream, most: int) -> _Counts:
    counts = _Counts()
    graph: Graph | None = None
    shape: tuple[object, ...] = ()
    before: np.ndarray | None = None
    lines: list[Lines] = []  # of the last two frames
    for number, frame in enumerate(frames):
        if number >= most or (counts.combed == 0 and counts.progressive >= SURE):
            break
        counts.frames += 1
        counts.flagged += frame.interlaced_frame
        found = (frame.width, frame.height, frame.format.name)
        if graph is None or found != shape:
            graph, shape, before, lines = _graph(frame, stream, "idet"), found, None, []
        luma = _luma(frame)
        moved = before is not None and float(np.abs(luma - before).mean()) > MOTION
        before = luma
        lines = [*lines[-1:], lines_of(frame)]
        tag(frame, frame_color(frame, stream))
        frame.pts = number
        graph.vpush(frame)
        try:
            facts = graph.vpull().metadata  # of the frame before: idet waits for one more
        except AvBlockingIOError:
            continue
        if moved:
            kind = facts.get("lavfi.idet.multiple.current_frame")
            if kind != "progressive" and scrolled(lines[-2], lines[-1]):
                kind = "progressive"
            repeated = facts.get("lavfi.idet.repeated.current_frame")
            counts.moving += 1
            counts.tff += kind == "tff"
            counts.bff += kind == "bff"
            counts.progressive += kind == "progressive"
            counts.top += repeated == "top"
            counts.bottom += repeated == "bottom"
    return counts


def _luma(frame: VideoFrame) -> np.ndarray:
    """A coarse look at the first plane, in code values of 8 bits."""
    plane, deep = frame.planes[0], frame.format.components[0].bits > 8
    samples = np.frombuffer(bytes(plane), np.uint16 if deep else np.uint8)
    rows = samples.reshape(plane.height, -1)[::4, : plane.width : 4].astype(np.float32)
    return rows / (1 << (frame.format.components[0].bits - 8)) if deep else rows


def _graph(frame: VideoFrame, stream: VideoStream, filters: str) -> Graph:
    name, _, arguments = filters.partition("=")
    color = frame_color(frame, stream)
    graph = av.filter.Graph()
    chain = [
        graph.add(
            "buffer",
            f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:time_base=1/1000000:"
            f"pixel_aspect=1/1:colorspace={color.matrix_number}:range={color.range_number}",
        ),
        graph.add(name, arguments or None),
        graph.add("buffersink"),
    ]
    graph.link_nodes(*chain)
    graph.configure()
    return graph


class Deinterlacer(Generic[T]):
    """Frames in, as many out, one later. What is given along with a frame comes back with it."""

    def __init__(self, scan: Scan, stream: VideoStream) -> None:
        # Frames without flags are all taken for interlaced; with flags, each as it says.
        kind = "interlaced" if scan.flagged else "all"
        self._filter = f"bwdif=mode=send_frame:parity={scan.order}:deint={kind}"
        self._stream = stream
        self._graph: Graph | None = None
        self._shape: tuple[object, ...] = ()
        self._waiting: list[T] = []
        self._count = 0

    def push(self, frame: VideoFrame, along: T) -> list[tuple[VideoFrame, T]]:
        """Take a frame and give what is ready."""
        color = frame_color(frame, self._stream)
        shape = (frame.width, frame.height, frame.format.name, replace(color, primaries=0, transfer=0))
        ready = []
        if self._graph is None or shape != self._shape:
            ready = self.flush()
            self._graph, self._shape = _graph(frame, self._stream, self._filter), shape
        tag(frame, color)
        frame.pts = self._count
        self._count += 1
        self._waiting.append(along)
        assert self._graph is not None
        self._graph.vpush(frame)
        return ready + self._pull(self._graph)

    def flush(self) -> list[tuple[VideoFrame, T]]:
        """Give the frames that are held back."""
        if self._graph is None:
            return []
        graph, self._graph = self._graph, None
        graph.vpush(None)
        return self._pull(graph)

    def _pull(self, graph: Graph) -> list[tuple[VideoFrame, T]]:
        ready: list[tuple[VideoFrame, T]] = []
        while True:
            try:
                ready.append((graph.vpull(), self._waiting.pop(0)))
            except (AvBlockingIOError, AvEOFError):
                return ready
