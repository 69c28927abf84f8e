"""Source file to RGB frames: a generator with bounded memory, for every frame that can be decoded."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt
from av.error import EOFError as AvEOFError
from av.error import FFmpegError

from flashvsr.errors import BadInput
from flashvsr.video.color import ColorInfo
from flashvsr.video.convert import Converter
from flashvsr.video.media import open_source, packets
from flashvsr.video.probe import SourceInfo, frame_color
from flashvsr.video.timing import ContinuousClock, TimestampGrid

if TYPE_CHECKING:
    from av.video.frame import VideoFrame as CodedFrame
    from av.video.stream import VideoStream

RGB = ColorInfo("rgb", "full")
Rgb = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


@dataclass(frozen=True)
class VideoFrame:
    """One frame. `index` counts from 0 over the whole video, `time`: seconds since the source's start.

    `pts`: the output timestamp in the time base of `output_grid(info)`; it does not depend on where decoding
    started. `rgb`: (height, width, 3), upright; uint8, or uint16 of the full range where the source is deep.
    """

    index: int
    time: Fraction
    pts: int
    rgb: Rgb


def output_grid(info: SourceInfo) -> TimestampGrid:
    """A fresh output clock for a source. Its `time_base` and `step` are those of every frame's `pts`."""
    return TimestampGrid(info.frame_rate, info.time_base)


class Decoder:
    """Iterate over it once for the frames; `warnings` then says in words what was wrong with the file.

    `frames`: frames decoded so far, those before `first_frame` included. `damaged`: places that could not be
    decoded, or not without faults.
    """

    def __init__(self, info: SourceInfo, size: tuple[int, int], first_frame: int = 0, threads: int = 2) -> None:
        self.info = info
        self.frames = 0
        self.damaged = 0
        self.grid = output_grid(info)
        self._clock = ContinuousClock(1 / info.frame_rate, jump=2 / info.frame_rate)
        self._first_frame = first_frame
        self._threads = max(1, threads)
        turned = info.rotation in (90, 270)
        self._converter = Converter(
            size[::-1] if turned else size, "rgb48le" if info.is_deep else "rgb24", RGB, self._threads
        )
        self._frames = self._run()

    @property
    def warnings(self) -> list[str]:
        """What a person should know about the decoding, for the job's report."""
        found = []
        if self.damaged:
            found.append(f"{self.damaged} damaged places in the video stream: frames are missing or faulty there")
        if self._clock.jumps:
            found.append(f"the timestamps jump back {self._clock.jumps} times; the parts were joined without a gap")
        return found

    def __iter__(self) -> Iterator[VideoFrame]:
        return self._frames

    def close(self) -> None:
        """Stop early and close the file. Does nothing when the video has been read to its end."""
        self._frames.close()

    def _run(self) -> Generator[VideoFrame, None, None]:
        path = self.info.path
        with open_source(path) as container:
            streams = [s for s in container.streams.video if s.index == self.info.video_index]
            if not streams or streams[0].codec_context is None:
                raise BadInput(f"{path} has changed since it was examined; copy it again under a new name")
            stream = streams[0]
            stream.thread_type = "AUTO"
            stream.codec_context.thread_count = self._threads
            for packet in packets(container, path, [stream], self._note_damage):
                try:
                    decoded = stream.decode(packet)
                except FFmpegError:
                    self._note_damage()
                    continue
                yield from self._deliver(decoded, stream)
            yield from self._deliver(self._flush(stream), stream)
        if self.frames == 0:
            raise BadInput(f"{path}: not one frame of its video stream can be decoded; the file is damaged")

    def _flush(self, stream: VideoStream) -> list[CodedFrame]:
        """The frames the decoder still holds back for reordering."""
        try:
            return stream.decode(None)
        except AvEOFError:
            return []
        except FFmpegError:
            self._note_damage()
            return []

    def _deliver(self, decoded: list[CodedFrame], stream: VideoStream) -> Iterator[VideoFrame]:
        for frame in decoded:
            time = self._clock.fix(self._time_of(frame, stream))
            pts = self.grid.out_pts(time)
            index = self.frames
            self.frames += 1
            self.damaged += bool(frame.is_corrupt)
            if index >= self._first_frame:
                yield VideoFrame(index, time, pts, self._upright(frame, stream))

    def _time_of(self, frame: CodedFrame, stream: VideoStream) -> Fraction | None:
        """Seconds since the source's start. AVI stores only dts, which is the time there."""
        ticks = frame.pts if frame.pts is not None else frame.dts
        if ticks is None or stream.time_base is None:
            return None
        return ticks * stream.time_base - self.info.start

    def _upright(self, frame: CodedFrame, stream: VideoStream) -> Rgb:
        color = frame_color(frame, stream)
        converted = self._converter.convert(frame, color)
        rgb = cast("Rgb", converted.to_ndarray())  # (height, width, 3), not yet turned
        if self.info.mirrored:
            rgb = rgb[:, ::-1]
        if self.info.rotation:
            rgb = np.rot90(rgb, k=-self.info.rotation // 90)
        return cast("Rgb", np.ascontiguousarray(rgb))

    def _note_damage(self) -> None:
        self.damaged += 1


def decode(info: SourceInfo, size: tuple[int, int], first_frame: int = 0, threads: int = 2) -> Decoder:
    """Decode a source to RGB frames of `size` (width, height), from frame number `first_frame` on.

    Earlier frames are decoded but not converted. Raises BadInput when nothing can be decoded, Transient when
    reading fails; both while iterating. A damaged middle raises nothing.
    """
    return Decoder(info, size, first_frame, threads)
