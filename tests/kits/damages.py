"""What disks do to files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

Damage = Callable[[Path], object]


def flip(path: Path) -> None:
    """One bit, in the middle."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def zero_the_end(path: Path) -> None:
    """Where the index of the file is."""
    data = path.read_bytes()
    path.write_bytes(data[:-64] + bytes(64))


def forge(path: Path) -> None:
    """Another chunk's content under its name."""
    other = next(p for p in path.parent.glob("chunk-*.nut") if p != path)
    path.write_bytes(other.read_bytes())


DAMAGES: dict[str, Damage] = {
    "flipped": flip,
    "index": zero_the_end,
    "forged": forge,
    "cut": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "empty": lambda path: path.write_bytes(b""),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "gone": Path.unlink,
}
