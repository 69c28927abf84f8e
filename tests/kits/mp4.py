"""MP4 files as other programs write them: boxes that no muxer of FFmpeg's makes, put in by hand."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from pathlib import Path

_HOLD_BOXES = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"udta"})

Edit = tuple[float, float | None]  # seconds, and where in the track they begin; None: nothing is shown


def edit_lists(path: Path, edits: Sequence[Sequence[Edit] | None]) -> Path:
    """Give each track of a file its edit list; None leaves the one that is there. The index has to be at the end."""
    data = path.read_bytes()
    movie_scale = struct.unpack(">I", _first(data, b"mvhd")[12:16])[0]
    numbers = iter(edits)

    def track(content: bytes) -> bytes:
        wanted = next(numbers, None)
        if wanted is None:
            return content
        scale = struct.unpack(">I", _first(content, b"mdhd")[12:16])[0]
        entries = b"".join(
            struct.pack(">IiI", round(length * movie_scale), -1 if at is None else round(at * scale), 1 << 16)
            for length, at in wanted
        )
        listed = box(b"edts", box(b"elst", struct.pack(">II", 0, len(wanted)) + entries))
        rest = _changed(content, b"edts", lambda _: None)
        head = box(b"tkhd", _first(rest, b"tkhd"))
        return head + listed + rest[len(head) :]

    path.write_bytes(_changed(data, b"trak", track))
    return path


def box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + name + content


def _changed(data: bytes, wanted: bytes, change: Callable[[bytes], bytes | None]) -> bytes:
    """The same boxes, with another content (None: none at all) for all of one name."""
    made = []
    for name, content in _boxes(data):
        fresh = (
            change(content) if name == wanted else _changed(content, wanted, change) if name in _HOLD_BOXES else content
        )
        made.append(b"" if fresh is None else box(name, fresh))
    return b"".join(made)


def _first(data: bytes, wanted: bytes) -> bytes:
    found: list[bytes] = []

    def kept(content: bytes) -> bytes:
        found.append(content)
        return content

    _changed(data, wanted, kept)
    return found[0]


def _boxes(data: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 0
    while at < len(data):
        size, name = struct.unpack(">I4s", data[at : at + 8])
        found.append((name, data[at + 8 : at + size]))
        at += size
    return found


def set_in_picture(path: Path, more: bytes) -> None:
    """Add boxes to the description of a file's first picture. The index has to be at the end."""

    def described(content: bytes) -> bytes:
        (name, entry), *rest = _boxes(content[8:])
        return content[:8] + box(name, entry + more) + b"".join(box(*other) for other in rest)

    done: list[bytes] = []

    def first(content: bytes) -> bytes:
        if done or b"vide" not in _first_handler(content):
            return content
        done.append(content)
        return _changed(content, b"stsd", described)

    path.write_bytes(_changed(path.read_bytes(), b"trak", first))


def _first_handler(track: bytes) -> bytes:
    return _first(track, b"hdlr")[8:12]
