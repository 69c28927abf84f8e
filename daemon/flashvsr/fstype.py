"""Which file system a path lies on, and whether other machines can change it behind our back."""

from __future__ import annotations

import os
import re
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


class MountTable:
    """The kernel's mounts at one moment, read once for any number of questions; false if they cannot be told."""

    def __init__(self, mountinfo: Path = MOUNTINFO) -> None:
        try:
            table = mountinfo.read_bytes()
        except OSError:
            table = b""
        self._types = _parsed(table)

    def __bool__(self) -> bool:
        return bool(self._types)

    def __contains__(self, point: object) -> bool:
        return isinstance(point, str) and os.fsencode(point) in self._types

    def innermost(self, real: str) -> tuple[str, str]:
        """Return mount point and type of the mount that a path without links lies on; both "" if there is none."""
        point = os.fsencode(real)
        while point not in self._types:
            if point in (b"", b"/"):
                return "", ""
            point = point.rpartition(b"/")[0] or b"/"
        return os.fsdecode(point), self._types[point].decode("ascii", "replace")


@lru_cache(maxsize=1)
def _parsed(table: bytes) -> dict[bytes, bytes]:
    """Types by mount point. Of several mounts on one point the last one listed is the one that is seen."""
    types = {}
    for line in table.splitlines():
        mount, separator, source = line.partition(b" - ")
        fields = mount.split(b" ")
        if separator and len(fields) >= 5:
            types[_unescape(fields[4])] = source.split(b" ")[0]
    return types


def is_network(fstype: str) -> bool:
    """Tell whether a file system of this type is shared with other machines (or a host machine)."""
    return fstype in NETWORK_TYPES


def _unescape(field: bytes) -> bytes:
    return re.sub(rb"\\([0-7]{3})", lambda match: bytes([int(match[1], 8) & 0xFF]), field)
