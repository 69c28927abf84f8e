"""Chunks and the source's sound to the finished file, in one pass and with bounded memory."""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from av.error import FFmpegError, InvalidDataError, PatchWelcomeError

from flashvsr.errors import FlashVSRError, Transient
from flashvsr.files.trees import NO_LINKS
from flashvsr.video.audio import Timed
from flashvsr.video.boxes import drop_second_mark
from flashvsr.video.chunks import Chunk
from flashvsr.video.counted import CountedFile, Opener, Progress, nothing
from flashvsr.video.decode import output_grid
from flashvsr.video.describe import chapters_of, describe_stream, file_tags, wants_keys
from flashvsr.video.ebml import with_marks
from flashvsr.video.encode import REORDER_DEPTH
from flashvsr.video.extras import add_attachments, add_covers, covers, left_out
from flashvsr.video.media import open_own, open_source
from flashvsr.video.probe import SourceInfo, codec_name
from flashvsr.video.renumber import renumbered
from flashvsr.video.timing import DecodeClock, TimestampGrid
from flashvsr.video.tracks import FORMATS, Again, Lessons, Tracks, Wishes
from flashvsr.video.ways import Way, ways_for
from flashvsr.video.writing import create, write_error

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream

Shown = tuple[Fraction, Fraction]
WHOLE: Shown = (Fraction(1), Fraction(1))


@dataclass(frozen=True)
class Assembled:
    """A finished file. `duration`: seconds from the first frame's start to the last frame's end."""

    frames: int
    duration: float
    audio_tracks: int
    warnings: tuple[str, ...]


def assemble(
    chunks: Sequence[Chunk],
    info: SourceInfo,
    target: Path,
    audio: str,
    container: str,
    partial: bool = False,
    progress: Progress = nothing,
    opener: Opener = NO_LINKS.open_file,
    last_step: int | None = None,
    shown: Shown = WHOLE,
) -> Assembled:
    """Join `chunks` by stream copy, add the sound of the source, write `target`, which `opener` opens, from its start.

    `audio`: copy, aac or none. `container`: mp4 or mkv. `partial`: the video ends early, so the other tracks are cut
    there; else they are cut where the wanted part of the source ends. `last_step`: ticks that the last frame stands, if
    not as long as the others. Tracks of a damaged source that the container refuses are encoded anew or, if need be,
    left out, with a warning. `shown`: the parts of the picture's width and height that the result has. `progress` is
    called whenever something got done, for hours of video take a while to join; what it raises ends the work. Raises
    BadInput or Transient when the source cannot be read, Transient when the target cannot be written, DamagedChunk when
    a chunk is not as it was written.
    """
    if not chunks:
        raise ValueError("nothing to assemble")
    ways, lessons, refusals = ways_for(audio), Lessons(), list[str]()
    while True:
        try:
            made = _Assembly(
                chunks, info, target, container, partial, ways[0], lessons, progress, opener, last_step, shown
            ).run()
        except Again as again:
            lessons = again.lessons
            continue
        except _Refused as refused:
            if len(ways) == 1:
                raise
            refusals.append(f"the source's tracks could not be written with {ways.pop(0)} ({refused})")
            continue
        if refusals:
            refusals.append(f"so they were written with {ways[0]}")
        return replace(made, warnings=(*refusals, *made.warnings))


class _Refused(FlashVSRError):
    """FFmpeg does not write this; it is not the file system's fault."""


