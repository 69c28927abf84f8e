"""What a directory's mount tells: there, further down, away."""

from __future__ import annotations

from pathlib import Path

import pytest

from flashvsr.mounts import Mounts, ShareAway

ROOT = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"


class Table:
    """A mount table of the test's own."""

    def __init__(self, tmp_path: Path) -> None:
        self.file = tmp_path / "mountinfo"
        self.share = tmp_path / "nas"
        self.mounts = Mounts(tmp_path, self.file)
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
    for mounts in (table.mounts, Mounts(tmp_path, table.file)):  # also for the next service
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
    assert table.mounts.present(table.share.with_name("nas2"))


def test_a_link_to_elsewhere_is_not_expected_on_the_share(table: Table, tmp_path: Path) -> None:
    table.share.mkdir()
    (tmp_path / "local").mkdir()
    (table.share / "link").symlink_to(tmp_path / "local")
    table.show(table.share)
    table.mounts.check(table.share)
    table.mounts.check(table.share / "link")


def test_forgetting_is_a_persons_decision(table: Table) -> None:
    table.show(table.share)
    table.mounts.check(table.share)
    table.show()
    assert not table.mounts.present(table.share)
    table.mounts.path.unlink()
    table.mounts.check(table.share)


def test_a_damaged_memory_is_made_anew(table: Table, caplog: pytest.LogCaptureFixture) -> None:
    table.mounts.path.write_text("{")
    table.mounts.check(table.share)
    assert "remembered anew" in caplog.text


def test_where_nothing_can_be_told_nothing_is_refused(tmp_path: Path) -> None:
    Mounts(tmp_path, tmp_path / "none").check(tmp_path)
    assert not (tmp_path / "mounts.json").exists()
