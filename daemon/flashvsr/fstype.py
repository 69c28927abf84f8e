"""Which file system a path lies on, and whether other machines can change it behind our back."""

from __future__ import annotations

import functools
import os
import re
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
    return _mount_of(os.path.realpath(path), mountinfo)[1].decode("ascii", "replace")


def mount_point_of(real: str, mountinfo: Path = MOUNTINFO) -> str | None:
    """Return the directory at which the file system of a path without links is mounted, None if it cannot be told."""
    return os.fsdecode(_mount_of(real, mountinfo)[0]) or None


def mount_points(mountinfo: Path = MOUNTINFO) -> frozenset[str]:
    """Return the directories at which anything is mounted; none if it cannot be told."""
    return frozenset(os.fsdecode(point) for point, _ in _mounts(mountinfo))


def _mount_of(real: str, mountinfo: Path) -> tuple[bytes, bytes]:
    """Mount point and type of the innermost mount, both empty if they cannot be told."""
    wanted = os.fsencode(real)
    best, kind = b"", b""
    for point, fstype in _mounts(mountinfo):
        inside = wanted == point or wanted.startswith(point.rstrip(b"/") + b"/")
        # `>=`: of several mounts on one point the last one listed is the one that is seen.
        if inside and len(point) >= len(best):
            best, kind = point, fstype
    return best, kind


def _mounts(mountinfo: Path) -> tuple[tuple[bytes, bytes], ...]:
    try:
        return _parsed(mountinfo.read_bytes())
    except OSError:
        return ()


@functools.lru_cache(maxsize=1)
def _parsed(table: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """Mount points and types. Asked for each inbox at each scan, and the table hardly ever changes."""
    found = []
    for line in table.splitlines():
        mount, separator, source = line.partition(b" - ")
        fields = mount.split(b" ")
        if separator and len(fields) >= 5:
            found.append((_unescape(fields[4]), source.split(b" ")[0]))
    return tuple(found)


def is_network(fstype: str) -> bool:
    """Tell whether a file system of this type is shared with other machines (or a host machine)."""
    return fstype in NETWORK_TYPES


def _unescape(field: bytes) -> bytes:
    return re.sub(rb"\\([0-7]{3})", lambda match: bytes([int(match[1], 8) & 0xFF]), field)
