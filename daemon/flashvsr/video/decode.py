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
from flashvsr.video.media import open_source, packets, refused_pictures, use_threads
from flashvsr.video.probe import SourceInfo, check_frames, frame_color, guard
from flashvsr.video.pyav import fraction
from flashvsr.video.scan import PROGRESSIVE, Deinterlacer, Scan
from flashvsr.video.timeline import Timeline
from flashvsr.video.timing import LONGEST_GAP, ContinuousClock, TimestampGrid

if TYPE_CHECKING:
    from av.video.frame import VideoFrame as CodedFrame
    from av.video.stream import VideoStream

RGB = ColorInfo("rgb", "full")
Rgb = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


_NEIGHBOURS = 2  # frames before the first wanted one that deinterlacing looks at
_SUSPICION = 32  # frames after damage in which a gap is put down to it: decoders hold frames back
_CADENCE = 8  # frames at constant distance, after which a larger one is a gap
_STEADY = Fraction(1, 10)  # of a frame's length, that milliseconds and the like may be off
_LONGEST_FILL = 60  # seconds of repeated frames; a longer gap keeps the last frame standing instead


@dataclass(frozen=True)
class DecodeOptions:
    """`first_frame`: the first one to deliver. `scan`: how the source was scanned, where it is to be deinterlaced.

    `hardware`: "cuda" decodes on the GPU where that works, "" on the CPU. `threads`: at most.
    """

    first_frame: int = 0
    threads: int = 2
    scan: Scan = PROGRESSIVE
    hardware: str = ""


