"""Just enough of Matroska's elements to read from and add to the headers that FFmpeg writes.

PyAV shows no marks of a stream that has not been decoded (crop, 360 degrees), and has no way to set them. FFmpeg's own
Matroska does both; what is handled here was written by it, never by a stranger.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any

import av

if TYPE_CHECKING:
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream

SEGMENT, TRACKS, TRACK, VIDEO = b"\x18\x53\x80\x67", b"\x16\x54\xae\x6b", b"\xae", b"\xe0"
TO_VIDEO = (SEGMENT, TRACKS, TRACK, VIDEO)
_WITH_PLACES = (b"\x11\x4d\x9b\x74", b"\x1c\x53\xbb\x6b")  # SeekHead and Cues: wrong when anything has moved


def header_of(stream: Stream, packet: Packet[Stream] | None = None, **template: Any) -> bytes:
    """A stream's description as Matroska, with one packet or none. Raises ValueError or PyAV's errors."""
    written = BytesIO()
    with av.open(written, "w", format="matroska") as out:
        copy = out.add_stream_from_template(stream, **template)
        out.start_encoding()
        if packet is not None:
            packet.stream = copy
            out.mux(packet)
    return written.getvalue()


@contextmanager
def with_marks(stream: VideoStream, packet: Packet[Stream], marks: bytes, **template: Any) -> Iterator[VideoStream]:
    """The same stream with elements added to its description, as a template; itself where there are none."""
    if not marks:
        yield stream
        return
    described = added(header_of(stream, packet, **template), TO_VIDEO, marks)
    with av.open(BytesIO(described), "r", format="matroska") as container:
        yield container.streams.video[0]


def find(data: bytes, path: Sequence[bytes]) -> bytes | None:
    """The content of the first element at `path`, None if there is none."""
    for name, content in _elements(data):
        if name == path[0]:
            return content if len(path) == 1 else find(content, path[1:])
    return None


def number(data: bytes, path: Sequence[bytes]) -> int:
    """An unsigned number at `path`; 0 if there is none."""
    return int.from_bytes(find(data, path) or b"", "big")


def added(data: bytes, path: Sequence[bytes], more: bytes) -> bytes:
    """A file with elements added into the one at `path`."""
    if not path:
        return data + more
    parts = []
    for name, content in _elements(data):
        if name not in _WITH_PLACES:
            parts.append(element(name, added(content, path[1:], more) if name == path[0] else content))
    return b"".join(parts)


def element(name: bytes, content: bytes) -> bytes:
    """One element, its length in eight bytes."""
    return name + (1 << 56 | len(content)).to_bytes(8, "big") + content


def _elements(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(data):
        name = data[at : at + 9 - data[at].bit_length()]
        at += len(name)
        width = 9 - data[at].bit_length()
        size = int.from_bytes(data[at : at + width], "big") & (1 << 7 * width) - 1
        at += width
        content = data[at : at + size]  # of unknown size, all bits of it set: up to the end
        at += len(content)
        yield name, content
