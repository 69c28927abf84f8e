"""Whether a file is still as it was written: disks lose and turn bits, and tell of it late or never."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path

from flashvsr.video.counted import Progress, nothing

DIGITS = 32  # of a digest, as hexadecimal text
# What a disk or its file system says about one file that it has lost. Anything else stands in the way of all files.
LOST = frozenset({errno.EIO, errno.ENOENT, errno.ENODATA, errno.EBADMSG, errno.EUCLEAN, errno.ENXIO, errno.EILSEQ})

_READ_BLOCK = 1 << 20


def digest_of(path: Path, salt: str, progress: Progress = nothing) -> str:
    """A digest of a file's content and of `salt`; `progress` is called as it is read. Raises OSError."""
    made = hashlib.blake2b(salt.encode() + b"\0", digest_size=DIGITS // 2)
    with path.open("rb", buffering=0) as file:
        while block := file.read(_READ_BLOCK):
            made.update(block)
            progress()
    return made.hexdigest()
