"""The tables of an MPEG transport stream: its programmes, and the tracks of each. PyAV does not tell them.

A table comes in sections: the one on PID 0 names the programmes and the PIDs of their tables, each of those names its
tracks. They are repeated several times a second, and may change on the way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

PACKET = 188
NO_TRACK = 0x1FFF  # the PID of packets that carry nothing
_LISTING, _TABLE = 0x00, 0x02  # kinds of section: the programmes of the stream, the tracks of a programme
_HEADER, _CHECKSUM = 3, 4  # bytes that come before what a section's length counts, and at its end
_LANGUAGE = 0x0A
# Kinds of track: MPEG-1, MPEG-2, MPEG-4, H.264, HEVC, VVC, VC-1; MPEG's sound, AAC in two ways, Dolby's and DTS.
_FILM = frozenset(
    {0x01, 0x02, 0x10, 0x1B, 0x24, 0x33, 0xEA, 0x03, 0x04, 0x0F, 0x11, 0x80, 0x81, 0x82, 0x83, 0x84, 0x87}
)
_SOUNDS = frozenset({0x6A, 0x7A, 0x7B, 0x7C})  # among the descriptors below
# Descriptors that tell what "private data" is: AC-3, E-AC-3, DTS, AAC; teletext, subtitles; a codec's own name.
_KINDS = frozenset({0x6A, 0x7A, 0x7B, 0x7C, 0x56, 0x59, 0x05})


@dataclass(frozen=True)
class TableTrack:
    """A track as its table describes it. Those of one `kind`, a number with descriptors, have one codec."""

    pid: int
    kind: tuple[int, tuple[tuple[int, bytes], ...]]
    language: bytes

    @property
    def is_film(self) -> bool:
        """Whether it is picture or sound, as far as its table tells."""
        number, descriptors = self.kind
        return number in _FILM or any(tag in _SOUNDS for tag, _ in descriptors)


@dataclass
class _Sections:
    """Puts the sections of one PID together; each packet carries a piece."""

    data: bytearray = field(default_factory=bytearray)

    def take(self, payload: bytes, starts: bool) -> Iterator[bytes]:
        if starts and payload:
            pointer = payload[0] + 1
            self.data += payload[1:pointer]
            yield from self._whole()
            self.data = bytearray(payload[pointer:])
        elif self.data:
            self.data += payload
        yield from self._whole()

    def _whole(self) -> Iterator[bytes]:
        while len(self.data) >= _HEADER and self.data[0] != 0xFF:
            size = _HEADER + (int.from_bytes(self.data[1:3], "big") & 0xFFF)
            if len(self.data) < size:
                return
            yield bytes(self.data[:size])
            del self.data[:size]
        if self.data[:1] == b"\xff":  # stuffing until the packet's end
            self.data.clear()


class Tables:
    """Takes the packets of `pids`, and knows the programmes as they stand: number -> tracks.

    `listed`: the PID of each programme's table, by the programme's number.
    """

    def __init__(self) -> None:
        self.listed: dict[int, int] = {}
        self.programmes: dict[int, tuple[TableTrack, ...]] = {}
        self.pids = {0}
        self._sections: dict[int, _Sections] = {}
        self._same: dict[int, bytes] = {}

    def take(self, packet: bytes) -> bool:
        """Take a packet of one of `pids`; tell whether anything has changed."""
        pid = int.from_bytes(packet[1:3], "big") & 0x1FFF
        if not packet[3] & 0x10 or self._same.get(pid) == packet[4:]:
            return False  # carries nothing, or what the one before it did
        self._same[pid] = packet[4:]
        at = 5 + packet[4] if packet[3] & 0x20 else 4
        changed = False
        for section in self._sections.setdefault(pid, _Sections()).take(packet[at:], bool(packet[1] & 0x40)):
            if section[0] == _LISTING and pid == 0 and len(section) >= 12:
                changed |= self._list(section)
            elif section[0] == _TABLE and len(section) >= 16:
                changed |= self._describe(section)
        return changed

    def _list(self, section: bytes) -> bool:
        """Number 0 is the network's, no programme."""
        body = section[8:-_CHECKSUM]
        words = [int.from_bytes(body[n : n + 2], "big") for n in range(0, len(body) - 1, 2)]
        listed = {number: pid & 0x1FFF for number, pid in zip(words[::2], words[1::2], strict=False) if number}
        if listed == self.listed:
            return False
        self.listed = listed
        self.pids |= set(listed.values())
        return True

    def _describe(self, section: bytes) -> bool:
        number, found = int.from_bytes(section[3:5], "big"), tuple(_tracks(section))
        if self.programmes.get(number) == found:
            return False
        self.programmes[number] = found
        return True


def _tracks(section: bytes) -> Iterator[TableTrack]:
    at = 12 + (int.from_bytes(section[10:12], "big") & 0xFFF)
    while at + 5 <= len(section) - _CHECKSUM:
        size = int.from_bytes(section[at + 3 : at + 5], "big") & 0xFFF
        found = dict(_descriptors(section[at + 5 : at + 5 + size]))
        own = tuple(sorted((tag, found[tag] if tag == 0x05 else b"") for tag in _KINDS & found.keys()))
        pid = int.from_bytes(section[at + 1 : at + 3], "big") & 0x1FFF
        yield TableTrack(pid, (section[at], own), found.get(_LANGUAGE, b"")[:3])
        at += 5 + size


def _descriptors(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 2 <= len(data):
        yield data[at], data[at + 2 : at + 2 + data[at + 1]]
        at += 2 + data[at + 1]
