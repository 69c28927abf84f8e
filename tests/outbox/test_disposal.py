"""The source after its result is recorded: touched only if it is still the file that was processed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from flashvsr.errors import BadInput, Transient
from flashvsr.files import moves
from flashvsr.files.at import Identity
from flashvsr.files.trees import NO_LINKS
from flashvsr.outbox import disposal as module
from flashvsr.outbox.disposal import settle_source

CONTENT = b"the source" * 1000


def source_in(root: Path) -> Path:
    path = root / "inbox" / "season 1" / "a\nb.mov"
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    os.utime(path, (900_000_000, 900_000_000))
    path.chmod(0o640)
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return source_in(tmp_path)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "state" / "archive" / "default"


def identity(path: Path) -> Identity:
    stat = path.lstat()
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


def settle(source: Path, archive: Path, action: str, known: Identity | None = None) -> Path | None:
    return settle_source(NO_LINKS, source, known or identity(source), action, archive, f"season 1/{source.name}")


def files_in(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if not path.is_dir())


def test_archive_on_the_same_file_system(source: Path, archive: Path) -> None:
    before = identity(source)
    archived = settle(source, archive, "archive")
    assert archived == archive / "season 1" / "a\nb.mov"
    assert identity(archived) == before
    assert not source.exists()


def test_archive_on_another_file_system(source: Path, archive: Path, small_disk: Path) -> None:
    archived = settle(source, small_disk, "archive")
    assert archived == small_disk / "season 1" / "a\nb.mov"
    assert archived.read_bytes() == CONTENT
    assert (archived.stat().st_mtime, archived.stat().st_mode & 0o777) == (900_000_000, 0o640)
    assert files_in(source.parents[1]) == []
    assert files_in(small_disk) == ["season 1/a\nb.mov"]


def test_a_full_archive_leaves_the_source_where_it_is(source: Path, small_disk: Path) -> None:
    source.write_bytes(b"x" * (2 << 20))
    known = identity(source)
    with pytest.raises(Transient, match="No space left on device; free some space"):
        settle(source, small_disk, "archive")
    assert identity(source) == known
    assert files_in(small_disk) == []
    assert files_in(source.parents[1]) == ["season 1/a\nb.mov"]


@pytest.mark.parametrize("other_disk", [False, True])
def test_nothing_in_the_archive_is_replaced(
    source: Path, archive: Path, other_disk: bool, request: pytest.FixtureRequest
) -> None:
    if other_disk:
        archive = request.getfixturevalue("small_disk")
    (archive / "season 1").mkdir(parents=True)
    (archive / "season 1" / source.name).write_bytes(b"an earlier version")
    assert settle(source, archive, "archive") == archive / "season 1" / "a\nb (2).mov"
    assert (archive / "season 1" / source.name).read_bytes() == b"an earlier version"


def test_delete_and_keep(source: Path, archive: Path) -> None:
    assert settle(source, archive, "keep") is None
    assert source.read_bytes() == CONTENT
    assert settle(source, archive, "delete") is None
    assert list(source.parent.iterdir()) == []
    assert not archive.exists()


@pytest.mark.parametrize("action", ["archive", "delete"])
def test_a_changed_source_is_left_alone(source: Path, archive: Path, action: str) -> None:
    known = identity(source)
    source.write_bytes(b"something new")
    assert settle(source, archive, action, known) is None
    assert source.read_bytes() == b"something new"
    assert files_in(source.parents[1]) == ["season 1/a\nb.mov"]


@pytest.mark.parametrize("action", ["archive", "delete"])
def test_a_source_replaced_between_the_look_and_the_act(
    source: Path, archive: Path, action: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = identity(source)
    look = module._identity

    def look_then_replace(name: str, directory: int) -> Identity:
        seen = look(name, directory)
        if name == source.name and source.exists() and source.read_bytes() == CONTENT:
            new = source.with_name("new")
            new.write_bytes(b"something new")
            new.replace(source)
        return seen

    monkeypatch.setattr(module, "_identity", look_then_replace)
    assert settle(source, archive, action, known) is None
    assert source.read_bytes() == b"something new"
    assert files_in(source.parents[1]) == ["season 1/a\nb.mov"]
    assert not archive.exists() or files_in(archive) == []


def test_a_source_that_changes_while_it_is_copied(
    source: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = identity(source)
    copy = shutil.copyfileobj

    def copy_and_grow(*arguments: Any) -> None:
        copy(*arguments)
        with source.open("ab") as file:
            file.write(b"more")

    monkeypatch.setattr(shutil, "copyfileobj", copy_and_grow)
    assert settle(source, small_disk, "archive", known) is None
    assert source.read_bytes() == CONTENT + b"more"
    assert files_in(small_disk) == []


@pytest.mark.parametrize("action", ["archive", "delete"])
def test_a_source_that_is_gone(source: Path, archive: Path, action: str) -> None:
    known = identity(source)
    source.unlink()
    assert settle(source, archive, action, known) is None


def test_a_source_that_was_archived_before_that_was_told(source: Path, archive: Path) -> None:
    known = identity(source)
    other = source.with_name("other.mov")
    other.write_bytes(b"another one of that name")
    archived = settle(source, archive, "archive", known)
    assert archived is not None
    other.rename(source)
    second = identity(source)
    assert settle(source, archive, "archive", second) not in (None, archived)
    for of, place in ((known, archived), (second, archived.with_name(f"{archived.stem} (2).mov"))):
        assert settle(source, archive, "archive", of) == place


def test_a_file_of_its_size_and_time_in_the_archive_is_no_copy_on_the_same_file_system(
    source: Path, archive: Path
) -> None:
    """There sources are moved, so it is another one that only looks alike; this one was taken away by somebody."""
    twin = archive / "season 1" / source.name
    twin.parent.mkdir(parents=True)
    twin.write_bytes(CONTENT[::-1])
    os.utime(twin, (900_000_000, 900_000_000))
    known = identity(source)
    source.unlink()
    assert settle(source, archive, "archive", known) is None


@pytest.mark.parametrize("same", [True, False])
def test_a_copy_made_before_is_taken_for_one_by_its_content(source: Path, small_disk: Path, same: bool) -> None:
    """As after a crash between the copy and the removal of the source."""
    copy = small_disk / "season 1" / source.name
    copy.parent.mkdir()
    copy.write_bytes(CONTENT if same else CONTENT[::-1])
    os.utime(copy, ns=(source.stat().st_mtime_ns,) * 2)
    archived = settle(source, small_disk, "archive")
    assert archived == (copy if same else copy.with_name("a\nb (2).mov"))
    assert archived.read_bytes() == CONTENT
    assert len(files_in(small_disk)) == (1 if same else 2)
    assert not source.exists()


def test_a_copy_is_found_that_an_earlier_attempt_did_not_tell_of(source: Path, small_disk: Path) -> None:
    known = identity(source)
    copy = settle(source, small_disk, "archive")
    assert copy is not None
    assert settle(source, small_disk, "archive", known) == copy
    copy.write_bytes(b"something else")
    assert settle(source, small_disk, "archive", known) is None


@pytest.mark.parametrize("action", ["archive", "delete"])
def test_a_source_hidden_by_a_crash_is_seen_to_beside_a_new_file_of_its_name(
    source: Path, archive: Path, action: str
) -> None:
    known = identity(source)
    source.rename(source.with_name(module._hidden_name(known)))
    source.write_bytes(b"something new")
    archived = settle(source, archive, action, known)
    assert files_in(source.parents[1]) == ["season 1/a\nb.mov"]
    assert source.read_bytes() == b"something new"
    assert (archived and archived.read_bytes()) == (CONTENT if action == "archive" else None)


def test_a_link_in_the_place_of_the_source(source: Path, archive: Path, tmp_path: Path) -> None:
    known = identity(source)
    precious = tmp_path / "precious.mov"
    source.rename(precious)
    source.symlink_to(precious)
    assert settle(source, archive, "delete", known) is None
    assert precious.read_bytes() == CONTENT
    assert source.is_symlink()


def test_a_deletion_cut_short_is_finished(source: Path, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = identity(source)

    def power_cut(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", power_cut)
        with pytest.raises(KeyboardInterrupt):
            settle(source, archive, "delete", known)
    assert len(list(source.parent.iterdir())) == 1  # hidden
    assert settle(source, archive, "delete", known) is None
    assert list(source.parent.iterdir()) == []


def test_no_way_out_of_the_archive(source: Path, archive: Path) -> None:
    with pytest.raises(BadInput):
        settle_source(NO_LINKS, source, identity(source), "archive", archive, "../../outside.mov")
    assert source.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="acts as another account")
def test_a_directory_moved_in_by_mistake_shows_nobody_the_archive(
    open_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody puts a directory in the source's place between the look and the move, and holds it open."""
    source, archive = source_in(open_path), open_path / "archive"
    (archive / "season 1").mkdir(parents=True, mode=0o775)  # as earlier versions made them
    (archive / "season 1").chmod(0o775)
    known, real = identity(source), moves.move_numbered
    found: list[str] = []

    def exchanged(old_directory: int, old: str, new_directory: int, new: str) -> str:
        if not found:
            source.unlink()
            source.mkdir(mode=0o777)
            held = os.open(source, os.O_RDONLY)
            moved = real(old_directory, old, new_directory, new)
            os.seteuid(65534)
            try:
                with pytest.raises(PermissionError):
                    os.open("..", os.O_RDONLY, dir_fd=held)
                found.append("closed")
            finally:
                os.seteuid(0)
                os.close(held)
            return moved
        return real(old_directory, old, new_directory, new)

    monkeypatch.setattr(module, "move_numbered", exchanged)
    assert settle(source, archive, "archive", known) is None
    assert found == ["closed"]
    assert source.is_dir(), "it is where it was"
    assert list((archive / "season 1").iterdir()) == []
