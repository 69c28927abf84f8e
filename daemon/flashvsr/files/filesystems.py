"""Which file system a path lies on, and whether other machines can change it behind our back."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

MOUNTINFO = Path("/proc/self/mountinfo")

# File systems whose files can change without an inotify event on this machine, and on which SQLite's shared
# memory and locks cannot be trusted.
NETWORK_TYPES = frozenset(
    {
        "9p", "acfs", "afpfs", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "drvfs", "gfs2", "glusterfs",
        "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "prl_fs", "pvfs2", "smb3", "smbfs",
        "vboxsf", "virtiofs", "fuse.beegfs", "fuse.ceph", "fuse.cephfs", "fuse.curlftpfs", "fuse.davfs",
        "fuse.davfs2", "fuse.gcsfuse", "fuse.glusterfs", "fuse.goofys", "fuse.gvfsd-fuse", "fuse.juicefs",
        "fuse.rclone", "fuse.s3fs", "fuse.smbnetfs", "fuse.sshfs", "fuse.vmhgfs-fuse",
    }
)  # fmt: skip


def fstype_of(path: Path, mountinfo: Path = MOUNTINFO) -> str:
    """Return the type of the file system `path` lies on (or will lie on), "" if it cannot be told.

    Symbolic links are resolved. `mountinfo` has the format of /proc/self/mountinfo, see proc(5).
    """
    return MountTable(mountinfo).innermost(os.path.realpath(path))[1]


def is_read_only_here_alone(path: Path, mountinfo: Path = MOUNTINFO) -> bool:
    """Tell whether `path` is on a file system that can be written, but not at this mount: a sandbox, for example."""
    return MountTable(mountinfo).closed_here(os.path.realpath(path))


class MountTable:
    """The kernel's mounts at one moment, read once for any number of questions; false if they cannot be told."""

    def __init__(self, mountinfo: Path = MOUNTINFO) -> None:
        try:
            table = mountinfo.read_bytes()
        except OSError:
            table = b""
        self._mounts = _parsed(table)

    def __bool__(self) -> bool:
        return bool(self._mounts)

    def __contains__(self, point: object) -> bool:
        return isinstance(point, str) and os.fsencode(point) in self._mounts

    def innermost(self, real: str) -> tuple[str, str]:
        """Return mount point and type of the mount that a path without links lies on; both "" if there is none."""
        point = self._point(real)
        while above := self._same_place(point):
            point = above
        return os.fsdecode(point), self._mounts[point].kind.decode("ascii", "replace") if point else ""

    def closed_here(self, real: str) -> bool:
        """Tell whether that mount is read-only while its file system can be written."""
        point = self._point(real)
        return bool(point) and self._mounts[point].closed_here

    def _same_place(self, point: bytes) -> bytes:
        """The mount above, if this one only lays a directory of it over itself, as a sandbox does to open it."""
        above = self._point(os.fsdecode(point.rpartition(b"/")[0] or b"/")) if point not in (b"", b"/") else b""
        if not above:
            return b""
        inner, outer = self._mounts[point], self._mounts[above]
        shown = os.path.normpath(outer.root.rstrip(b"/") + b"/" + os.path.relpath(point, above))
        return above if inner.device == outer.device and inner.root == shown else b""

    def _point(self, real: str) -> bytes:
        point = os.fsencode(real)
        while point not in self._mounts:
            if point in (b"", b"/"):
                return b""
            point = point.rpartition(b"/")[0] or b"/"
        return point


@dataclass(frozen=True)
class _Mount:
    """`device` and `root`: the file system, and which directory of it is shown."""

    kind: bytes
    closed_here: bool
    device: bytes
    root: bytes


@lru_cache(maxsize=1)
def _parsed(table: bytes) -> dict[bytes, _Mount]:
    """What is mounted, by mount point. Of several mounts on one point the last one listed is the one that is seen."""
    mounts = {}
    for line in table.splitlines():
        mount, separator, source = line.partition(b" - ")
        fields = mount.split(b" ")
        if separator and len(fields) >= 5:
            kind, *rest = source.split(b" ")
            closed_here = b"ro" in _listed(fields[5:6]) and b"rw" in _listed(rest[1:])
            mounts[_unescape(fields[4])] = _Mount(kind, closed_here, fields[2], _unescape(fields[3]))
    return mounts


def _listed(options: list[bytes]) -> set[bytes]:
    return {option for text in options for option in text.split(b",")}


def is_network(fstype: str) -> bool:
    """Tell whether a file system of this type is shared with other machines (or a host machine)."""
    return fstype in NETWORK_TYPES


def _unescape(field: bytes) -> bytes:
    return re.sub(rb"\\([0-7]{3})", lambda match: bytes([int(match[1], 8) & 0xFF]), field)
