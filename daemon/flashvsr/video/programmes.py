"""Programmes of an MPEG transport stream: which tracks belong together. PyAV does not tell; the stream's tables do.

A table comes in sections: the one on PID 0 names the programmes and the PIDs of their tables, each of those names its
tracks. A multiplex of several programmes has several.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

_SYNC, _PACKET = 0x47, 188
_SIZES = (188, 192, 204)  # plain; with a time before each packet, as on Blu-ray; with a checksum behind it
_LISTING, _TABLE = 0x00, 0x02  # kinds of section: the programmes of the stream, the tracks of a programme
_HEADER, _CHECKSUM = 3, 4  # bytes before and at the end of what a section's length counts, or is counted by it


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


def strangers(data: bytes, pid: int) -> frozenset[int] | None:
    """The PIDs of tracks that are in other programmes than track `pid`, and not in its own as well.

    `data`: the beginning of the file. None where not all tables are in it. A track that no table names is no stranger.
    """
    tables, missing = _tables(data)
    own = [tracks for tracks in tables.values() if pid in tracks]
    if missing or not own:
        return None
    return frozenset().union(*tables.values()) - frozenset().union(*own)


def _tables(data: bytes) -> tuple[dict[int, frozenset[int]], set[int]]:
    """The tracks of each programme, by its number; and the programmes whose tables are not there."""
    tables: dict[int, frozenset[int]] = {}
    missing: set[int] = set()
    sections: dict[int, _Sections] = {0: _Sections()}
    for packet in _packets(data):
        number = int.from_bytes(packet[1:3], "big") & 0x1FFF
        if number not in sections or not packet[3] & 0x10:
            continue
        at = 5 + packet[4] if packet[3] & 0x20 else 4
        for section in sections[number].take(packet[at:], bool(packet[1] & 0x40)):
            if section[0] == _LISTING and number == 0:
                listed = _listed(section)
                missing |= listed.keys() - tables.keys()
                for table in listed.values():
                    sections.setdefault(table, _Sections())
            elif section[0] == _TABLE and len(section) > 5:
                programme = int.from_bytes(section[3:5], "big")
                tables.setdefault(programme, _tracks(section))
                missing.discard(programme)
        if tables and not missing:
            break
    return tables, missing


def _packets(data: bytes) -> Iterator[bytes]:
    """The packets of a piece of a stream, however far they are apart; what lies between them is passed over."""
    for size in _SIZES:
        for start in range(size):
            if all(data[at : at + 1] == b"\x47" for at in range(start, min(len(data), start + 5 * size), size)):
                yield from _from(data, start, size)
                return


def _from(data: bytes, at: int, size: int) -> Iterator[bytes]:
    while at + _PACKET <= len(data):
        if data[at] == _SYNC:
            yield data[at : at + _PACKET]
            at += size
        else:
            at = data.find(b"\x47", at + 1)
            if at < 0:
                return


def _listed(section: bytes) -> dict[int, int]:
    """Programmes in a listing, with the PIDs of their tables. Number 0 is the network's, no programme."""
    body = section[8:-_CHECKSUM]
    pairs = [(int.from_bytes(body[n : n + 2], "big"), body[n + 2 : n + 4]) for n in range(0, len(body) - 3, 4)]
    return {number: int.from_bytes(pid, "big") & 0x1FFF for number, pid in pairs if number}


def _tracks(section: bytes) -> frozenset[int]:
    """The PIDs in a programme's table."""
    at = 12 + (int.from_bytes(section[10:12], "big") & 0xFFF)
    found = set()
    while at + 5 <= len(section) - _CHECKSUM:
        found.add(int.from_bytes(section[at + 1 : at + 3], "big") & 0x1FFF)
        at += 5 + (int.from_bytes(section[at + 3 : at + 5], "big") & 0xFFF)
    return frozenset(found)
