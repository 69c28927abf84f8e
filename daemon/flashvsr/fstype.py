"""Which file system a path lies on, and whether other machines can change it behind our back."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
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
    return _mount_of(path, mountinfo).kind.decode("ascii", "replace")


def mount_point_of(path: Path, mountinfo: Path = MOUNTINFO) -> str | None:
    """Return the directory at which the file system of `path` is mounted, None if it cannot be told."""
    return os.fsdecode(_mount_of(path, mountinfo).point) or None


def is_read_only_here_alone(path: Path, mountinfo: Path = MOUNTINFO) -> bool:
    """Tell whether `path` is on a file system that can be written, but not at this mount: a sandbox, for example."""
    mount = _mount_of(path, mountinfo)
    return b"ro" in mount.options and b"rw" in mount.file_system_options


@dataclass(frozen=True)
class _Mount:
    """A line of the mount table; all empty if it cannot be told."""

    point: bytes = b""
    kind: bytes = b""
    options: frozenset[bytes] = frozenset()
    file_system_options: frozenset[bytes] = frozenset()


def _mount_of(path: Path, mountinfo: Path) -> _Mount:
    """The innermost mount."""
    try:
        table = mountinfo.read_bytes()
    except OSError:
        return _Mount()
    wanted = os.fsencode(os.path.realpath(path))
    best = _Mount()
    for line in table.splitlines():
        mount, separator, source = line.partition(b" - ")
        fields = mount.split(b" ")
        if not separator or len(fields) < 5:
            continue
        point = _unescape(fields[4])
        inside = wanted == point or wanted.startswith(point.rstrip(b"/") + b"/")
        # `>=`: of several mounts on one point the last one listed is the one that is seen.
        if inside and len(point) >= len(best.point):
            kind, *rest = source.split(b" ")
            best = _Mount(point, kind, _listed(fields[5:6]), _listed(rest[1:]))
    return best


def _listed(options: list[bytes]) -> frozenset[bytes]:
    return frozenset(option for text in options for option in text.split(b","))


def is_network(fstype: str) -> bool:
    """Tell whether a file system of this type is shared with other machines (or a host machine)."""
    return fstype in NETWORK_TYPES


def _unescape(field: bytes) -> bytes:
    return re.sub(rb"\\([0-7]{3})", lambda match: bytes([int(match[1], 8) & 0xFF]), field)
