"""How errnos are sorted, what each means and what to do about it: once, for all that reads and writes files."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flashvsr.errors import NoSpace, Transient
from flashvsr.files.filesystems import is_read_only_here_alone
from flashvsr.system.text import printable

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})

# The file system, the network or the machine in the way, not the file: waiting helps, or a person does.
ENVIRONMENT = FULL | {
    errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG, errno.EIO, errno.EREMOTEIO, errno.EUCLEAN, errno.EBADMSG,
    errno.ENODEV, errno.ENXIO, errno.ENOMEDIUM, errno.ESTALE, errno.ENOTCONN, errno.ECONNRESET, errno.ECONNABORTED,
    errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENETUNREACH, errno.ETIMEDOUT, errno.ENOLCK,
    errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EBUSY,
}  # fmt: skip
# Of a file that is being written: somebody moved its directory, or the share went away.
GONE = frozenset({errno.ENOENT, errno.ENOTDIR})
DENIED = frozenset({errno.EACCES, errno.EPERM})
IN_THE_WAY = frozenset({errno.ENOTDIR, errno.EEXIST})  # of a directory that is to be made
BLOCKED = frozenset({errno.ELOOP, errno.ENOTDIR})  # something else lies where a directory was, perhaps a link
NO_FILE = frozenset({errno.EISDIR, errno.ELOOP, errno.ENXIO})  # a folder, a link, a socket
# What a disk or its file system says about one file that it has lost. Anything else stands in the way of all files.
LOST = frozenset({errno.EIO, errno.ENOENT, errno.ENODATA, errno.EBADMSG, errno.EUCLEAN, errno.ENXIO, errno.EILSEQ})

# What a file system says when it cannot do an operation at all, as opposed to failing at it.
UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTTY})
NO_TIMES = UNSUPPORTED | DENIED | {errno.EOVERFLOW, errno.ERANGE}  # when it does not take a file's time
NO_LINKS = UNSUPPORTED | DENIED | {errno.EMLINK}  # when it has no hard links
# When an open file can be given no second name. Without /proc there is none to link from, nor for a file that somebody
# removed; a second name needs some room; and file systems that are laid over others have two names only where both lie
# on one of these.
NO_SECOND_NAME = NO_LINKS | FULL | {errno.ENOENT, errno.EXDEV}

LINK_IN_THE_WAY = "a symbolic link is in the way, and none is followed there"

_READING = frozenset({"read", "open", "look for"})
_SHARE_SILENT = "the share does not answer; check its server and the network"
_SHARE_AWAY = "the share was remounted or its server restarted; mount it again"
_SICK = "the disk or the connection to the share fails; check its health"
_NO_DEVICE = "the disk is not there any more; connect and mount it again"
_BUSY = "this machine has no more of what that takes; end some other program"

_ADVICE = {
    errno.ENOSPC: "free some space there",
    errno.EDQUOT: "the quota is used up; free some space there or raise it",
    errno.EROFS: "it is mounted read-only; mount it writable",
    errno.EFBIG: "the file system there takes no file that large (FAT: 4 GB); use another one, or cut the video",
    errno.EIO: _SICK,
    errno.EREMOTEIO: _SICK,
    errno.EUCLEAN: "the file system is damaged; let fsck repair it",
    errno.EBADMSG: "the file system is damaged; let fsck repair it",
    errno.ENODEV: _NO_DEVICE,
    errno.ENXIO: _NO_DEVICE,
    errno.ENOMEDIUM: _NO_DEVICE,
    errno.ESTALE: _SHARE_AWAY,
    errno.ENOTCONN: "the share is not connected; mount it again",
    errno.ECONNRESET: _SHARE_SILENT,
    errno.ECONNABORTED: _SHARE_SILENT,
    errno.EHOSTDOWN: _SHARE_SILENT,
    errno.EHOSTUNREACH: _SHARE_SILENT,
    errno.ENETDOWN: _SHARE_SILENT,
    errno.ENETUNREACH: _SHARE_SILENT,
    errno.ETIMEDOUT: _SHARE_SILENT,
    errno.ENOLCK: "the share's server gives no locks; check it",
    errno.ENOMEM: _BUSY,
    errno.EMFILE: _BUSY,
    errno.ENFILE: _BUSY,
    errno.EBUSY: "somebody else changes files there; see who does, and let them stop",
    errno.ELOOP: "put a real directory there; results for another place need an [[inbox]] with its own outbox",
    errno.ENOENT: "the directory or file is gone; is the share still mounted?",
    errno.ENOTDIR: "a file is in the way of a directory; move it away",
    errno.EEXIST: "something is in the way; move it away",
    errno.EAGAIN: "another program keeps it closed just now; it is looked at again",
    errno.ENAMETOOLONG: "the path is too long; shorten the names of its directories",
}


def failure(doing: str, path: Path, error: OSError) -> Transient:
    """Say what was being done, where, what the system answered and what a person can do; NoSpace where it is full.

    `doing` is a verb: "read", "write".
    """
    kind = NoSpace if error.errno in FULL else Transient
    return kind(f"cannot {doing} {printable(path)}: {reason(doing, path, error)}")


@contextmanager
def explained(doing: str, path: Path) -> Iterator[None]:
    """Turn an OSError into a Transient (NoSpace where it is full) that says what a person can do; see `failure`."""
    try:
        yield
    except OSError as error:
        raise failure(doing, path, error) from error


def out_of_reach(error: OSError) -> str:
    """Say to whoever called a command that something cannot be looked at, and what to do."""
    place = f" {printable(error.filename)}" if error.filename else ""
    remedy = "; run this as root, or as the service's account" if error.errno in DENIED else ""
    return f"cannot look at{place}: {error.strerror or error}{remedy}"


def in_the_way(directory: Path) -> str:
    """What lies where a directory or one above it has to be, and what to do, to go on with ", or"; empty if nothing."""
    place = next((place for place in (directory, *directory.parents) if os.path.lexists(place)), None)
    if place is None or place.is_dir():
        return ""
    if place.is_symlink():  # to a share that is away, perhaps
        return f"{printable(place)} is a link that leads to no directory; mount what it leads to, remove it"
    return f"{printable(place)} is no directory but a file; move it away"


def reason(doing: str, path: Path, error: OSError) -> str:
    """What the system answered and what a person can do, without a full stop."""
    answer = LINK_IN_THE_WAY if error.errno == errno.ELOOP else error.strerror or error
    return f"{answer}; {advice(doing, path, error)}"


def advice(doing: str, path: Path, error: OSError) -> str:
    """What a person can do about it, without a full stop."""
    if error.errno in DENIED:
        return f"let the user that runs flashvsr {'read it' if doing in _READING else 'write there'}"
    if error.errno == errno.ELOOP and doing in _READING:
        return "put the file itself there"
    if error.errno == errno.EROFS and _closed_by_unit(path):
        return _opened_by_unit(path)
    if error.errno == errno.ENOSPC and _takes_no_more_files(path):
        return "there is space, but no more files can be made there; remove some"
    return _ADVICE.get(error.errno or 0, "check the file system")


def _takes_no_more_files(path: Path) -> bool:
    """Whether the file system has used up its inodes."""
    try:
        found = os.statvfs(next(place for place in (path, *path.parents) if place.is_dir()))
    except OSError:
        return False
    return found.f_files > 0 and found.f_favail == 0


def _opened_by_unit(path: Path) -> str:
    """How the systemd unit, whose sandbox makes everything else read-only, comes to let the service write there."""
    existing = next(place for place in (path, *path.parents) if place.is_dir())
    return (  # short: the status line has to show the line to add
        f"the systemd unit keeps it closed: add ReadWritePaths={_for_unit(existing)} below [Service] "
        "(systemctl edit flashvsr; systemctl restart flashvsr)"
    )


def _closed_by_unit(path: Path) -> bool:
    return "INVOCATION_ID" in os.environ and is_read_only_here_alone(path)  # systemd sets it for all it starts


def _for_unit(path: Path) -> str:
    """A path as systemd reads it: quoted where it has spaces, with its percent signs doubled."""
    text = printable(path).replace("%", "%%")
    return f'"{text}"' if any(map(str.isspace, text)) else text
