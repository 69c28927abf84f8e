"""Chunks and the source's sound to the finished file, in one pass and with bounded memory."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from av.error import FFmpegError, InvalidDataError, PatchWelcomeError

from flashvsr.errors import FlashVSRError, Transient
from flashvsr.video.audio import MP4_AUDIO, AacTrack, CopyTrack, Timed, Track
from flashvsr.video.chunks import Chunk
from flashvsr.video.counted import Progress, nothing
from flashvsr.video.decode import output_grid
from flashvsr.video.encode import REORDER_DEPTH
from flashvsr.video.extras import add_attachments, add_covers, covers, left_out
from flashvsr.video.media import create_told, open_own, open_source, packets, write_error
from flashvsr.video.probe import SourceInfo, codec_name, track_title
from flashvsr.video.pyav import tags
from flashvsr.video.subtitles import TextTrack, is_bitmap, is_text
from flashvsr.video.timeline import Timeline
from flashvsr.video.timing import DecodeClock, TimestampGrid

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.subtitles.stream import SubtitleStream
    from av.video.stream import VideoStream

_FORMATS = {"mp4": "mp4", "mkv": "matroska"}
_CUT_SLACK = 10  # seconds of a partial's source to read past its end: tracks of a file are not cut at one place
_METADATA = (
    "title", "artist", "album_artist", "album", "composer", "genre", "date", "year", "comment", "description",
    "synopsis", "show", "episode_id", "network", "copyright", "creation_time", "location",
    "location-eng", "keywords",
)  # fmt: skip
_STREAM_METADATA = ("language", "handler_name", "creation_time")


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
) -> Assembled:
    """Join `chunks` by stream copy, add the sound of the source, write `target` (replacing it).

    `audio`: copy, aac or none. `container`: mp4 or mkv. `partial`: the video ends early, so the sound is cut
    there. Tracks of a damaged source that the container refuses are encoded anew or, if need be, left out, with a
    warning. `progress` is called whenever something got done, for hours of video take a while to join; what it raises
    ends the work. Raises BadInput or Transient when the source cannot be read, Transient when the target cannot be
    written, DamagedChunk when a chunk is not as it was written.
    """
    if not chunks:
        raise ValueError("nothing to assemble")
    refusals: tuple[str, ...] = ()
    for way in (ways := _ways(audio)):
        try:
            made = _Assembly(chunks, info, target, container, partial, way, progress).run()
        except _Refused as refused:
            if way is ways[-1]:
                raise
            refusals = (*refusals, f"the source's tracks could not be written with {way} ({refused})")
            continue
        if refusals:
            refusals = (*refusals, f"so they were written with {way}")
        return replace(made, warnings=(*refusals, *made.warnings))
    raise AssertionError("the last way returns or raises")


@dataclass(frozen=True)
class _Way:
    """A way to treat the tracks beside the picture."""

    audio: str
    subtitles: bool = True

    def __str__(self) -> str:
        sound = {"copy": "sound as it is", "aac": "sound as AAC", "none": "no sound"}[self.audio]
        return f"{sound} and {'all' if self.subtitles else 'no'} subtitles"


def _ways(audio: str) -> list[_Way]:
    """The ways to try, from what was asked for to what surely works."""
    wished = {"copy": ("copy", "aac"), "aac": ("aac",), "none": ("none",)}[audio]
    return [*(_Way(sound) for sound in wished), *dict.fromkeys((_Way(wished[-1], False), _Way("none", False)))]


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
        way: _Way,
        progress: Progress,
    ) -> None:
        self.subtitles = way.subtitles
        self.chunks = chunks
        self.info = info
        self.target = target
        self.audio = way.audio
        self.container = container
        self.partial = partial
        self.progress = progress
        self.grid: TimestampGrid = output_grid(info)
        self.end = (chunks[-1].last_pts + self.grid.step) * self.grid.time_base  # seconds, where the video ends
        self.first_pts = 0
        self.warnings: list[str] = []
        self.audio_tracks = 0
        self.damaged = 0

    def run(self) -> Assembled:
        try:
            with ExitStack() as stack:
                source = stack.enter_context(open_source(self.info.path, self.progress, known=self.info.identity))
                form, options = _FORMATS[self.container], self._options()
                out = stack.enter_context(create_told(self.target, form, options, self.progress))
                video = self._add_video(out)
                tracks = self._add_tracks(source, out)
                first = add_covers(source, out, covers(source, self.info, self.progress), self.container)
                self.warnings += add_attachments(source, out, self.container)
                self.warnings += left_out(source, self.info)
                self._describe(source, out)
                out.mux(first)
                merged = heapq.merge(self._video(video), self._others(source, tracks), key=lambda item: item[0])
                for _, packet in merged:
                    self._write(out, packet, video)
                    self.progress()
        except FlashVSRError:
            raise
        except (FFmpegError, OSError) as error:
            problem = write_error(self.target, error)
            raise (problem if isinstance(problem, Transient) else _Refused(str(problem))) from error
        if self.damaged:
            self.warnings.append(f"{self.damaged} damaged places in the source's sound or subtitles were skipped")
        frames = sum(chunk.frames for chunk in self.chunks)
        duration = float(self.end - self.first_pts * self.grid.time_base)
        return Assembled(frames, duration, self.audio_tracks, tuple(self.warnings))

    def _write(self, out: OutputContainer, packet: Packet[Stream], video: VideoStream) -> None:
        """Write one packet. Sound that the container cannot take because it is damaged is left out, and counted."""
        own = packet.stream is video
        try:
            out.mux(packet)
        except (InvalidDataError, PatchWelcomeError):
            if own:
                raise
            self.damaged += 1

    def _options(self) -> dict[str, str]:
        if self.container != "mp4":
            return {}
        clock = str(self.grid.time_base.denominator)
        # Edit lists count in the movie's time scale; its default of milliseconds would shift late streams.
        return {"movflags": "+faststart", "movie_timescale": clock, "video_track_timescale": clock}

    def _add_video(self, out: OutputContainer) -> VideoStream:
        self.chunks[0].check(self.progress)
        with open_own(self.chunks[0].path) as first:
            template = first.streams.video[0]
            first_packet = next(p for p in first.demux(template) if p.size)
            self.first_pts = first_packet.pts or 0
            # AV1 has no encoder of the decoder's name, which a plain template would look for.
            opaque = {"opaque": True} if codec_name(template) == "av1" else {}
            video = out.add_stream_from_template(template, **opaque)
            video.time_base = self.grid.time_base
            context = video.codec_context
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
                    packet.duration = self.grid.step
                    packet.stream = target
                    count += 1
                    yield packet.dts * self.grid.time_base, cast("Packet[Stream]", packet)
            if count != chunk.frames:
                raise FlashVSRError(f"{chunk.path} holds {count} frames instead of {chunk.frames}; it is damaged")

    def _add_tracks(self, source: InputContainer, out: OutputContainer) -> dict[int, Track]:
        """One track for each audio and subtitle stream that can go into the output, by stream index."""
        tracks: dict[int, Track] = {}
        for stream in source.streams.audio if self.audio != "none" else ():
            name = f"audio track {self.audio_tracks + 1}"
            track = self._audio_track(stream, out, name)
            if track is not None:
                tracks[stream.index] = track
                self.audio_tracks += 1
        for number, subtitles in enumerate(source.streams.subtitles if self.subtitles else (), 1):
            made = self._subtitle_track(subtitles, out, number)
            if made is not None:
                tracks[subtitles.index] = made
        return tracks

    def _subtitle_track(self, stream: SubtitleStream, out: OutputContainer, number: int) -> Track | None:
        copied = None if self.container == "mp4" and is_bitmap(stream) else _copied(stream, out)
        if copied is not None:
            return CopyTrack(stream, copied, self.info.start)
        if is_text(stream):
            track = TextTrack(stream, out, self.container, self.info.start)
            _describe_stream(stream, track.target)
            return track
        kind, language = codec_name(stream) or "unknown", tags(stream.metadata).get("language")
        name = f"subtitle track {number} ({kind}{f', {language}' if language else ''})"
        advice = '; set container = "mkv" in the preset to keep it' if is_bitmap(stream) else ""
        self.warnings.append(f"{name} left out: {self.container} cannot hold it{advice}")
        return None

    def _audio_track(self, stream: Stream, out: OutputContainer, name: str) -> Track | None:
        codec = codec_name(stream)
        if self.audio == "copy" and codec and (self.container == "mkv" or codec in MP4_AUDIO):
            copied = _copied(stream, out)
            if copied is not None:
                return CopyTrack(stream, copied, self.info.start, joined=bool(self.info.joints))
        if not codec or not stream.codec_context.channels:  # type: ignore[attr-defined]
            self.warnings.append(f"{name} left out: there is no decoder for it")
            return None
        if self.audio == "copy":
            self.warnings.append(f"{name} ({codec}) encoded as AAC: {self.container} players do not take {codec}")
        track = AacTrack(stream, out, self.info.start, bool(self.info.joints))  # type: ignore[arg-type]
        _describe_stream(stream, track.target)
        return track

    def _others(self, source: InputContainer, tracks: dict[int, Track]) -> Iterator[Timed]:
        if not tracks:
            return
        streams = [stream for stream in source.streams if stream.index in tracks]
        limit = self.end if self.partial else None
        timeline = Timeline(self.info.joints)
        for packet in packets(source, self.info.path, streams, self._note_damage):
            timeline.place(packet)
            made = tracks[packet.stream.index].feed(packet)
            yield from (item for item in made if limit is None or item[0] < limit)
            if limit is not None and made and made[0][0] > limit + _CUT_SLACK:
                break
        for track in tracks.values():
            yield from (item for item in track.feed(None) if limit is None or item[0] < limit)
            self.damaged += getattr(track, "damaged", 0)

    def _note_damage(self) -> None:
        self.damaged += 1

    def _describe(self, source: InputContainer, out: OutputContainer) -> None:
        """Title, dates, chapters. Nothing about the old coding, and no rotation: it has been applied."""
        known = {key.lower(): value for key, value in tags(source.metadata).items()}
        for key in _METADATA:
            if key in known:
                out.metadata[key] = known[key]
        picture = next((s for s in source.streams.video if s.index == self.info.video_index), None)
        if picture is not None:
            _describe_stream(picture, out.streams.video[0])
        chapters = [_shifted(chapter, self.info.start) for chapter in source.chapters()]
        limit = self.end if self.partial else None
        out.set_chapters([c for c in chapters if limit is None or c["start"] * c["time_base"] < limit])


def _copied(stream: Stream, out: OutputContainer) -> Stream | None:
    """An output stream for packets of `stream` as they are, or None when the container cannot hold them."""
    if stream.codec_context is None:
        return None
    try:
        copied: Stream = out.add_stream_from_template(stream)
    except (ValueError, FFmpegError):
        return None
    rate = getattr(stream.codec_context, "sample_rate", None)
    copied.time_base = Fraction(1, rate) if rate else stream.time_base
    _describe_stream(stream, copied)
    return copied


def _describe_stream(source: Stream, target: Stream) -> None:
    known = tags(source.metadata)
    target.metadata.update({key: known[key] for key in _STREAM_METADATA if key in known})
    title = track_title(source)
    if title is not None:
        target.metadata["title"] = title
    target.disposition = source.disposition.value  # type: ignore[assignment]  # a plain number in PyAV 15 and 16


def _shifted(chapter: Any, start: Fraction) -> Any:
    """A chapter (PyAV's dictionary) with its times counted from `start`."""
    shift = round(start / chapter["time_base"])
    times = {"start": max(0, chapter["start"] - shift), "end": max(0, chapter["end"] - shift)}
    return {**chapter, **times, "metadata": tags(chapter["metadata"])}
