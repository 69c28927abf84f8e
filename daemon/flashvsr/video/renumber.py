"""Transport streams whose tracks get other numbers (PIDs) on the way: read as if they had kept the first ones.

A broadcaster changes its tables, or two recordings are joined by `cat`. FFmpeg would begin new tracks, which PyAV does
not see, and give the last packet of each old one at the end of the file. So the numbers are changed back while the
file is read, before FFmpeg sees them; no byte moves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from flashvsr.video.counted import Readable
from flashvsr.video.tables import NO_TRACK, PACKET, Tables, TableTrack

_SYNC = 0x47
_SPACINGS = (188, 192, 204)  # bytes; plain, with a time before each packet, with a checksum behind it
_IN_A_ROW = 4  # packets that must follow each other where a stream is found
_MARGIN = 2  # bytes around a piece of the file: a packet's number may lie half outside


@dataclass(frozen=True)
class Renumbering:
    """From byte `position` of the file on, where a packet begins, with one each `spacing` bytes.

    `numbers`: pairs of the PID in the file and the one to read instead.
    """

    position: int
    spacing: int
    numbers: tuple[tuple[int, int], ...]


class TableWatch:
    """Takes a file's bytes in order, and finds where the programme of a track is numbered anew.

    `pid`: the track's number at the beginning. `found`: what was found so far. `begun`: the numbers of tracks of
    picture and sound that begin on the way, and that none of the first goes on in.
    """

    def __init__(self, pid: int) -> None:
        self.found: list[Renumbering] = []
        self.begun: set[int] = set()
        self._pid = pid
        self._tables = Tables()
        self._first: dict[int, tuple[TableTrack, ...]] = {}  # how each programme was described first
        self._programme: int | None = None
        self._own: tuple[TableTrack, ...] = ()
        self._numbers: tuple[tuple[int, int], ...] = ()
        self._rest = b""
        self._at = 0  # where the rest begins
        self._spacing = 0  # 0: the stream is to be found

    @property
    def strangers(self) -> frozenset[int]:
        """PIDs of tracks that are in other programmes alone. A track that no table names is no stranger."""
        own = {n for n, tracks in self._first.items() if any(track.pid == self._pid for track in tracks)}
        others = {track.pid for n in self._first.keys() - own for track in self._first[n]}
        return frozenset(others - {track.pid for n in own for track in self._first[n]}) if own else frozenset()

    def see(self, position: int, data: bytes) -> None:
        """Take a piece of the file; what was seen before is passed over, and what lies behind a gap."""
        expected = self._at + len(self._rest)
        if not position <= expected < position + len(data):
            return
        self._rest += data[expected - position :]
        while self._spacing or self._find():
            if not self._follow():
                return

    def _find(self) -> bool:
        """Find where packets begin, and how far apart they are."""
        array = np.frombuffer(self._rest, np.uint8)
        for start in np.flatnonzero(array == _SYNC):
            for spacing in _SPACINGS:
                if start + _IN_A_ROW * spacing >= len(array):
                    self._skip(int(start))
                    return False
                if (array[start : start + _IN_A_ROW * spacing : spacing] == _SYNC).all():
                    self._skip(int(start))
                    self._spacing = spacing
                    self._note(self._at)
                    return True
        self._skip(len(array))
        return False

    def _skip(self, size: int) -> None:
        self._rest, self._at = self._rest[size:], self._at + size

    def _follow(self) -> bool:
        """Read the packets that follow each other; tell whether they end before the bytes do."""
        array = np.frombuffer(self._rest, np.uint8)
        count = (len(array) - PACKET) // self._spacing + 1 if len(array) >= PACKET else 0
        starts = np.arange(count) * self._spacing
        wrong = np.flatnonzero(array[starts] != _SYNC)
        lost = len(wrong) > 0
        starts = starts[: wrong[0]] if lost else starts
        self._read(array, starts)
        self._skip(len(starts) * self._spacing)
        if lost:
            self._spacing = 0
        return lost

    def _read(self, array: np.ndarray, starts: np.ndarray) -> None:
        pids, seen = _pids(array, starts), 0
        while True:
            known = set(self._tables.pids)
            for number in seen + np.flatnonzero(np.isin(pids[seen:], list(known))):
                at, seen = int(starts[number]), int(number) + 1
                if self._tables.take(self._rest[at : at + PACKET]):
                    self._compare(self._at + at)
                if self._tables.pids != known:
                    break  # some of what follows is a table, too
            else:
                return

    def _compare(self, position: int) -> None:
        """See what a change of the tables at `position` means for the programme."""
        tables = self._tables
        for number, tracks in tables.programmes.items():
            self._first.setdefault(number, tracks)
            if self._programme is None and any(track.pid == self._pid for track in tracks):
                self._programme, self._own = number, tracks
        if self._programme is None:
            return
        if self._programme not in tables.listed and len(tables.listed) == 1:
            self._programme = next(iter(tables.listed))
        numbers, others = _numbers(self._own, tables.programmes.get(self._programme, ()))
        self.begun |= {track.pid for track in others if track.is_film}
        if numbers:  # FFmpeg is to go on with the first tables
            numbers += ((0, NO_TRACK), (tables.listed[self._programme], NO_TRACK))
        if numbers != self._numbers:
            self._numbers = numbers
            self._note(position, always=True)

    def _note(self, position: int, always: bool = False) -> None:
        if self._numbers or always:
            self.found.append(Renumbering(position, self._spacing, self._numbers))


def _numbers(
    first: Sequence[TableTrack], now: Sequence[TableTrack]
) -> tuple[tuple[tuple[int, int], ...], list[TableTrack]]:
    """Which of the `first` tracks each of those of `now` goes on with, where its number is another one; and the others.

    One of the same codec: with the same number, else in the same language, else the next one of those left.
    """
    found: list[tuple[int, int]] = []
    free, waiting = list(first), list(now)
    for alike in (_same_pid, _same_language, _same_kind):
        for track in list(waiting):
            match = next((old for old in free if old.kind == track.kind and alike(old, track)), None)
            if match is not None:
                free.remove(match)
                waiting.remove(track)
                if match.pid != track.pid:
                    found.append((track.pid, match.pid))
    return tuple(found), waiting


def _same_pid(old: TableTrack, new: TableTrack) -> bool:
    return old.pid == new.pid


def _same_language(old: TableTrack, new: TableTrack) -> bool:
    return old.language == new.language


def _same_kind(_old: TableTrack, _new: TableTrack) -> bool:
    return True


def _pids(array: np.ndarray, starts: np.ndarray) -> np.ndarray:
    found: np.ndarray = (array[starts + 1] & 0x1F).astype(np.int64) << 8 | array[starts + 2]
    return found


class Watched:
    """A file that shows what is read of it to a `TableWatch`."""

    def __init__(self, file: Readable, watch: TableWatch) -> None:
        self._file = file
        self._watch = watch
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int, /) -> bytes:
        """Read up to `size` bytes."""
        position = self._file.tell()
        data = self._file.read(size)
        self._watch.see(position, data)
        return data


class Renumbered:
    """A file in which the tracks keep their numbers."""

    def __init__(self, file: Readable, renumberings: Sequence[Renumbering]) -> None:
        self._file = file
        ends = [*(r.position for r in renumberings[1:]), None]
        self._parts = [(r, end, _table(r)) for r, end in zip(renumberings, ends, strict=True)]
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int, /) -> bytes:
        """Read up to `size` bytes."""
        position = self._file.tell()
        before = min(_MARGIN, position)
        self._file.seek(position - before)
        data = bytearray(self._file.read(size + before + _MARGIN))
        end = min(position + size, position - before + len(data))
        self._file.seek(max(position, end))
        for part, until, table in self._parts:
            _renumber(data, position - before, part, until, table)
        return bytes(data[before : before + max(0, end - position)])


def renumbered(known: Sequence[Renumbering], watch: TableWatch | None = None) -> Callable[[Readable], Readable] | None:
    """How to look at a file: with `known` renumberings, and a `watch` on what really is in it. None: as it is."""
    if not known and watch is None:
        return None

    def view(file: Readable) -> Readable:
        seen: Readable = file if watch is None else Watched(file, watch)
        return Renumbered(seen, known) if known else seen

    return view


def _renumber(data: bytearray, position: int, part: Renumbering, until: int | None, table: np.ndarray) -> None:
    end = position + len(data) if until is None else min(until, position + len(data))
    skipped = max(0, -((part.position - position) // part.spacing))
    first = part.position + skipped * part.spacing - position
    starts = np.arange(first, end - position - _MARGIN, part.spacing)
    if len(starts) == 0:
        return
    array = np.frombuffer(data, np.uint8)
    starts = starts[array[starts] == _SYNC]
    meant = table[_pids(array, starts)]
    array[starts + 1] = (array[starts + 1] & 0xE0) | (meant >> 8).astype(np.uint8)
    array[starts + 2] = (meant & 0xFF).astype(np.uint8)


def _table(renumbering: Renumbering) -> np.ndarray:
    table = np.arange(0x2000)
    for found, meant in renumbering.numbers:
        table[found] = meant
    return table
