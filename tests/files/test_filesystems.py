from __future__ import annotations

import os
from pathlib import Path

import pytest

from flashvsr.files.filesystems import MountTable, fstype_of, is_network, is_read_only_here_alone


@pytest.fixture
def mountinfo(tmp_path: Path) -> Path:
    path = tmp_path / "mountinfo"
    path.write_text(
        "20 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        "21 20 0:30 / /mnt/nas rw - nfs4 nas:/x rw\n"
        r"22 20 0:31 / /mnt/my\040share rw shared:2 master:3 - cifs //nas/y rw" + "\n"
        "23 20 0:32 / /mnt/auto rw - autofs systemd-1 rw\n"
        "24 23 0:33 / /mnt/auto rw - nfs nas:/z rw\n"
        "nonsense\n"
    )
    return path


@pytest.mark.parametrize(
    ("path", "kind", "network"),
    [
        ("/var/lib/flashvsr", "ext4", False),
        ("/mnt/nas", "nfs4", True),
        ("/mnt/nas/inbox/new", "nfs4", True),
        ("/mnt/nasty", "ext4", False),
        ("/mnt/my share/a", "cifs", True),
        ("/mnt/auto/x", "nfs", True),  # the later mount on the same point is the one that is seen
    ],
)
def test_the_innermost_mount_counts(mountinfo: Path, path: str, kind: str, network: bool) -> None:
    assert fstype_of(Path(path), mountinfo) == kind
    assert is_network(kind) is network


def test_links_are_resolved(mountinfo: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/mnt/nas")
    assert fstype_of(tmp_path / "link" / "inbox", mountinfo) == "nfs4"


def test_this_machine() -> None:
    assert fstype_of(Path("/proc/self")) == "proc"
    assert fstype_of(Path(os.sep)) not in ("", "proc")


def test_without_proc(tmp_path: Path) -> None:
    assert fstype_of(tmp_path, tmp_path / "none") == ""


def test_a_mount_that_is_read_only_on_a_file_system_that_is_not(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    lines = [
        "1 0 8:1 / / ro,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro",
        "2 1 8:2 / /usb ro - vfat /dev/sdb1 ro",
        "3 1 8:3 / /srv rw - ext4 /dev/sdc1 rw",
        "4 1 8:4 / /odd ro - tmpfs",
    ]
    table.write_text("\n".join(lines) + "\n")
    found = {path: is_read_only_here_alone(Path(path), table) for path in ("/media", "/usb/x", "/srv/x", "/odd")}
    assert found == {"/media": True, "/usb/x": False, "/srv/x": False, "/odd": False}
    assert not is_read_only_here_alone(Path("/media"), tmp_path / "none")


def test_a_directory_laid_over_itself_is_no_mount_of_its_own(tmp_path: Path) -> None:
    """As systemd opens a directory for a sandbox; with another setting it is gone, and the files are as they were."""
    table = tmp_path / "mountinfo"
    table.write_text(
        "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "2 1 8:1 /mnt/nas/out /mnt/nas/out rw - ext4 /dev/sda1 rw\n"
        "3 1 8:1 /other /mnt/elsewhere rw - ext4 /dev/sda1 rw\n"
        "4 1 8:2 / /mnt/disk rw - ext4 /dev/sdb1 rw\n"
        "5 4 8:2 /a /mnt/disk/a rw - ext4 /dev/sdb1 rw\n"
    )
    found = MountTable(table)
    places = {place: found.innermost(place)[0] for place in ("/mnt/nas/out/x", "/mnt/elsewhere/x", "/mnt/disk/a/b")}
    assert places == {"/mnt/nas/out/x": "/", "/mnt/elsewhere/x": "/mnt/elsewhere", "/mnt/disk/a/b": "/mnt/disk"}
