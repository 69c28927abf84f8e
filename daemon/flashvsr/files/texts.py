"""Reads and writes the small text files that people edit on shares where anything may happen."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from flashvsr.errors import BadConfig
from flashvsr.files import at
from flashvsr.files.advice import reason
from flashvsr.files.made import Made
from flashvsr.files.names import OUR_PREFIX
from flashvsr.files.trees import OWN, Trees

LARGEST = 1 << 20  # bytes; what people write by hand is a few KiB, anything this large was put there by mistake
_UTF16 = (b"\xff\xfe", b"\xfe\xff")  # its byte order marks
OWN_MODE = 0o644  # of the service's own files: not even the group of a share writes to them


def read_text(trees: Trees, path: Path, largest: int = LARGEST, *, follow_symlinks: bool = True) -> str:
    """Read a UTF-8 text file of at most `largest` bytes, with or without a byte order mark.

    FileNotFoundError passes through; everything else that is wrong raises BadConfig with the file's name.
    A pipe or device is refused instead of waited for. `follow_symlinks`: whether the name itself may be a link, where
    `trees` has no say in it.
    """
    try:
        with at.closing(trees.open_file(path, os.O_RDONLY | (0 if follow_symlinks else os.O_NOFOLLOW))) as descriptor:
            data = read_up_to(descriptor, largest + 1)
    except FileNotFoundError:
        raise
    except at.NotRegular as error:
        raise BadConfig(f"{path}: not a regular file; replace it by a text file") from error
    except OSError as error:
        raise BadConfig(f"{path}: cannot be read: {reason('read', path, error)}") from error
    if len(data) > largest:
        raise BadConfig(f"{path}: larger than {largest >> 10} KiB, so this is the wrong file; replace it")
    if data.startswith(_UTF16):
        raise BadConfig(f"{path}: written as UTF-16; save the file with UTF-8 encoding")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadConfig(
            f"{path}:{line}: byte 0x{data[error.start]:02x} is not UTF-8; save the file with UTF-8 encoding"
        ) from error


def write_new(trees: Trees, path: Path, text: str) -> bool:
    """Write a file that does not exist yet; return False, changing nothing, if there is one. Raises OSError.

    The file appears whole.
    """
    with trees.directory(path.parent) as directory, hidden_text(path.parent, directory, encoded(text)) as made:
        try:
            made.give_name(directory, path.name)
        except FileExistsError:
            return False
    return True


def write_replacing(path: Path, text: str) -> None:
    """Write a file of the service's own, replacing an older one in one step; durable when it returns.

    Raises OSError, and leaves no temporary file behind then.
    """
    write_replacing_bytes(path, encoded(text))


def write_replacing_bytes(path: Path, data: bytes) -> None:
    """Do the same with bytes."""
    with OWN.directory(path.parent) as directory, hidden_text(path.parent, directory, data, OWN_MODE) as made:
        made.replace(path.name)


def hidden_text(place: Path, directory: int, data: bytes, mode: int = 0o666) -> Made:
    """Make a hidden file with this content in the opened directory `place`, on the disk when it returns."""
    made = Made(place / hidden_text_name(), directory, mode)
    try:
        made.write(data)
        made.sync()
    except OSError as error:
        made.__exit__(type(error), error, None)
        raise
    return made


def hidden_text_name() -> str:
    """A fresh name for a text that is not in its place.

    Hidden and ending in .tmp: neither people nor the watcher take it for a finished file. Not the text's own name and
    more: that may be as long as names get.
    """
    return f"{OUR_PREFIX}{os.getpid()}-{secrets.token_hex(4)}.tmp"


def encoded(text: str) -> bytes:
    """Return the bytes of a text; those of names that are no UTF-8 become escapes."""
    return text.encode("utf-8", "backslashreplace")


def read_up_to(descriptor: int, limit: int) -> bytes:
    """Read an open file up to so many bytes."""
    parts: list[bytes] = []
    while limit > 0 and (part := os.read(descriptor, limit)):
        parts.append(part)
        limit -= len(part)
    return b"".join(parts)
