"""What a file carries beside picture, sound and subtitles: cover art, attachments (fonts), data tracks."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from av.error import FFmpegError
from av.packet import Packet

from flashvsr.system.text import NAME, visible
from flashvsr.video.counted import Progress, nothing
from flashvsr.video.media import open_source, packets
from flashvsr.video.probe import ATTACHED_PICTURE, SourceInfo, codec_name
from flashvsr.video.pyav import tags
from flashvsr.video.renumber import renumbered

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.stream import Stream

_IMAGES = {"mjpeg": ("cover.jpg", "image/jpeg"), "png": ("cover.png", "image/png"), "bmp": ("cover.bmp", "image/bmp")}
LONGEST_NAME = 255  # characters of an attachment's name, as of a file's


@dataclass(frozen=True)
class Cover:
    """A picture of the film, not of the film's. `stream` is its number in the source."""

    stream: int
    codec: str
    data: bytes


def covers(source: InputContainer, info: SourceInfo, progress: Progress = nothing) -> list[Cover]:
    """Read the cover art of a source, which is open already, for other tracks."""
    wanted = {stream.index for stream in source.streams.video if stream.disposition.value & ATTACHED_PICTURE}
    if not wanted:
        return []
    found: list[Cover] = []
    with open_source(info.path, progress, view=renumbered(info.renumberings), known=info.identity) as container:
        streams = [stream for stream in container.streams.video if stream.index in wanted]
        for packet in packets(container, info.path, streams, lambda: None):
            index = packet.stream.index
            if index in wanted:
                wanted.discard(index)
                found.append(Cover(index, codec_name(packet.stream), bytes(packet)))
            if not wanted:
                break
    return found


def add_covers(source: InputContainer, out: OutputContainer, art: list[Cover], container: str) -> list[Packet[Stream]]:
    """Add cover art to a result; returns packets to write first."""
    first: list[Packet[Stream]] = []
    for cover in art:
        if container == "mkv":
            name, mime = _IMAGES.get(cover.codec, (f"cover.{cover.codec}", "application/octet-stream"))
            out.add_attachment(name, mime, cover.data)
            continue
        target = out.add_stream_from_template(source.streams[cover.stream])
        target.disposition = ATTACHED_PICTURE  # type: ignore[assignment]
        packet: Packet[Stream] = Packet(cover.data)
        packet.stream, packet.time_base = target, Fraction(1, 90000)
        packet.pts = packet.dts = 0
        first.append(packet)
    return first


def add_attachments(source: InputContainer, out: OutputContainer, container: str) -> list[str]:
    """Copy fonts and other attachments; returns what could not be kept, in words."""
    lost = []
    for number, stream in enumerate((s for s in source.streams if s.type == "attachment"), 1):
        known = tags(stream.metadata, LONGEST_NAME)
        name = known.get("filename", f"attachment {number}")
        shown = visible(name, NAME)
        if container != "mkv":
            lost.append(f"attachment {shown} left out: {container} holds none")
            continue
        mime = known.get("mimetype", "application/octet-stream")
        try:
            out.add_attachment(name, mime, bytes(stream.data))  # type: ignore[attr-defined]
        except (ValueError, FFmpegError) as error:
            lost.append(f"attachment {shown} left out: {error}")
    return lost


def left_out(source: InputContainer, info: SourceInfo) -> list[str]:
    """Tracks that no result keeps, in words."""
    lost = []
    if info.foreign:
        lost.append(
            f"{len(info.foreign)} tracks of other programmes left out: the largest picture was taken, with its sound"
        )
    own = [stream for stream in source.streams if stream.index not in info.foreign]
    others = [
        stream
        for stream in own
        if stream.type == "video"
        and stream.index != info.video_index
        and not stream.disposition.value & ATTACHED_PICTURE
    ]
    if others:
        lost.append(f"{len(others)} further video tracks left out: the largest or default one was processed")
    data = [stream for stream in own if stream.type in ("data", "unknown")]
    # QuickTime keeps chapters in a track of text, which looks like data; they are kept as chapters.
    spare = 1 if info.container.startswith("mov") and source.chapters() else 0
    if len(data) > spare:
        lost.append(f"{len(data) - spare} data tracks left out (timecode, telemetry and the like)")
    return lost
