"""Publishing: whole, durable, never over another file, and telling after a crash whether it happened."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from flashvsr.errors import LeaseLost, Transient
from flashvsr.files import made as made_module
from flashvsr.files import moves
from flashvsr.files.made import Made
from flashvsr.files.trees import NO_LINKS
from flashvsr.outbox.publish import Outbox
from flashvsr.outbox.targets import target_for

OUTBOX = Outbox(NO_LINKS)

Record = tuple[Path, int, int]


@contextmanager
def written(target: Path, content: bytes = b"result", job_id: int = 1) -> Iterator[Made]:
    with OUTBOX.new_result(OUTBOX.temporary_for(target, job_id)) as made:
        made.write(content)
        yield made


def published(target: Path, content: bytes = b"result") -> Path:
    with written(target, content) as made:
        return OUTBOX.publish(made, target, lambda *_: None)


WAYS = {  # what has to fail for it
    "descriptor": (),
    "renameat2": ((made_module, "_link"),),
    "link": ((made_module, "_link"), (moves, "_rename_noreplace")),
    "placeholder": ((made_module, "_link"), (moves, "_rename_noreplace"), (moves, "_link_and_unlink")),
}


@pytest.fixture(params=list(WAYS.values()), ids=list(WAYS))
def each_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the file system refuse the better ways of renaming without replacing."""

    def refuse(*args: object) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    for module, name in request.param:
        monkeypatch.setattr(module, name, refuse)


@pytest.mark.usefixtures("each_way")
def test_the_intent_is_recorded_before_the_name_appears(tmp_path: Path) -> None:
    target = tmp_path / "out" / "a.mp4"
    records: list[Record] = []

    def record(path: Path, size: int, mtime_ns: int) -> None:
        assert made.path.exists()
        assert not path.exists()
        assert not OUTBOX.already_published(path, size, mtime_ns)
        records.append((path, size, mtime_ns))

    with written(target) as made:
        assert OUTBOX.publish(made, target, record) == target
    assert [path for path, _, _ in records] == [target]
    assert OUTBOX.already_published(*records[0])
    assert list(target.parent.iterdir()) == [target]
    assert target.read_bytes() == b"result"


@pytest.mark.usefixtures("each_way")
def test_what_is_there_is_never_replaced(tmp_path: Path) -> None:
    for relative, name in (("a.mov", "a.mp4"), ("a.mkv", "a (2).mp4"), ("a.avi", "a (3).mp4")):
        target = target_for(tmp_path, relative, "mp4")
        assert published(target, relative.encode()).name == name
    assert (tmp_path / "a.mp4").read_bytes() == b"a.mov"
    assert (tmp_path / "a (2).mp4").read_bytes() == b"a.mkv"


@pytest.mark.usefixtures("each_way")
def test_a_name_taken_at_the_last_moment(tmp_path: Path) -> None:
    target = tmp_path / "a.mp4"
    records: list[Record] = []

    def record(*intent: object) -> None:
        records.append(intent)  # type: ignore[arg-type]
        if len(records) == 1:
            target.write_bytes(b"somebody else's")

    with written(target) as made:
        assert OUTBOX.publish(made, target, record) == tmp_path / "a (2).mp4"
    assert [path.name for path, _, _ in records] == ["a.mp4", "a (2).mp4"]
    assert target.read_bytes() == b"somebody else's"
    assert not OUTBOX.already_published(*records[0])
    assert OUTBOX.already_published(*records[1])
    assert len(list(tmp_path.iterdir())) == 2


