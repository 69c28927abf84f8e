"""One correction of the MP4 files that FFmpeg writes: what they say of 3D twice, and the second time wrongly.

Beside the mark that players know (`st3d`) FFmpeg writes Apple's (`vexu`), without the part that tells how the two
pictures lie in one; its own reader then knows neither.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

_PATH = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")
_PICTURES = frozenset({b"avc1", b"hvc1", b"av01"})
_HEADER, _LONG_HEADER, _LIST_HEADER, _PICTURE_HEADER = 8, 16, 8, 78  # bytes
_WRONG, _NOTHING = b"vexu", b"free"


def drop_second_mark(file: BinaryIO, size: int) -> None:
    """Make Apple's marks of 3D into free space. `file`: one that FFmpeg wrote, open for reading and writing."""
    for start, end in _inside(file, 0, size, _PATH):
        for name, begin, stop in _boxes(file, start + _LIST_HEADER, end):
            if name in _PICTURES:
                for inner, at, _ in list(_boxes(file, begin + _PICTURE_HEADER, stop)):
                    if inner == _WRONG:
                        file.seek(at - len(_WRONG))
                        file.write(_NOTHING)


def _inside(file: BinaryIO, start: int, end: int, path: tuple[bytes, ...]) -> Iterator[tuple[int, int]]:
    """Where the contents of the boxes at `path` begin and end."""
    for name, begin, stop in _boxes(file, start, end):
        if name == path[0]:
            if len(path) == 1:
                yield begin, stop
            else:
                yield from _inside(file, begin, stop, path[1:])


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    while start + _HEADER <= end:
        file.seek(start)
        size, name = struct.unpack(">I4s", file.read(_HEADER))
        begin = start + _HEADER
        if size == 1:
            size, begin = struct.unpack(">Q", file.read(_LONG_HEADER - _HEADER))[0], start + _LONG_HEADER
        stop = start + size if size else end
        yield name, begin, stop
        start = stop
