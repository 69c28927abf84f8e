"""What a source file holds: the facts every other part works from. Opens the file and decodes one frame."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, cast

import av
from av.error import FFmpegError

from flashvsr.errors import BadInput, Fault
from flashvsr.files.at import Identity
from flashvsr.system.text import NAME, visible
from flashvsr.video.color import ColorInfo, resolve
from flashvsr.video.counted import Progress, nothing
from flashvsr.video.crop import NOTHING, Crop, crop_of
from flashvsr.video.lengths import Beginning, credible_count, frames_before, until_of
from flashvsr.video.limits import GENEROUS, Limits, check_file, check_frames, check_side, guard
from flashvsr.video.mastering import Mastering, mastering_of
from flashvsr.video.media import open_source, packets
from flashvsr.video.pyav import LONGEST_TITLE, fraction, tags
from flashvsr.video.renumber import Renumbering, renumbered
from flashvsr.video.spatial import Spatial, spatial_of
from flashvsr.video.survey import survey
from flashvsr.video.timeline import JOINABLE, Joint
from flashvsr.video.timing import choose_rate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from av.audio.stream import AudioStream
    from av.buffer import Buffer
    from av.container import InputContainer
    from av.stream import Stream
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

ATTACHED_PICTURE = 0x400  # AV_DISPOSITION_ATTACHED_PIC
_DEFAULT_STREAM = 0x1  # AV_DISPOSITION_DEFAULT
_LEAD_IN = Fraction(1, 4)  # seconds, the most that an encoder of sound puts before zero
_CODEC_ALIASES = {
    "mp3float": "mp3", "mp2float": "mp2", "mp1float": "mp1", "dca": "dts", "libopus": "opus",
    "libvorbis": "vorbis", "libdav1d": "av1", "libaom-av1": "av1", "ac3_fixed": "ac3", "aac_fixed": "aac",
    "libvpx-vp9": "vp9", "cc_dec": "eia_608",
}  # fmt: skip


@dataclass(frozen=True)
class AudioTrack:
    """One audio stream. `index`: its number in the file. `codec` is empty where FFmpeg cannot decode it."""

    index: int
    codec: str
    language: str | None
    title: str | None
    channels: int
    sample_rate: int


@dataclass(frozen=True)
class SourceInfo:
    """A source file. Sizes in pixels, times in seconds.

    `start`: the earliest presentation time of picture and sound; all times elsewhere count from it. `width`,
    `height`: the picture as shown, rotation applied, before non-square pixels are stretched. `sample_aspect`:
    shape of a pixel, 1 when unknown. `rotation`: clockwise turn to apply after `mirrored` (left-right) has
    been. `frame_count`: an estimate for progress and room only, None where nothing credible is known. `video_index`:
    number of the video stream in the file. `bits`: of one sample of the picture. `has_alpha`: some of it may be
    transparent. `joints`: where the file's clock jumps. `limits`: those it was examined under, which decoding goes on
    to keep. `mastering`: HDR10's facts about it. `foreign`: numbers of the streams that belong to other programmes of a
    multiplex. `decode_times`: its frames carry the times at which they are decoded, see `flashvsr.video.order`.
    `renumberings`: where its tracks get other numbers, see `flashvsr.video.renumber`. `begun`: tracks of picture and
    sound that begin on the way, in another codec or as further ones. `crop`: edges that are not shown, taken off
    already in `width` and `height`. `spatial`: what it says of 360 degrees and of two eyes. `until`: only what is shown
    before that is wanted, None for all; `frame_count` is that of the wanted part. `identity`: the file that was looked
    at, None for any.
    """

    path: Path
    container: str
    duration: float | None
    start: Fraction
    width: int
    height: int
    sample_aspect: Fraction
    rotation: int
    mirrored: bool
    frame_rate: Fraction
    time_base: Fraction
    frame_count: int | None
    pixel_format: str
    codec: str
    color: ColorInfo
    audio: tuple[AudioTrack, ...]
    video_index: int
    bits: int = 8
    has_alpha: bool = False
    joints: tuple[Joint, ...] = ()
    limits: Limits = GENEROUS
    mastering: Mastering | None = None
    foreign: tuple[int, ...] = ()
    decode_times: bool = False
    renumberings: tuple[Renumbering, ...] = ()
    begun: int = 0
    crop: Crop = NOTHING
    spatial: Spatial | None = None
    until: Fraction | None = None
    identity: Identity | None = None

    @property
    def is_deep(self) -> bool:
        """Whether its samples have more than 8 bits; the result then has 10."""
        return self.bits > 8

    @property
    def length(self) -> float | None:
        """Seconds that are wanted of it, as far as the file tells: as many as it has, unless the end is cut off."""
        if self.until is None or self.duration is None:
            return self.duration
        return min(self.duration, float(self.until))

    @property
    def most_frames(self) -> int | None:
        """More are not wanted, at its frame rate; None where all are."""
        return None if self.until is None else frames_before(self.until, self.frame_rate)

    @property
    def is_cut(self) -> bool:
        """Whether it goes on behind what is wanted, as far as the file tells."""
        return self.until is not None and (self.duration is None or self.duration > self.until)

    @property
    def warnings(self) -> list[str]:
        """What of the source the result cannot have, for the job's report."""
        found = ["the source's transparency is left out: the result has none"] if self.has_alpha else []
        if self.begun:
            found.append(
                f"{self.begun} tracks of picture or sound begin on the way, in another codec or as further ones, and "
                "are left out; to keep them, cut the recording where they begin"
            )
        return found