class _Assembly:
    def __init__(
        self,
        chunks: Sequence[Chunk],
        info: SourceInfo,
        target: Path,
        container: str,
        partial: bool,
        way: Way,
        lessons: Lessons,
        progress: Progress,
        opener: Opener,
        last_step: int | None,
        shown: Shown,
    ) -> None:
        self.opener = opener
        self.shown = shown
        self.chunks = chunks
        self.info = info
        self.target = target
        self.container = container
        self.progress = progress
        self.grid: TimestampGrid = output_grid(info)
        self.last_step = last_step or self.grid.step
        self.end = (chunks[-1].last_pts + self.last_step) * self.grid.time_base  # seconds, where the video ends
        cut = self.end if partial else info.until
        self.wishes = Wishes(way.audio, way.subtitles, container, self.end, cut, lessons)
        self.first_pts = 0
        self.warnings: list[str] = []

    def run(self) -> Assembled:
        try:
            with ExitStack() as stack:
                view = renumbered(self.info.renumberings)
                source = stack.enter_context(
                    open_source(self.info.path, self.progress, view=view, known=self.info.identity)
                )
                art = covers(source, self.info, self.progress)
                keyed = wants_keys(source) and not art
                form, options = FORMATS[self.container], self._options(keyed)
                out = stack.enter_context(create(self.target, form, options, self.progress, self.opener))
                video = self._add_video(out)
                tracks = Tracks(source, out, self.info, self.wishes, self.progress)
                first = add_covers(source, out, art, self.container)
                self.warnings += add_attachments(source, out, self.container)
                self.warnings += left_out(source, self.info)
                self._describe(source, out, keyed)
                out.mux(first)
                merged = heapq.merge(self._video(video), tracks.timed(), key=lambda item: item[0])
                for _, packet in merged:
                    self._write(out, packet, video, tracks)
                    self.progress()
            if self.container == "mp4" and self.info.spatial is not None:
                with CountedFile(self.target, "r+b", self.progress, self.opener) as file:
                    drop_second_mark(cast("BinaryIO", file), os.fstat(file.fileno()).st_size)
        except (FlashVSRError, Again):
            raise
        except (FFmpegError, OSError) as error:
            problem = write_error(self.target, error)
            raise (problem if isinstance(problem, Transient) else _Refused(str(problem))) from error
        self.warnings += tracks.warnings
        if tracks.damaged:
            self.warnings.append(f"{tracks.damaged} damaged places in the source's sound or subtitles were skipped")
        frames = sum(chunk.frames for chunk in self.chunks)
        duration = float(self.end - self.first_pts * self.grid.time_base)
        return Assembled(frames, duration, tracks.audio, tuple(self.warnings))

    def _write(self, out: OutputContainer, packet: Packet[Stream], video: VideoStream, tracks: Tracks) -> None:
        """Write one packet. Sound that the container cannot take because it is damaged is left out, and counted."""
        own = packet.stream is video
        try:
            out.mux(packet)
        except (InvalidDataError, PatchWelcomeError):
            if own:
                raise
            tracks.note_refused(packet)

    def _options(self, keyed: bool) -> dict[str, str]:
        if self.container != "mp4":
            return {}
        clock = str(self.grid.time_base.denominator)
        # Edit lists count in the movie's time scale; its default of milliseconds would shift late streams.
        flags = "+faststart+use_metadata_tags" if keyed else "+faststart"
        # Marks of 360 degrees and 3D are not in the standard that FFmpeg goes by.
        strict = {"strict": "unofficial"} if self.info.spatial is not None else {}
        return strict | {"movflags": flags, "movie_timescale": clock, "video_track_timescale": clock}

    def _add_video(self, out: OutputContainer) -> VideoStream:
        self.chunks[0].check(self.progress)
        with open_own(self.chunks[0].path) as first:
            template = first.streams.video[0]
            first_packet = next(p for p in first.demux(template) if p.size)
            self.first_pts = first_packet.pts or 0
            # AV1 has no encoder of the decoder's name, which a plain template would look for.
            opaque = {"opaque": True} if codec_name(template) == "av1" else {}
            marks, lost = b"", list[str]()
            if self.info.spatial is not None:
                turned = bool(self.info.rotation or self.info.mirrored)
                marks, lost = self.info.spatial.marks(*self.shown, turned)
            self.warnings += lost
            with with_marks(template, cast("Packet[Stream]", first_packet), marks, **opaque) as marked:
                video = out.add_stream_from_template(marked, **opaque)
            video.time_base = self.grid.time_base
            context = video.codec_context
            context.extradata = template.codec_context.extradata
            context.sample_aspect_ratio = self.info.sample_aspect
            if self._is_constant_rate():
                context.framerate = self.grid.rate
            if codec_name(template) == "hevc" and self.container == "mp4":
                context.codec_tag = "hvc1"  # Apple's players open no other
            return video

    def _is_constant_rate(self) -> bool:
        last = self.first_pts - self.grid.step
        for chunk in self.chunks:
            if chunk.last_pts - last != chunk.frames * self.grid.step:
                return False
            last = chunk.last_pts
        return True

    def _video(self, target: VideoStream) -> Iterator[Timed]:
        """The chunks' packets in decode order, with fresh decode times. Raises if a chunk is not whole."""
        clock: DecodeClock | None = None
        headers: bytes | None = None
        for chunk in self.chunks:
            if chunk is not self.chunks[0]:
                chunk.check(self.progress)  # just before, so that the disk is asked for its bytes once
            with open_own(chunk.path) as container:
                stream = container.streams.video[0]
                found = stream.codec_context.extradata
                if clock is None:
                    clock, headers = DecodeClock(REORDER_DEPTH[codec_name(stream)], self.grid.step), found
                elif found != headers:
                    raise FlashVSRError(f"{chunk.path} was made by another encoder than the chunks before it")
                count = 0
                for packet in container.demux(stream):
                    if not packet.size or packet.pts is None:
                        continue
                    packet.dts = clock.dts(packet.pts)
                    packet.stream = target
                    count += 1
                    packet.duration = self._length(chunk, packet, count)
                    yield packet.dts * self.grid.time_base, cast("Packet[Stream]", packet)
            if count != chunk.frames:
                raise FlashVSRError(f"{chunk.path} holds {count} frames instead of {chunk.frames}; it is damaged")

    def _length(self, chunk: Chunk, packet: Packet[VideoStream], count: int) -> int:
        """Ticks that the packet is shown, packet number `count` of its chunk. See `stream_writer.stand` for the end."""
        stands = packet.pts == chunk.last_pts or count == chunk.frames
        return self.last_step if chunk is self.chunks[-1] and stands else self.grid.step

    def _describe(self, source: InputContainer, out: OutputContainer, keyed: bool) -> None:
        known, lost = file_tags(source, self.container == "mkv" or keyed)
        out.metadata.update(known)
        self.warnings += lost
        picture = next((s for s in source.streams.video if s.index == self.info.video_index), None)
        if picture is not None:
            describe_stream(picture, out.streams.video[0])
        cut = self.wishes.cut is not None
        chapters, lost = chapters_of(source, self.info.start, self.end, self.container, cut)
        out.set_chapters(chapters)
        self.warnings += lost
