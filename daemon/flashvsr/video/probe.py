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

from flashvsr.errors import BadInput
from flashvsr.video.color import ColorInfo, resolve
from flashvsr.video.counted import Progress, nothing
from flashvsr.video.lengths import Beginning, credible_count
from flashvsr.video.limits import GENEROUS, Limits
from flashvsr.video.mastering import Mastering, mastering_of
from flashvsr.video.media import Identity, open_source, packets
from flashvsr.video.pyav import fraction, tags
from flashvsr.video.timeline import JOINABLE, Joint, JumpFinder
from flashvsr.video.timing import choose_rate

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.buffer import Buffer
    from av.container import InputContainer
    from av.stream import Stream
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

ATTACHED_PICTURE = 0x400  # AV_DISPOSITION_ATTACHED_PIC
_DEFAULT_STREAM = 0x1  # AV_DISPOSITION_DEFAULT
_CODEC_ALIASES = {
    "mp3float": "mp3", "mp2float": "mp2", "mp1float": "mp1", "dca": "dts", "libopus": "opus",
    "libvorbis": "vorbis", "libdav1d": "av1", "libaom-av1": "av1", "ac3_fixed": "ac3", "aac_fixed": "aac",
    "libvpx-vp9": "vp9",
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
    to keep. `mastering`: HDR10's facts about it. `identity`: the file that was looked at, None for any.
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
    identity: Identity | None = None

    @property
    def is_deep(self) -> bool:
        """Whether its samples have more than 8 bits; the result then has 10."""
        return self.bits > 8

    @property
    def warnings(self) -> list[str]:
        """What of the source the result cannot have, for the job's report."""
        return ["the source's transparency is left out: the result has none"] if self.has_alpha else []


def probe(path: Path, limits: Limits = GENEROUS, progress: Progress = nothing) -> SourceInfo:
    """Read a source file's facts; `progress` is called as it is read, all of it where it may have been joined.

    Raises BadInput if it has no usable picture or is over the limits, Transient if reading fails.
    """
    check_file(path, limits)
    with open_source(path, progress) as container:
        stream = _video_stream(container, path)
        guard(stream, path, limits)
        beginning = Beginning(packets(container, path, container.streams, lambda: None), stream.index)
        frame = _first_frame(beginning, stream, path)
        rotation, mirrored = orientation(frame)
        turned = rotation in (90, 270)
        width, height = (frame.height, frame.width) if turned else (frame.width, frame.height)
        rate = choose_rate(*map(fraction, (stream.guessed_rate, stream.average_rate, stream.base_rate)))
        duration = container.duration / av.time_base if container.duration and container.duration > 0 else None
        joints, count = _joints(path, container.format.name, stream.index, progress)
        info = SourceInfo(
            path=path,
            container=container.format.name,
            duration=duration,
            start=_start(container, stream),
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
            audio=tuple(_audio_track(audio) for audio in container.streams.audio),
            video_index=stream.index,
            bits=max(component.bits for component in frame.format.components),
            has_alpha=codec_name(stream) != "gif" and any(c.is_alpha for c in frame.format.components),
            joints=joints,
            limits=limits,
            mastering=mastering_of(frame),
        )
        if count is None:  # last, because reading on changes what the container says of its start
            claimed = stream.frames or round((duration or 0) * rate)
            count = credible_count(claimed, duration or 0.0, beginning, container, stream, path)
    check_frames(count or 0, path, limits)
    return replace(info, frame_count=count or None)


def guard(stream: VideoStream, path: Path, limits: Limits) -> None:
    """Refuse pictures that are too large, now and when the stream changes its size later."""
    if max(stream.width, stream.height) > limits.side:
        raise BadInput(
            f"{path} has pictures of {stream.width}x{stream.height}, more than the {limits.side} pixels a side that "
            "limits.side allows; scale it down first, or raise limits.side in the settings"
        )
    stream.codec_context.options = {"max_pixels": str(limits.side**2)}


def check_frames(count: int, path: Path, limits: Limits) -> None:
    """Refuse a video that is too long."""
    if limits.frames and count > limits.frames:
        raise BadInput(
            f"{path} has {count} frames, more than the {limits.frames} that limits.frames allows; cut it into parts, "
            "or raise limits.frames in the settings"
        )


def check_file(path: Path, limits: Limits) -> None:
    """Refuse a file that is too large, before anything of it is read."""
    try:
        size = path.stat().st_size
    except OSError:
        return  # opening it says what is wrong, in words for each case
    if limits.file_bytes and size > limits.file_bytes:
        raise BadInput(
            f"{path} has {size} bytes, more than the {limits.file_bytes} that limits.file_bytes allows; cut it into "
            "parts, or raise limits.file_bytes in the settings"
        )


def _joints(
    path: Path, container_format: str, picture: int, progress: Progress
) -> tuple[tuple[Joint, ...], int | None]:
    """Read the whole file where its format may have been joined from several; decodes nothing.

    Returns the joints, and the number of pictures where it is known from that.
    """
    if container_format not in JOINABLE:
        return (), None
    finder = JumpFinder(picture)
    with open_source(path, progress) as container:
        for packet in packets(container, path, [*container.streams.video, *container.streams.audio], lambda: None):
            finder.see(packet)
    return finder.joints(), finder.pictures


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
    known = tags(stream.metadata)
    return known.get("title") or known.get("name")


def _video_stream(container: InputContainer, path: Path) -> VideoStream:
    """The main picture: default streams first, then the largest. Cover art does not count."""
    candidates = [s for s in container.streams.video if not s.disposition.value & ATTACHED_PICTURE]
    decodable = [s for s in candidates if s.codec_context is not None]
    if not decodable:
        if candidates:
            raise BadInput(f"{path}: there is no decoder for its video stream; convert it to a common codec first")
        found = "only sound" if container.streams.audio else "no video stream"
        raise BadInput(f"{path} has no picture ({found} in it); drop a video file")
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
        f"{path}: not one frame of its video stream can be decoded; the file is damaged or incomplete"
    ) from problem


def _start(container: InputContainer, video: VideoStream) -> Fraction:
    """The earliest start of picture and sound, exact (the container's own field is in microseconds).

    Sound that starts a little before zero is an encoder's lead-in, which players drop: it does not count.
    """
    starts = [
        stream.start_time * tick
        for stream in (video, *container.streams.audio)
        if stream.start_time is not None and (tick := fraction(stream.time_base)) is not None
    ]
    earliest = min(starts, default=Fraction(0))
    return earliest if earliest >= 0 or video.start_time is None else min(Fraction(0), starts[0])


def _sample_aspect(stream: VideoStream, turned: bool) -> Fraction:
    aspect = fraction(stream.sample_aspect_ratio)
    if aspect is None or not Fraction(1, 20) < aspect < 20:
        return Fraction(1)
    return 1 / aspect if turned else aspect


def _audio_track(stream: AudioStream) -> AudioTrack:
    context = stream.codec_context
    return AudioTrack(
        index=stream.index,
        codec=codec_name(stream),
        language=tags(stream.metadata).get("language"),
        title=track_title(stream),
        channels=context.channels if context is not None else 0,
        sample_rate=context.sample_rate if context is not None else 0,
    )