def probe(path: Path, limits: Limits = GENEROUS, progress: Progress = nothing, seconds: float = 0) -> SourceInfo:
    """Read a source file's facts; `progress` is called as it is read, all of it where it may have been joined.

    `seconds`: so many of its beginning are wanted, and a file that may have been joined is read about so far; 0 for
    all. Raises BadInput if it has no usable picture or is over the limits, Transient if reading fails.
    """
    check_file(path, limits)
    return _probe(path, limits, progress, (), until_of(seconds))


def _probe(
    path: Path, limits: Limits, progress: Progress, known: tuple[Renumbering, ...], until: Fraction | None
) -> SourceInfo:
    with open_source(path, progress, view=renumbered(known)) as container:
        stream = _video_stream(container, path)
        guard(stream, path, limits)
        rate = choose_rate(*map(fraction, (stream.guessed_rate, stream.average_rate, stream.base_rate)))
        wanted = None if until is None else frames_before(until, rate)
        found = survey(path, container, stream, known, progress, wanted)
        if found.renumberings != known:
            return _probe(path, limits, progress, found.renumberings, until)
        beginning = Beginning(packets(container, path, container.streams, lambda: None), stream.index)
        frame = _first_frame(beginning, stream, path)
        check_side(frame.width, frame.height, path, limits)
        rotation, mirrored = orientation(frame)
        turned = rotation in (90, 270)
        crop = crop_of(stream)
        crop = crop if crop.fits(frame.width, frame.height) else NOTHING
        width, height = crop.size(frame.width, frame.height)[:: -1 if turned else 1]
        duration = container.duration / av.time_base if container.duration and container.duration > 0 else None
        sounds = [audio for audio in container.streams.audio if audio.index not in found.foreign]
        info = SourceInfo(
            path=path,
            container=container.format.name,
            duration=duration,
            start=_start(container.format.name, stream, sounds),
            width=width,
            height=height,
            sample_aspect=_sample_aspect(stream, turned),
            rotation=rotation,
            mirrored=mirrored,
            frame_rate=rate,
            time_base=fraction(stream.time_base) or 1 / rate,
            frame_count=None,
            pixel_format=frame.format.name,
            codec=codec_name(stream),
            color=frame_color(frame, stream),
            audio=tuple(_audio_track(audio) for audio in sounds),
            video_index=stream.index,
            bits=max(component.bits for component in frame.format.components),
            has_alpha=_has_alpha(stream, frame),
            joints=found.joints,
            limits=limits,
            mastering=mastering_of(frame),
            foreign=found.foreign,
            decode_times=found.decode_times,
            renumberings=found.renumberings,
            begun=found.begun,
            crop=crop,
            spatial=spatial_of(frame),
            until=until,
        )
        count = found.pictures
        if count is None:  # last, because reading on changes what the container says of its start
            claimed = stream.frames or round((duration or 0) * rate)
            count = credible_count(claimed, duration or 0.0, beginning, container, stream, path)
    if count and wanted is not None:
        count = min(count, wanted)
    check_frames(count or 0, path, limits)
    return replace(info, frame_count=count or None)


