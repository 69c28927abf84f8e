"""The tracks beside the picture: which of them go into the result, and how; their packets, one after the other.

Some things show only while a track is being written: that it is empty, or changes on the way. The join then begins
again, with what was learned.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from io import BytesIO
from typing import TYPE_CHECKING, cast

import av
from av.error import FFmpegError

from flashvsr.errors import Transient
from flashvsr.system.text import NAME, visible
from flashvsr.video.aac import AacTrack
from flashvsr.video.audio import MP4_AUDIO, CopyTrack, Timed, Track, Unfit
from flashvsr.video.counted import Progress
from flashvsr.video.describe import describe_stream
from flashvsr.video.layouts import is_mixed_down
from flashvsr.video.media import packets
from flashvsr.video.probe import SourceInfo, codec_name
from flashvsr.video.pyav import tags
from flashvsr.video.sound_format import widest
from flashvsr.video.subtitles import CueTrack, TextTrack, is_bitmap, is_text
from flashvsr.video.timeline import Timeline
from flashvsr.video.writing import write_error

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.subtitles.stream import SubtitleStream

FORMATS = {"mp4": "mp4", "mkv": "matroska"}
_CUT_SLACK = 10  # seconds to read past a cut: tracks of a file are not cut at one place


@dataclass(frozen=True)
class Lessons:
    """Which tracks, by their numbers in the source, cannot be copied or not be written at all; and why, in words."""

    recode: Mapping[int, str] = field(default_factory=dict)
    leave: Mapping[int, str] = field(default_factory=dict)


class Again(Exception):
    """The join has to begin again; `lessons` are those to begin with."""

    def __init__(self, lessons: Lessons) -> None:
        super().__init__()
        self.lessons = lessons


@dataclass(frozen=True)
class Wishes:
    """`audio`: copy, aac or none. `container`: mp4 or mkv. `end`: of the picture, in seconds.

    `cut`: where the tracks end at the latest, because the source is not wanted to its end; None where it is.
    """

    audio: str
    subtitles: bool
    container: str
    end: Fraction
    cut: Fraction | None
    lessons: Lessons


class Tracks:
    """The tracks of `out` that are made from a source's. `audio`, `subtitles`: how many of them are such.

    `damaged`: places that could not be read or written. `warnings`: what differs from the source, in words.
    """

    def __init__(
        self, source: InputContainer, out: OutputContainer, info: SourceInfo, wishes: Wishes, progress: Progress
    ) -> None:
        self.warnings: list[str] = []
        self.audio = self.subtitles = 0
        self.damaged = 0
        self._source = source
        self._out = out
        self._info = info
        self._wishes = wishes
        self._progress = progress
        self._tracks: dict[int, Track] = {}
        self._names: dict[int, str] = {}
        self._read: set[int] = set()  # numbers in the source of the tracks that have packets
        self._written: dict[int, int] = {}  # packets, by number in the source
        sounds = [stream for stream in source.streams.audio if stream.index not in info.foreign]
        for number, stream in enumerate(sounds if wishes.audio != "none" else (), 1):
            self._add(stream, f"audio track {number}")
        texts = [stream for stream in source.streams.subtitles if stream.index not in info.foreign]
        for number, subtitles in enumerate(texts if wishes.subtitles else (), 1):
            self._add(subtitles, f"subtitle track {number}")

    def timed(self) -> Iterator[Timed]:
        """(time in seconds, packet) of all tracks as the file has them. Raises Again."""
        if not self._tracks:
            return
        streams = [stream for stream in self._source.streams if stream.index in self._tracks]
        limit = self._wishes.cut
        timeline = Timeline(self._info.joints)
        texts = {index: track for index, track in self._tracks.items() if isinstance(track, TextTrack)}
        for packet in packets(self._source, self._info.path, streams, self.note_damage):
            timeline.place(packet)
            index = packet.stream.index
            self._read.add(index)
            made = self._feed(index, packet)
            yield from self._counted(index, made, limit)
            if index not in texts and made:
                for other, text in texts.items():
                    yield from self._counted(other, text.passed(made[0][0]), limit)
            if limit is not None and made and made[0][0] > limit + _CUT_SLACK:
                break
        for index, track in self._tracks.items():
            yield from self._counted(index, self._feed(index, None), limit)
            self.damaged += getattr(track, "damaged", 0)
            if isinstance(track, CueTrack | TextTrack) and track.beyond and limit is None:
                told = f"{track.beyond} texts left out, as they begin after the film's end"
                self.warnings.append(f"{self._names[index]}: {told}")
        self._check_none_is_empty()

    def note_damage(self) -> None:
        """A place of the source cannot be read."""
        self.damaged += 1

    def note_refused(self, packet: Packet[Stream]) -> None:
        """A packet could not be written."""
        self.damaged += 1
        self._written[self._index_of(packet)] -= 1

    def _feed(self, index: int, packet: Packet[Stream] | None) -> list[Timed]:
        try:
            return self._tracks[index].feed(packet)
        except Unfit as unfit:
            raise Again(self._recoding(index, unfit.reason)) from unfit
        except (FFmpegError, ValueError) as error:
            if isinstance(write_error(self._info.path, error), Transient):
                raise  # no fault of the track's
            raise Again(self._leaving(index, f"it cannot be processed ({error})")) from error

    def _counted(self, index: int, made: list[Timed], limit: Fraction | None) -> Iterator[Timed]:
        for item in made:
            if limit is None or item[0] < limit:
                self._written[index] = self._written.get(index, 0) + 1
                yield item

    def _check_none_is_empty(self) -> None:
        """Containers leave out what is empty, or players stumble over it. Empty subtitles do no harm."""
        lessons = self._wishes.lessons
        for index in self._tracks:
            if self._source.streams[index].type == "audio" and not self._written.get(index):
                lessons = replace(lessons, leave={**lessons.leave, index: self._why_empty(index)})
        if lessons != self._wishes.lessons:
            raise Again(lessons)

    def _why_empty(self, index: int) -> str:
        if self._wishes.cut is not None:
            return "nothing of it lies in the part that was made"
        return "nothing in it can be decoded" if index in self._read else "it is empty"

    def _recoding(self, index: int, reason: str) -> Lessons:
        lessons = self._wishes.lessons
        return replace(lessons, recode={**lessons.recode, index: reason})

    def _leaving(self, index: int, reason: str) -> Lessons:
        lessons = self._wishes.lessons
        return replace(lessons, leave={**lessons.leave, index: reason})

    def _index_of(self, packet: Packet[Stream]) -> int:
        return next(i for i, track in self._tracks.items() if track.target is packet.stream)

    def _add(self, stream: AudioStream | SubtitleStream, name: str) -> None:
        codec, language = codec_name(stream) or "unknown", visible(tags(stream.metadata).get("language", ""), NAME)
        if stream.index in self._wishes.lessons.leave:
            reason = self._wishes.lessons.leave[stream.index]
            self.warnings.append(f"{name} ({codec}{f', {language}' if language else ''}) left out: {reason}")
            return
        if stream.type == "audio":
            made = self._sound(cast("AudioStream", stream), name)
        else:
            made = self._text(stream, name, codec, language)
        if made is not None:
            describe_stream(stream, made.target)
            self._tracks[stream.index], self._names[stream.index] = made, name
            self.audio += stream.type == "audio"
            self.subtitles += stream.type == "subtitle"

    def _text(self, stream: SubtitleStream, name: str, codec: str, language: str | None) -> Track | None:
        container, start = self._wishes.container, self._info.start
        end = self._wishes.end if container == "mp4" else self._wishes.cut
        copied = None if container == "mp4" and is_bitmap(stream) else _copied(stream, self._out, container)
        if copied is not None:
            return CueTrack(stream, copied, start, end)
        if is_text(stream):
            return TextTrack(stream, self._out, container, start, end)
        advice = '; set container = "mkv" in the preset to keep it' if is_bitmap(stream) else ""
        kind = f"{codec}{f', {language}' if language else ''}"
        self.warnings.append(f"{name} ({kind}) left out: {container} cannot hold it{advice}")
        return None

    def _sound(self, stream: AudioStream, name: str) -> Track | None:
        codec, container, info = codec_name(stream), self._wishes.container, self._info
        if not codec:
            self.warnings.append(f"{name} left out: there is no decoder for it")
            return None
        layout, learned = stream.codec_context.layout, self._wishes.lessons.recode.get(stream.index)
        if self._wishes.audio == "copy":
            reason = learned or ("" if layout.nb_channels else "its format is not told at the beginning")
            if not reason and (container == "mkv" or codec in MP4_AUDIO):
                copied = _copied(stream, self._out, container)
                if copied is not None:
                    return CopyTrack(stream, copied, info.start, joined=bool(info.joints))
            reason = reason or f"{container} players do not take {codec}"
            self.warnings.append(f"{name} ({codec}) encoded as AAC: {reason}")
        if is_mixed_down(layout):
            self.warnings.append(f"{name} mixed down to stereo: AAC cannot hold its {layout.nb_channels} channels")
        channels = 0 if learned is None else widest(info, stream.index, self._progress)
        return AacTrack(stream, self._out, info.start, bool(info.joints), channels)


def _copied(stream: Stream, out: OutputContainer, container: str) -> Stream | None:
    """An output stream for packets of `stream` as they are, or None when the container cannot hold them."""
    if stream.codec_context is None or not _takes(container, stream):
        return None
    copied: Stream = out.add_stream_from_template(stream)
    rate = getattr(stream.codec_context, "sample_rate", None)
    copied.time_base = Fraction(1, rate) if rate else stream.time_base
    return copied


def _takes(container: str, stream: Stream) -> bool:
    """Whether a container holds such a track: tried by itself, since a refusal of all of them names none."""
    try:
        with av.open(BytesIO(), "w", format=FORMATS[container]) as trial:
            trial.add_stream_from_template(stream)
            trial.start_encoding()
    except (ValueError, FFmpegError):
        return False
    return True