def test_a_name_given_by_a_try_whose_answer_was_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NFS sends such a request once more, and then it hears that the name is taken: by the file itself."""
    link = made_module._link

    def twice(*arguments: Any) -> None:
        link(*arguments)
        link(*arguments)

    monkeypatch.setattr(made_module, "_link", twice)
    assert published(tmp_path / "a.mp4") == tmp_path / "a.mp4"
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_a_dangling_link_is_a_name_too(tmp_path: Path) -> None:
    target = tmp_path / "a.mp4"
    target.symlink_to(tmp_path / "elsewhere" / "b.mp4")
    assert published(target).name == "a (2).mp4"
    assert target.is_symlink()


def test_a_lost_lease_publishes_nothing(tmp_path: Path) -> None:
    target = tmp_path / "a.mp4"

    def record(*_: object) -> None:
        raise LeaseLost("not yours")

    with written(target) as made:
        with pytest.raises(LeaseLost):
            OUTBOX.publish(made, target, record)
        assert list(tmp_path.iterdir()) == [made.path]
    assert list(tmp_path.iterdir()) == []


def test_the_order_that_survives_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The content is on the disk before the record, the name after it, and the directory at last."""
    target = tmp_path / "a.mp4"
    order: list[str] = []
    fsync, link, unlink = os.fsync, os.link, os.unlink

    def noted_fsync(descriptor: int) -> None:
        order.append("fsync " + str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    def noted_link(*arguments: Any, **options: Any) -> None:
        order.append("name")
        link(*arguments, **options)

    def noted_unlink(name: str, **options: Any) -> None:
        order.append(f"remove {name}")
        unlink(name, **options)

    with written(target) as made:
        for name, noted in (("fsync", noted_fsync), ("link", noted_link), ("unlink", noted_unlink)):
            monkeypatch.setattr(os, name, noted)
        OUTBOX.publish(made, target, lambda *_: order.append("record"))
    assert order == [f"fsync {made.path}", "record", "name", f"remove {made.path.name}", f"fsync {tmp_path}"]


def test_already_published_compares(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"result")
    moment = path.stat().st_mtime_ns
    assert OUTBOX.already_published(path, 6, moment)
    assert OUTBOX.already_published(path, 6, moment - 1_900_000_000)  # a share may keep every other second only
    assert not OUTBOX.already_published(path, 7, moment)
    assert not OUTBOX.already_published(path, 6, moment - 60_000_000_000)
    (tmp_path / "link").symlink_to(path)
    assert not OUTBOX.already_published(tmp_path / "link", 6, moment)


def test_odd_names(tmp_path: Path) -> None:
    names = [
        "new\nline.mov",
        "q'u\"ote.mov",
        "ünï\u202ecode.mov",
        "-rf.mov",
        "raw\udcff.mov",
        "x" * 251 + ".mov",
    ]
    for name in names:
        target = target_for(tmp_path / "out", name, "mp4")
        assert published(target, b"1") == target
        assert published(target, b"2") != target
        text = OUTBOX.write_error_text(tmp_path / "out", name, "no picture")
        assert text.read_text().startswith("no picture\n")
    assert len(list((tmp_path / "out").iterdir())) == 3 * len(names)


def test_error_text_is_replaced_and_taken_back(tmp_path: Path) -> None:
    outbox = tmp_path / "not" / "yet"
    OUTBOX.write_error_text(outbox, "a.mov", "first")
    path = OUTBOX.write_error_text(outbox, "a.mov", "second, about ünï and raw \udcff\n")
    assert path == outbox / "a.mov.error.txt"
    assert path.read_text().startswith("second, about ünï and raw \\udcff\n")
    assert list(outbox.iterdir()) == [path]
    OUTBOX.remove_error_text(outbox, "a.mov")
    OUTBOX.remove_error_text(outbox, "a.mov")
    assert list(outbox.iterdir()) == []


RACER = """
import sys, time
from pathlib import Path
from flashvsr.files.trees import NO_LINKS
from flashvsr.outbox.publish import Outbox
outbox = Outbox(NO_LINKS)
target, number, start = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
for attempt in range(5):
    with outbox.new_result(outbox.temporary_for(target, number)) as made:
        made.write(f"{number}-{attempt}".encode())
        time.sleep(max(0, start - time.time()))
        print(outbox.publish(made, target, lambda *_: None).name)
"""
FORCED = """
import errno
from flashvsr.files import made, moves
def refuse(*arguments):
    raise OSError(errno.EINVAL, "no")
made._link = refuse
"""
REFUSED_ALL = FORCED + "moves._rename_noreplace = moves._link_and_unlink = refuse\n"


@pytest.mark.slow
@pytest.mark.parametrize("setup", ["", FORCED, REFUSED_ALL], ids=["descriptor", "renameat2", "placeholder"])
def test_eight_processes_race_for_one_name(tmp_path: Path, setup: str) -> None:
    start = str(time.time() + 1.2)
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", setup + RACER, str(tmp_path / "a.mp4"), str(number), start],
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(8)
    ]
    names = [racer.communicate(timeout=60)[0].split("\n")[:-1] for racer in racers]
    assert [racer.returncode for racer in racers] == [0] * 8
    assert len({name for mine in names for name in mine}) == 40
    content = {path.name: path.read_text() for path in tmp_path.iterdir()}
    expected = {name: f"{number}-{attempt}" for number, mine in enumerate(names) for attempt, name in enumerate(mine)}
    assert content == expected


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EROFS, "mounted read-only"),
        (errno.ESTALE, "mount it again"),
        (errno.EIO, "check it"),
        (errno.EACCES, "let the user that runs flashvsr write there"),
    ],
)
def test_what_the_file_system_says_becomes_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, advice: str
) -> None:
    target = tmp_path / "a\nb.mp4"

    def fail(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(made_module, "_link", fail)
    monkeypatch.setattr(moves, "_rename_noreplace", fail)
    with written(target) as made:
        with pytest.raises(Transient, match=advice) as caught:
            OUTBOX.publish(made, target, lambda *_: None)
        assert made.path.exists()
    assert "a\\nb.mp4" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_full_disk(small_disk: Path) -> None:
    target = small_disk / "a.mp4"
    with written(target, b"x" * 100_000) as made:
        with pytest.raises(OSError, match="No space left"):
            (small_disk / "filler").write_bytes(b"x" * (2 << 20))
        with pytest.raises(Transient, match="No space left on device; free some space there"):
            OUTBOX.write_error_text(small_disk, "a.mov", "no picture " * 1000)
        assert sorted(path.name for path in small_disk.iterdir()) == [made.path.name, "filler"]
        assert OUTBOX.publish(made, target, lambda *_: None) == target  # a finished result needs no more space


def test_no_room_for_a_second_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without free inodes may still rename."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(made_module, "_link", full)
    assert published(tmp_path / "a.mp4") == tmp_path / "a.mp4"
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


@contextmanager
def as_nobody() -> Iterator[None]:
    os.setegid(65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_permission_denied(open_path: Path) -> None:
    outbox = open_path / "outbox"
    target = outbox / "a.mp4"
    with written(target) as made:
        actions: tuple[Callable[[], object], ...] = (
            lambda: OUTBOX.publish(made, target, lambda *_: None),
            lambda: published(target),
            lambda: OUTBOX.temporary_for(outbox / "new" / "a.mp4", 1),
            lambda: OUTBOX.write_error_text(outbox, "a.mov", "no picture"),
        )
        for action in actions:
            advice = "Permission denied; let the user that runs flashvsr write there"
            with as_nobody(), pytest.raises(Transient, match=advice):
                action()
        assert list(outbox.iterdir()) == [made.path]


@pytest.mark.parametrize(("code", "kept"), [(errno.EPERM, True), (errno.EOPNOTSUPP, True), (errno.EIO, False)])
def test_a_time_that_is_not_taken_keeps_no_result_back(
    code: int, kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "utime", refuse)
    target = tmp_path / "out" / "a.mp4"
    with written(target) as made:
        if kept:
            assert OUTBOX.publish(made, target, lambda *_: None, 900) == target
            assert "cannot be given the time of its source" in caplog.text
        else:
            with pytest.raises(Transient):
                OUTBOX.publish(made, target, lambda *_: None, 900)
            assert not target.exists()
