"""What a directory's mount tells: there, further down, away."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from flashvsr.errors import Transient
from flashvsr.files.mounts import Mounts, ShareAway
from flashvsr.files.trees import NO_LINKS, Trees

ROOT = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"


class Table:
    """A mount table of the test's own."""

    def __init__(self, tmp_path: Path, trees: Trees = NO_LINKS) -> None:
        self.file = tmp_path / "mountinfo"
        self.share = tmp_path / "nas"
        self.mounts = Mounts(tmp_path, trees, self.file)
        self.show()

    def show(self, *points: Path, device: str = "0:40") -> None:
        lines = (f"{number} 1 {device} / {point} rw - nfs4 nas:/x rw\n" for number, point in enumerate(points, 2))
        self.file.write_text(ROOT + "".join(lines))


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return Table(tmp_path)


def test_a_share_that_goes_away_and_comes_back(table: Table, tmp_path: Path) -> None:
    outbox = table.share / "out" / "clips"
    table.show(table.share)
    table.mounts.check(outbox)
    table.show()
    for mounts in (table.mounts, Mounts(tmp_path, NO_LINKS, table.file)):  # also for the next service
        with pytest.raises(ShareAway, match=rf"nothing is mounted at {table.share}.*mounts\.json"):
            mounts.check(outbox)
        assert not mounts.present(outbox)
    table.show(table.share, device="0:77")  # mounted again, a network share has another device then
    table.mounts.check(outbox)
    assert not table.share.exists()  # nothing was created


def test_a_mount_further_down_is_taken_over(table: Table) -> None:
    outbox = table.share / "out"
    table.mounts.check(outbox)  # on the local disk, before there was a share
    table.show(table.share)
    table.mounts.check(outbox)
    table.show()
    assert not table.mounts.present(outbox)


def test_a_new_directory_below_a_known_one_is_expected_on_the_same_share(table: Table) -> None:
    table.show(table.share)
    table.mounts.check(table.share)
    table.show()
    assert not table.mounts.present(table.share / "new")


def test_a_directory_whose_name_only_begins_like_the_share_does_not_lie_on_it(table: Table) -> None:
    beside = table.share.with_name("nas2")
    table.show(table.share)
    table.mounts.check(beside)
    assert json.loads(table.mounts.path.read_text()) == {str(beside): "/"}
    table.show()
    assert table.mounts.present(beside)


def test_a_share_whose_name_only_begins_like_that_of_the_absent_one_does_not_stand_in(table: Table) -> None:
    """The way to the outbox is a link, which leads to the other share while the right one is away."""
    beside, outbox = table.share.with_name("nas2"), table.share.with_name("outbox")
    table.share.mkdir()
    beside.mkdir()
    outbox.symlink_to(table.share)
    table.show(table.share, beside)
    table.mounts.check(outbox)
    outbox.unlink()
    outbox.symlink_to(beside)
    table.show(beside)
    assert not table.mounts.present(outbox)


@pytest.mark.parametrize("elsewhere", ["local", "nas2"])
def test_a_link_to_elsewhere_is_not_expected_on_the_share(table: Table, tmp_path: Path, elsewhere: str) -> None:
    table.share.mkdir()
    (tmp_path / elsewhere).mkdir()
    (table.share / "link").symlink_to(tmp_path / elsewhere)
    table.show(table.share)
    table.mounts.check(table.share)
    table.mounts.check(table.share / "link")
    table.show()
    assert not table.mounts.present(table.share)
    assert table.mounts.present(table.share / "link")


def test_forgetting_is_a_persons_decision(table: Table) -> None:
    table.show(table.share)
    table.mounts.check(table.share)
    table.show()
    assert not table.mounts.present(table.share)
    table.mounts.path.unlink()
    table.mounts.check(table.share)


def test_a_link_in_a_tree_of_others_is_not_remembered(tmp_path: Path) -> None:
    """Somebody put a link into the outbox, to wherever they liked, and took it away again."""
    table = Table(tmp_path, Trees((tmp_path / "nas" / "out",)))
    outbox, elsewhere = table.share / "out", tmp_path / "elsewhere"
    outbox.mkdir(parents=True)
    elsewhere.mkdir()
    (outbox / "clips").symlink_to(elsewhere)
    table.show(table.share, elsewhere)
    table.mounts.check(outbox)
    table.mounts.check(outbox / "clips")
    assert "elsewhere" not in table.mounts.path.read_text()
    (outbox / "clips").unlink()
    (outbox / "clips").mkdir()
    table.show(table.share)
    table.mounts.check(outbox / "clips")
    table.show()
    assert not table.mounts.present(outbox / "clips")  # what protects the share still does