@dataclass(frozen=True)
class _Place:
    """Where a frame belongs in the result."""

    index: int
    time: Fraction
    pts: int
    color: ColorInfo


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

    `frames`: frames so far, those before the first wanted one included. `damaged`: places that could not be decoded,
    or not without faults. `repeated`: frames that stand in for lost ones.
    """

    def __init__(self, info: SourceInfo, size: tuple[int, int], options: DecodeOptions) -> None:
        self.info = info
        self.frames = 0
        self.damaged = 0
        self.repeated = 0
        self.grid = output_grid(info)
        self._options = options
        self._timeline = Timeline(info.joints)
        self._clock = ContinuousClock(1 / info.frame_rate, jump=2 / info.frame_rate, leap=LONGEST_GAP)
        self._last: tuple[CodedFrame, Fraction] | None = None
        self._suspicion = 0
        self._regular = 0  # frames in a row that came one frame's length after the one before
        self._gaps: list[int] = []  # lengths in frames
        self._trouble: list[str] = []
        turned = info.rotation in (90, 270)
        threads = max(1, options.threads)
        self._converter = Converter(
            size[::-1] if turned else size, "rgb48le" if info.is_deep else "rgb24", RGB, threads
        )
        self._frames = self._run()

    @property
    def warnings(self) -> list[str]:
        """What a person should know about the decoding, for the job's report."""
        found = list(self._trouble)
        if self.damaged:
            found.append(f"{self.damaged} damaged places in the video stream: frames are missing or faulty there")
        if self.repeated:
            found.append(f"{self.repeated} lost frames were replaced by repeating the last good one")
        if self._gaps and len(self._gaps) <= max(1, self.frames // 50):  # more of them are a variable rate
            found.append(
                f"{sum(self._gaps)} frames seem to be missing in {len(self._gaps)} gaps of the source's clock; the "
                "frame before each stands still there"
            )
        jumps = len(self.info.joints) + self._clock.jumps
        if jumps:
            found.append(f"the timestamps jump {jumps} times; the parts were joined without a gap")
        return found

    def __iter__(self) -> Iterator[VideoFrame]:
        return self._frames

    def close(self) -> None:
        """Stop early and close the file. Does nothing when the video has been read to its end."""
        self._frames.close()

    def _run(self) -> Generator[VideoFrame, None, None]:
        threads = max(1, self._options.threads)
        with refused_pictures(self.info.path):
            yield from self._decode(self._options.hardware, threads)
            if self.frames == 0 and self._options.hardware:
                self._trouble.append("hardware decoding gave not one frame; decoded on the CPU instead")
                yield from self._decode("", threads)
            if self.frames == 0 and threads > 1:
                # An error takes along the good frames that other threads have ready; alone, each frame counts.
                yield from self._decode("", 1)
        if self.frames == 0:
            raise BadInput(f"{self.info.path}: not one frame of its video stream can be decoded; the file is damaged")

    def _decode(self, hardware: str, threads: int) -> Generator[VideoFrame, None, None]:
        path, told = self.info.path, len(self._trouble)
        with open_source(path, hardware=hardware, warn=self._trouble.append, known=self.info.identity) as container:
            on_device = hardware if len(self._trouble) == told else ""  # as far as one can tell before a frame is there
            streams = [s for s in container.streams.video if s.index == self.info.video_index]
            if not streams or streams[0].codec_context is None:
                raise BadInput(f"{path} has changed since it was examined; copy it again under a new name")
            stream = streams[0]
            guard(stream, path, self.info.limits)
            use_threads(stream, threads)
            fields = Deinterlacer[_Place](self._options.scan, stream) if self._options.scan.is_interlaced else None
            for packet in packets(container, path, [stream], self._note_damage):
                if packet.is_corrupt:
                    self._note_damage()
                if self._timeline.place(packet):
                    self._suspicion = _SUSPICION  # a part may begin with pictures that cannot be decoded
                try:
                    decoded = stream.decode(packet)
                except FFmpegError:
                    self._note_damage()
                    continue
                if decoded and on_device:
                    self._check_device(on_device, stream)
                    on_device = ""
                yield from self._deliver(decoded, stream, fields)
            yield from self._deliver(self._flush(stream), stream, fields)
            if fields is not None:
                yield from self._shown(fields.flush())

    def _check_device(self, hardware: str, stream: VideoStream) -> None:
        """Say so where the device's decoder did not take the stream: FFmpeg goes on with the CPU's without a word."""
        if stream.codec_context.pix_fmt != hardware:  # the pixel format of frames on the device has its name
            what = f"{self.info.codec}, {self.info.pixel_format}"
            self._trouble.append(
                f"hardware decoding ({hardware}) does not take this video ({what}); decoded on the CPU instead"
            )

    def _flush(self, stream: VideoStream) -> list[CodedFrame]:
        """The frames the decoder still holds back for reordering."""
        try:
            return stream.decode(None)
        except AvEOFError:
            return []
        except FFmpegError:
            self._note_damage()
            return []

    def _deliver(
        self, decoded: list[CodedFrame], stream: VideoStream, fields: Deinterlacer[_Place] | None
    ) -> Iterator[VideoFrame]:
        for frame in decoded:
            if frame.is_corrupt:
                self._note_damage()
            time = self._clock.fix(self._time_of(frame, stream))
            for coded, moment in [*self._stand_ins(time), (frame, time)]:
                yield from self._place(coded, moment, stream, fields)
            self._last = frame, time
            self._suspicion = max(0, self._suspicion - 1)

    def _stand_ins(self, time: Fraction) -> list[tuple[CodedFrame, Fraction]]:
        """The last good frame, for each one that damage took since then; the sound goes on there, too."""
        if self._last is None:
            return []
        frame, before = self._last
        distance = (time - before) * self.info.frame_rate
        lost = round(distance) - 1
        regular = self._regular >= _CADENCE
        self._regular = self._regular + 1 if abs(distance - 1) < _STEADY else 0
        if lost < 1:
            return []
        if not self._suspicion:
            if regular:
                self._gaps.append(lost)
            return []
        if lost > _LONGEST_FILL * self.info.frame_rate:
            self._trouble.append(f"{float(time - before):.0f} seconds are lost; the last frame stands still there")
            return []
        self.repeated += lost
        return [(frame, before + n / self.info.frame_rate) for n in range(1, lost + 1)]

    def _place(
        self, frame: CodedFrame, time: Fraction, stream: VideoStream, fields: Deinterlacer[_Place] | None
    ) -> Iterator[VideoFrame]:
        """Give a frame its number and time, and deliver what is ready."""
        place = _Place(self.frames, time, self.grid.out_pts(time), frame_color(frame, stream))
        self.frames += 1
        check_frames(self.frames, self.info.path, self.info.limits)
        if place.index < self._options.first_frame - (_NEIGHBOURS if fields else 0):
            return
        yield from self._shown([(frame, place)] if fields is None else fields.push(frame, place))

    def _shown(self, ready: list[tuple[CodedFrame, _Place]]) -> Iterator[VideoFrame]:
        for frame, place in ready:
            if place.index >= self._options.first_frame:
                yield VideoFrame(place.index, place.time, place.pts, self._upright(frame, place.color))

    def _time_of(self, frame: CodedFrame, stream: VideoStream) -> Fraction | None:
        """Seconds since the source's start. AVI stores only dts, which is the time there."""
        ticks = frame.pts if frame.pts is not None else frame.dts
        tick = fraction(stream.time_base)
        return None if ticks is None or tick is None else ticks * tick - self.info.start

    def _upright(self, frame: CodedFrame, color: ColorInfo) -> Rgb:
        converted = self._converter.convert(frame, color)
        rgb = cast("Rgb", converted.to_ndarray())  # (height, width, 3), not yet turned
        if self.info.mirrored:
            rgb = rgb[:, ::-1]
        if self.info.rotation:
            rgb = np.rot90(rgb, k=-self.info.rotation // 90)
        return cast("Rgb", np.ascontiguousarray(rgb))

    def _note_damage(self) -> None:
        self.damaged += 1
        self._suspicion = _SUSPICION


def decode(info: SourceInfo, size: tuple[int, int], options: DecodeOptions | None = None) -> Decoder:
    """Decode a source to RGB frames of `size` (width, height), from the first wanted frame on.

    Earlier frames are decoded but not converted. Raises BadInput when nothing can be decoded, Transient when
    reading fails; both while iterating. A damaged middle raises nothing.
    """
    return Decoder(info, size, options or DecodeOptions())