def orientation(frame: VideoFrame) -> tuple[int, bool]:
    """The clockwise rotation (0, 90, 180, 270) that shows `frame` upright, and whether to mirror it first."""
    data = cast("Buffer | None", frame.side_data.get("DISPLAYMATRIX"))
    if data is None:
        return 0, False
    a, b, _, c, d = struct.unpack("=9i", bytes(data))[:5]
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    degrees = math.degrees(math.atan2(b, a))
    return round(degrees / 90) * 90 % 360, mirrored


def frame_color(frame: VideoFrame, stream: VideoStream) -> ColorInfo:
    """The colour description of a decoded frame, with the gaps filled in."""
    context = stream.codec_context
    is_rgb = frame.format.is_rgb or frame.format.name == "pal8"
    return resolve(
        int(frame.colorspace), int(frame.color_range), frame.format.name, is_rgb, (frame.width, frame.height),
        int(context.color_primaries), int(context.color_trc),
    )  # fmt: skip


def codec_name(stream: Stream) -> str:
    """The codec's own name, not its decoder's ("mp3", not "mp3float"). Empty if there is no decoder."""
    context = stream.codec_context
    if context is None:
        return ""
    return _CODEC_ALIASES.get(context.name, context.name)


def track_title(stream: Stream) -> str | None:
    """What a track calls itself; MP4 has another word for it."""
    known = tags(stream.metadata, LONGEST_TITLE)
    return known.get("title") or known.get("name")


def _video_stream(container: InputContainer, path: Path) -> VideoStream:
    """The main picture: default streams first, then the largest. Cover art does not count."""
    candidates = [s for s in container.streams.video if not s.disposition.value & ATTACHED_PICTURE]
    decodable = [s for s in candidates if s.codec_context is not None]
    if not decodable:
        if candidates:
            raise BadInput(
                f"{path}: there is no decoder for its video stream; convert it to a common codec first",
                fault=Fault.NO_DECODER,
            )
        found = "only sound" if container.streams.audio else "no video stream"
        raise BadInput(f"{path} has no picture ({found} in it); drop a video file", fault=Fault.NO_PICTURE)
    return max(decodable, key=lambda s: (s.disposition.value & _DEFAULT_STREAM, s.width * s.height, -s.index))


def _first_frame(beginning: Beginning, stream: VideoStream, path: Path) -> VideoFrame:
    problem: FFmpegError | None = None
    for packet in chain((packet for packet in beginning if packet.stream_index == stream.index), [None]):
        try:
            frames = stream.decode(packet)
        except FFmpegError as error:
            problem = problem if isinstance(problem, MemoryError) else error
            continue
        if frames:
            return frames[0]
    raise BadInput(
        f"{path}: not one frame of its video stream can be decoded; the file is damaged or incomplete",
        fault=Fault.DAMAGED,
    ) from problem


def _start(container_format: str, video: VideoStream, sounds: Sequence[AudioStream]) -> Fraction:
    """The earliest start of picture and sound, exact (the container's own field is in microseconds).

    Sound that starts a little before zero is an encoder's lead-in, which players drop: it does not count. In a
    recording zero means nothing, least of all where its clock of 33 bits went through it.
    """
    starts = [
        stream.start_time * tick
        for stream in (video, *sounds)
        if stream.start_time is not None and (tick := fraction(stream.time_base)) is not None
    ]
    earliest = min(starts, default=Fraction(0))
    if container_format in JOINABLE or not -_LEAD_IN <= earliest < 0 or video.start_time is None:
        return earliest
    return min(Fraction(0), starts[0])


def _sample_aspect(stream: VideoStream, turned: bool) -> Fraction:
    aspect = fraction(stream.sample_aspect_ratio)
    if aspect is None or not Fraction(1, 20) < aspect < 20:
        return Fraction(1)
    return 1 / aspect if turned else aspect


def _visible(text: str | None) -> str | None:
    return None if text is None else visible(text, NAME)


def _has_alpha(stream: VideoStream, frame: VideoFrame) -> bool:
    """WebM keeps transparency in a second picture beside the first, of which only a tag tells."""
    known = {key.lower(): value for key, value in tags(stream.metadata).items()}
    if codec_name(stream) == "gif":
        return False
    return known.get("alpha_mode") == "1" or any(component.is_alpha for component in frame.format.components)


def _audio_track(stream: AudioStream) -> AudioTrack:
    context = stream.codec_context
    return AudioTrack(
        index=stream.index,
        codec=codec_name(stream),
        language=_visible(tags(stream.metadata).get("language")),
        title=_visible(track_title(stream)),
        channels=context.channels if context is not None else 0,
        sample_rate=context.sample_rate if context is not None else 0,
    )