def test_a_place_that_was_left_is_forgotten_while_its_share_is_there(tmp_path: Path) -> None:
    """The root itself may be a link, an administrator's, who aims it elsewhere."""
    table = Table(tmp_path, Trees((tmp_path / "nas",)))
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    table.share.symlink_to(old)
    table.show(old)
    table.mounts.check(table.share)
    table.share.unlink()
    table.share.symlink_to(new)
    table.mounts.check(table.share)
    assert json.loads(table.mounts.path.read_text()) == {str(table.share): "/"}


def test_what_the_directory_above_says_is_not_remembered_again(table: Table) -> None:
    table.show(table.share, table.share / "clips-7")
    for directory in (table.share, *(table.share / f"clips-{number}" for number in range(20))):
        table.mounts.check(directory)
    expected = {str(path): str(path) for path in (table.share, table.share / "clips-7")}
    assert json.loads(table.mounts.path.read_text()) == expected
    table.show(table.share)
    assert not table.mounts.present(table.share / "clips-7")
    assert table.mounts.present(table.share / "clips-8")


def test_what_an_older_version_remembered_of_each_directory_is_tidied(table: Table) -> None:
    table.show(table.share)
    old = {str(table.share / f"clips-{number}"): str(table.share) for number in range(3000)}
    table.mounts.path.write_text(json.dumps(old | {str(table.share): str(table.share)}))
    table.mounts.check(table.share.with_name("other"))
    expected = {str(table.share): str(table.share), str(table.share.with_name("other")): "/"}
    assert json.loads(table.mounts.path.read_text()) == expected


def make_directory(path: Path) -> None:
    path.mkdir()
    (path / "something").touch()


DAMAGED = {
    "cut": lambda path: path.write_text("{"),
    "empty": lambda path: path.touch(),
    "list": lambda path: path.write_text('["/nas"]'),
    "numbers": lambda path: path.write_text('{"/nas": 7}'),
    "null": lambda path: path.write_text("null"),
    "deep": lambda path: path.write_text("[" * 200_000),
    "large": lambda path: path.write_text(json.dumps({"/" + "x" * (1 << 20): "/"})),
    "no text": lambda path: path.write_bytes(b"\xff\xfe\x00"),
    "latin-1": lambda path: path.write_bytes('{"/Gerät": "/"}'.encode("latin-1")),
    "directory": make_directory,
    "pipe": os.mkfifo,
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_memory_is_made_anew(
    table: Table, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], object]
) -> None:
    damage(table.mounts.path)
    table.show(table.share)
    for mounts in (table.mounts, Mounts(table.mounts.path.parent, NO_LINKS, table.file)):
        mounts.check(table.share)
    assert caplog.text.count("remembered anew") == 1
    assert json.loads(table.mounts.path.read_text()) == {str(table.share): str(table.share)}
    (aside,) = table.mounts.path.parent.glob("mounts.json.damaged-*")
    assert aside.lstat().st_mode
    table.show()
    assert not table.mounts.present(table.share)


def test_a_disk_that_fails_is_no_damage(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is remembered there is what protects the share."""
    table.show(table.share)
    table.mounts.check(table.share)

    def fail(*_: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(Trees, "open_file", fail)
        with pytest.raises(Transient, match=r"cannot read .*mounts\.json"):
            Mounts(table.mounts.path.parent, NO_LINKS, table.file).check(table.share)
    assert json.loads(table.mounts.path.read_text())


def test_the_memory_is_read_once_for_each_change(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked for each inbox at each scan."""
    table.show(table.share)
    table.mounts.check(table.share)
    table.mounts.check(table.share / "a")
    opened: list[Path] = []

    def open_file(_: Trees, path: Path, flags: int) -> int:
        opened.append(path)
        return os.open(path, flags)

    monkeypatch.setattr(Trees, "open_file", open_file)
    for number in range(100):
        table.mounts.check(table.share / f"clips-{number}")
    assert not opened


def test_where_nothing_can_be_told_nothing_is_refused(tmp_path: Path) -> None:
    Mounts(tmp_path, NO_LINKS, tmp_path / "none").check(tmp_path)
    assert not (tmp_path / "mounts.json").exists()


def test_many_who_remember_at_once_are_in_nobodys_way(tmp_path: Path) -> None:
    """The watcher, the pages and each worker: all that they learn is known in the end."""
    failures: list[Exception] = []
    folders = [tmp_path / f"outbox{number}" for number in range(4)]

    def learn(folder: Path) -> None:
        try:
            for number in range(25):
                mounts = Mounts(tmp_path, NO_LINKS)
                mounts._remember({str(folder): f"/mnt/{number}"})
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=learn, args=(folder,)) for folder in folders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    known = json.loads((tmp_path / "mounts.json").read_text())
    assert known == {str(folder): "/mnt/24" for folder in folders}
