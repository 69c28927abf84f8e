"""An outbox that cannot be written is found before the work, with what a person can do; one that can stays as it is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flashvsr.errors import NoSpace
from flashvsr.files.trees import Trees
from flashvsr.outbox.writable import FRESH_SECONDS, OutboxClosed, WritableOutboxes, check_writable
from kits.mounts import MakeMount

NOBODY = 65534
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def trees(outbox: Path) -> Trees:
    """Those of a service that has this one."""
    return Trees((outbox,))


def test_nothing_stays_of_the_trial_and_nothing_is_made(tmp_path: Path) -> None:
    outbox = tmp_path / "outbox"
    check_writable(trees(outbox), outbox / "clips" / "season", outbox)
    assert list(tmp_path.iterdir()) == []
    outbox.mkdir()
    check_writable(trees(outbox), outbox / "clips" / "season", outbox)
    assert list(outbox.iterdir()) == []


@root_only
def test_rights(open_path: Path) -> None:
    outbox = open_path / "outbox"
    (outbox / "clips").mkdir(parents=True)
    outbox.chmod(0o777)
    os.seteuid(NOBODY)
    try:
        check_writable(trees(outbox), outbox / "other", outbox)
        with pytest.raises(OutboxClosed) as caught:
            check_writable(trees(outbox), outbox / "clips" / "season", outbox)
    finally:
        os.seteuid(0)
    assert not list(outbox.rglob(".*"))
    words = f"cannot write to {outbox}/clips: Permission denied; let the user that runs flashvsr write there"
    assert str(caught.value) == words


@root_only
def test_a_directory_on_the_way_that_may_not_be_entered(open_path: Path) -> None:
    """Nothing is known about the outbox then, and nothing is tried above of it."""
    outbox = open_path / "outbox"
    (outbox / "locked" / "clips").mkdir(parents=True)
    open_path.chmod(0o777)
    outbox.chmod(0o700)
    touched = open_path.stat().st_mtime_ns
    os.seteuid(NOBODY)
    try:
        with pytest.raises(OutboxClosed, match="Permission denied"):
            check_writable(trees(outbox), outbox / "locked" / "clips", outbox)
    finally:
        os.seteuid(0)
    assert open_path.stat().st_mtime_ns == touched


def test_a_link_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "outbox").mkdir()
    (tmp_path / "private").mkdir()
    (tmp_path / "outbox" / "clips").symlink_to(tmp_path / "private")
    with pytest.raises(OutboxClosed, match=r"symbolic link is in the way.*put a real directory there"):
        check_writable(trees(tmp_path / "outbox"), tmp_path / "outbox" / "clips", tmp_path / "outbox")
    assert list((tmp_path / "private").iterdir()) == []


def test_the_sandbox_is_told_from_a_read_only_share(
    tmp_path: Path, mount: MakeMount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What systemd makes read-only for a service is a mount like any other, on a file system that can be written."""
    outbox = tmp_path / "my out%box"
    share = mount(outbox)
    share.read_only(True)
    monkeypatch.delenv("INVOCATION_ID", raising=False)
    with pytest.raises(OutboxClosed, match=r"Read-only file system; it is mounted read-only; mount it writable$"):
        check_writable(trees(outbox), outbox / "clips", outbox)
    monkeypatch.setenv("INVOCATION_ID", "of systemd")
    with pytest.raises(OutboxClosed) as caught:
        check_writable(trees(outbox), outbox / "clips", outbox)
    assert f'add ReadWritePaths="{tmp_path}/my out%%box" below [Service] (systemctl edit flashvsr;' in str(caught.value)
    share.read_only(False)
    check_writable(trees(outbox), outbox / "clips", outbox)


def test_the_sandbox_is_opened_for_the_whole_outbox(
    tmp_path: Path, mount: MakeMount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not for a folder in it that is there already: the next job's may be another."""
    outbox = tmp_path / "outbox"
    share = mount(outbox)
    (outbox / "clips" / "season").mkdir(parents=True)
    share.read_only(True)
    monkeypatch.setenv("INVOCATION_ID", "of systemd")
    with pytest.raises(OutboxClosed) as caught:
        check_writable(trees(outbox), outbox / "clips" / "season", outbox)
    assert f"add ReadWritePaths={outbox} below [Service]" in str(caught.value)


def test_a_file_system_that_is_read_only_itself_is_not_put_down_to_the_unit(
    tmp_path: Path, mount: MakeMount, monkeypatch: pytest.MonkeyPatch
) -> None:
    share = mount(tmp_path / "outbox")
    share.read_only_for_all()
    monkeypatch.setenv("INVOCATION_ID", "of systemd")
    with pytest.raises(OutboxClosed, match="it is mounted read-only; mount it writable"):
        check_writable(trees(tmp_path / "outbox"), tmp_path / "outbox", tmp_path / "outbox")


def test_a_full_one_is_another_matter(tmp_path: Path, mount: MakeMount) -> None:
    mount(tmp_path / "outbox").leave_files(0)
    with pytest.raises(NoSpace, match="no more files can be made there; remove some"):
        check_writable(trees(tmp_path / "outbox"), tmp_path / "outbox", tmp_path / "outbox")


def test_one_that_can_be_written_is_asked_once_a_minute(tmp_path: Path) -> None:
    now = 0.0
    outboxes = WritableOutboxes(lambda: now)
    outboxes.check(trees(tmp_path), tmp_path, tmp_path)
    touched = tmp_path.stat().st_mtime_ns
    now = FRESH_SECONDS - 1
    outboxes.check(trees(tmp_path), tmp_path, tmp_path)
    assert tmp_path.stat().st_mtime_ns == touched
    now = FRESH_SECONDS + 1
    outboxes.check(trees(tmp_path), tmp_path, tmp_path)
    assert tmp_path.stat().st_mtime_ns > touched


def test_each_folder_is_asked_for_itself(tmp_path: Path) -> None:
    """One that can be written says nothing about those beside it."""
    (tmp_path / "clips").mkdir()
    (tmp_path / "films").write_text("no directory")
    outboxes = WritableOutboxes(lambda: 0.0)
    outboxes.check(trees(tmp_path), tmp_path / "clips", tmp_path)
    with pytest.raises(OutboxClosed):
        outboxes.check(trees(tmp_path), tmp_path / "films", tmp_path)


def test_one_that_cannot_be_written_is_asked_each_time(tmp_path: Path) -> None:
    (tmp_path / "outbox").mkdir()
    (tmp_path / "outbox" / "clips").write_text("no directory")
    outboxes = WritableOutboxes(lambda: 0.0)
    for _ in range(2):
        with pytest.raises(OutboxClosed):
            outboxes.check(trees(tmp_path / "outbox"), tmp_path / "outbox" / "clips", tmp_path / "outbox")
