"""Reads and writes the small text files that people edit on shares where anything may happen."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from pathlib import Path

from flashvsr.errors import BadConfig
from flashvsr.files import trees

LARGEST = 1 << 20  # bytes; what people write by hand is a few KiB, anything this large was put there by mistake
_UTF16 = (b"\xff\xfe", b"\xfe\xff")  # its byte order marks


def read_text(path: Path, largest: int = LARGEST, *, follow_symlinks: bool = True) -> str:
    """Read a UTF-8 text file of at most `largest` bytes, with or without a byte order mark.

    FileNotFoundError passes through; everything else that is wrong raises BadConfig with the file's name.
    A pipe or device is refused instead of waited for.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow_symlinks else os.O_NOFOLLOW)
    try:
        descriptor = trees.open_file(path, flags)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise BadConfig(f"{path}: not a regular file; replace it by a text file")
            data = _read_up_to(descriptor, largest + 1)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise BadConfig(f"{path}: cannot be read: {_advice(error)}") from error
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


def write_new(path: Path, text: str) -> bool:
    """Write a file that does not exist yet; return False, changing nothing, if there is one. Raises OSError.

    The file appears whole, by a hard link. File systems without hard links get an exclusive create instead.
    """
    temporary = _write_beside(path, text)
    try:
        with trees.directory(path.parent) as directory:
            os.link(temporary.name, path.name, src_dir_fd=directory, dst_dir_fd=directory)
    except FileExistsError:
        return False
    except OSError:
        return _create(path, text)
    finally:
        trees.unlink(temporary)
    return True


def write_replacing(path: Path, text: str) -> None:
    """Write a file, replacing an older one in one step; durable when it returns.

    Raises OSError, and leaves no temporary file behind then.
    """
    temporary = _write_beside(path, text)
    try:
        with trees.directory(path.parent) as directory:
            os.replace(temporary.name, path.name, src_dir_fd=directory, dst_dir_fd=directory)
            trees.sync_directory(directory)
    except OSError:
        trees.unlink(temporary)
        raise


def _write_beside(path: Path, text: str) -> Path:
    # Hidden and ending in .tmp: neither people nor the watcher take it for a finished file.
    # Not the name itself and more: it may be as long as names get.
    temporary = path.with_name(f".flashvsr-{os.getpid()}-{secrets.token_hex(4)}.tmp")
    if not _create(temporary, text):
        raise FileExistsError(errno.EEXIST, "somebody else uses this temporary name", str(temporary))
    return temporary


def _create(path: Path, text: str) -> bool:
    """Create a file with the permissions the umask leaves; False if the name is taken."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        descriptor = trees.open_file(path, flags)
    except FileExistsError:
        return False
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode("utf-8", "backslashreplace"))
            file.flush()
            os.fsync(descriptor)
    except OSError:
        trees.unlink(path)
        raise
    return True


def _read_up_to(descriptor: int, limit: int) -> bytes:
    parts: list[bytes] = []
    while limit > 0 and (part := os.read(descriptor, limit)):
        parts.append(part)
        limit -= len(part)
    return b"".join(parts)


def _advice(error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "it is a symbolic link, which is not followed here; put the file itself there"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "permission denied; make it readable for the user that runs flashvsr"
    if error.errno in (errno.ESTALE, errno.EIO, errno.ENOTCONN, errno.EHOSTDOWN):
        return f"{error.strerror}; is the share mounted and reachable?"
    return error.strerror or str(error)
