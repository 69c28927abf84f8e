"""Source file to RGB frames: a generator with bounded memory, for every frame that can be decoded."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from av.error import EOFError as AvEOFError
from av.error import FFmpegError

from flashvsr.errors import BadInput, Fault
from flashvsr.video.captions import Captions
from flashvsr.video.color import ColorInfo
from flashvsr.video.interlacing import PROGRESSIVE, Deinterlacer, Scan
from flashvsr.video.limits import check_frames, check_side, guard
from flashvsr.video.losses import Losses
from flashvsr.video.media import open_source, packets, refused_pictures, use_threads
from flashvsr.video.order import DisplayOrder
from flashvsr.video.probe import SourceInfo, frame_color
from flashvsr.video.pyav import fraction
from flashvsr.video.renumber import renumbered
from flashvsr.video.shape import Fitted, Frame, PixelShapes
from flashvsr.video.standing import LastPicture
from flashvsr.video.timeline import Timeline
from flashvsr.video.timing import LONGEST_GAP, ContinuousClock, TimestampGrid
from flashvsr.video.upright import RGB as RGB
from flashvsr.video.upright import Rgb as Rgb
from flashvsr.video.upright import Upright

if TYPE_CHECKING:
    from av.video.frame import VideoFrame as CodedFrame
    from av.video.stream import VideoStream

_NEIGHBOURS = 2  # frames before the first wanted one that deinterlacing looks at


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
    """Where a frame belongs in the result, and what its picture is."""

    index: int
    time: Fraction
    pts: int
    color: ColorInfo
    fitted: Fitted


@dataclass(frozen=True)
class _Coded:
    """A frame as it comes out of the decoder. `pixel`: the shape of its pixels."""

    frame: CodedFrame
    pixel: Fraction


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


class FrameDecoder:
    """Iterate over it once for the frames; `warnings` then says in words what was wrong with the file.

    `frames`: frames so far, those before the first wanted one included. `last_step`: at the end, ticks of `grid` for
    which the last frame stands. `captions`: those inside the frames.
    """

    def __init__(self, info: SourceInfo, size: tuple[int, int], options: DecodeOptions) -> None:
        self.info = info
        self.frames = 0
        self.captions = Captions()
        self.grid = output_grid(info)
        self.last_step = self.grid.step
        self._options = options
        self._threads = max(1, options.threads)
        self._timeline = Timeline(info.joints)
        self._clock = ContinuousClock(1 / info.frame_rate, jump=2 / info.frame_rate, leap=LONGEST_GAP)
        self._losses = Losses(info.frame_rate)
        self._ends = None if info.until is None else round(info.until / self.grid.time_base)  # in ticks of the grid
        self._last_pts = 0
        self._cut = False
        self._upright = Upright(info, size, self._threads)
        self._pixels, self._frame = PixelShapes(), Frame(self._upright.stored)
        self._last: tuple[_Coded, Fraction] | None = None
        self._trouble: list[str] = []
        self._frames = self._run()

    @property
    def damaged(self) -> int:
        """Places that could not be decoded, or not without faults."""
        return self._losses.damaged

    @property
    def repeated(self) -> int:
        """Frames that stand in for lost ones."""
        return self._losses.repeated

    @property
    def warnings(self) -> list[str]:
        """What a person should know about the decoding, for the job's report."""
        found = [*self._trouble, *self._losses.warnings(self.frames)]
        if self._cut and self.info.until is not None:
            seconds = float(self.info.until)
            found.append(f"only its first {seconds:g} s were made, as seconds in the preset asks for")
        if self._frame.changes:
            found.append(
                f"the picture changes its shape {self._frame.changes} times; parts of another shape than the first are "
                "fitted into it, with black bars"
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
        threads = self._threads
        with refused_pictures(self.info.path):
            yield from self._decode(self._options.hardware, threads)
            if self.frames == 0 and self._options.hardware:
                self._trouble.append("hardware decoding gave not one frame; decoded on the CPU instead")
                yield from self._decode("", threads)
            if self.frames == 0 and threads > 1:
                # An error takes along the good frames that other threads have ready; alone, each frame counts.
                yield from self._decode("", 1)
        if self.frames == 0:
            raise BadInput(
                f"{self.info.path}: not one frame of its video stream can be decoded; the file is damaged",
                fault=Fault.DAMAGED,
            )

    def _decode(self, hardware: str, threads: int) -> Generator[VideoFrame, None, None]:
        path, told, view = self.info.path, len(self._trouble), renumbered(self.info.renumberings)
        source = open_source(path, hardware=hardware, warn=self._trouble.append, view=view, known=self.info.identity)
        with source as container:
            on_device = hardware if len(self._trouble) == told else ""  # as far as one can tell before a frame is there
            streams = [s for s in container.streams.video if s.index == self.info.video_index]
            if not streams or streams[0].codec_context is None:
                raise BadInput(
                    f"{path} has changed since it was examined; copy it again under a new name", fault=Fault.CHANGED
                )
            stream = streams[0]
            guard(stream, path, self.info.limits)
            use_threads(stream, threads)
            fields = Deinterlacer[_Place](self._options.scan, stream) if self._options.scan.is_interlaced else None
            step = 1 / self.info.frame_rate
            order: DisplayOrder[_Coded] | None = DisplayOrder(step) if self.info.decode_times else None
            last = LastPicture(stream, self.info.container, step)
            for packet in packets(container, path, [stream], self._losses.damage):
                if packet.is_corrupt:
                    self._losses.damage()
                last.read(packet.dts)
                if self._timeline.place(packet):
                    self._losses.suspect()  # a part may begin with pictures that cannot be decoded
                if order is not None and packet.pts is None:
                    packet.pts = packet.dts
                try:
                    decoded = stream.decode(packet)
                except FFmpegError:
                    check_side(stream.width, stream.height, path, self.info.limits)  # why it may have failed
                    self._losses.damage()
                    continue
                if decoded and on_device:
                    self._check_device(on_device, stream)
                    on_device = ""
                yield from self._deliver(self._timed(decoded, stream, order, last), stream, fields)
                if self._cut:
                    break
            else:
                yield from self._deliver(self._timed(self._flush(stream), stream, order, last), stream, fields)
                if order is not None:
                    yield from self._deliver(order.flush(), stream, fields)
            if fields is not None:
                yield from self._shown(fields.flush())
            self._note_end(None if self._cut else last.seconds(path))

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
            self._losses.damage()
            return []

    def _timed(
        self, decoded: list[CodedFrame], stream: VideoStream, order: DisplayOrder[_Coded] | None, last: LastPicture
    ) -> Iterator[tuple[_Coded, Fraction | None]]:
        """Frames with their times, seconds since the source's start."""
        self._pixels.decoded(stream.codec_context)
        for frame in decoded:
            last.shown(frame.pts, frame.duration)
            time, coded = self._time_of(frame, stream), _Coded(frame, self._pixels.of(frame))
            yield from [(coded, time)] if order is None else order.push(coded, time)

    def _note_end(self, seconds: Fraction | None) -> None:
        if seconds is not None and seconds > LONGEST_GAP:
            self._trouble.append(
                f"the file says that its last picture stands for {float(seconds):.0f} seconds, which is not believed"
            )
        elif seconds is not None:
            self.last_step = round(seconds / self.grid.time_base)
        if self._ends is not None and self._ends > self._last_pts:
            rest = self._ends - self._last_pts
            self.last_step = rest if self._cut else min(self.last_step, rest)

    def _deliver(
        self,
        timed: Iterator[tuple[_Coded, Fraction | None]],
        stream: VideoStream,
        fields: Deinterlacer[_Place] | None,
    ) -> Iterator[VideoFrame]:
        for coded, given in timed:
            if coded.frame.is_corrupt:
                self._losses.damage()
            time = self._clock.fix(given)
            if self._last is not None:
                good, before = self._last
                for moment in self._losses.between(before, time):
                    yield from self._place(good, moment, stream, fields)
            yield from self._place(coded, time, stream, fields)
            if self._cut:
                return
            self._last = coded, time

    def _place(
        self, coded: _Coded, time: Fraction, stream: VideoStream, fields: Deinterlacer[_Place] | None
    ) -> Iterator[VideoFrame]:
        """Give a frame its number and time, and deliver what is ready. One behind the wanted part is left out.

        The first one is never: a picture that begins late stands for what there is.
        """
        frame, pts = coded.frame, self.grid.out_pts(time)
        self._cut = self._cut or (self._ends is not None and pts >= self._ends and self.frames > 0)
        if self._cut:
            return
        self._last_pts = pts
        check_side(frame.width, frame.height, self.info.path, self.info.limits)
        fitted = self._frame.fit(*self.info.crop.size(frame.width, frame.height), coded.pixel)
        place = _Place(self.frames, time, pts, frame_color(frame, stream), fitted)
        self.frames += 1
        check_frames(self.frames, self.info.path, self.info.limits)
        if place.index < self._options.first_frame - (_NEIGHBOURS if fields else 0):
            return
        if place.index >= self._options.first_frame and (self._last is None or coded is not self._last[0]):
            self.captions.note(frame, place.pts)
        yield from self._shown([(frame, place)] if fields is None else fields.push(frame, place))

    def _shown(self, ready: list[tuple[CodedFrame, _Place]]) -> Iterator[VideoFrame]:
        for frame, place in ready:
            if place.index >= self._options.first_frame:
                yield VideoFrame(
                    place.index, place.time, place.pts, self._upright.rgb(frame, place.color, place.fitted)
                )

    def _time_of(self, frame: CodedFrame, stream: VideoStream) -> Fraction | None:
        """Seconds since the source's start. AVI stores only dts, which is the time there."""
        ticks = frame.pts if frame.pts is not None else frame.dts
        tick = fraction(stream.time_base)
        return None if ticks is None or tick is None else ticks * tick - self.info.start


def decode(info: SourceInfo, size: tuple[int, int], options: DecodeOptions | None = None) -> FrameDecoder:
    """Decode a source to RGB frames of `size` (width, height), from the first wanted frame on.

    Earlier frames are decoded but not converted. Raises BadInput when nothing can be decoded, Transient when
    reading fails; both while iterating. A damaged middle raises nothing.
    """
    return FrameDecoder(info, size, options or DecodeOptions())
