"""Somebody on a share exchanges files at the very moment: before each single step of whatever is done there.

Each act is done once to count its steps (calls of the operating system that take a name), then once for each step and
each kind of exchange, in a world of its own. Whatever the moment: nothing of the service's own is given away, read,
changed or removed, nobody waits for a pipe, and what gets a name is what was written.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flashvsr.errors import FlashVSRError
from flashvsr.files import made as made_module
from flashvsr.files import moves
from flashvsr.files.trees import Trees
from flashvsr.outbox.disposal import settle_source
from flashvsr.outbox.leftovers import remove_all
from flashvsr.outbox.publish import Outbox
from flashvsr.settings.inbox_preset import check_inbox_preset, write_default_preset
from flashvsr.settings.preset import PRESET_NAME, default_preset_text
from flashvsr.video.counted import CountedFile, nothing

SECRET, THEIRS, SOURCE = b"secret", b"theirs", b"source" * 1000
OLD = 1_000_000_000


class World:
    """A directory of a share, and the service's own with files of the same names in it."""

    def __init__(self, root: Path) -> None:
        self.root, self.place, self.state = root, root / "share" / "clips", root / "state"
        self.place.mkdir(parents=True)
        (self.state / "archive").mkdir(parents=True)
        for name in ("worker.toml", "flashvsr.lock", "queue.db", "a.mov", "a.mp4", PRESET_NAME, "a.mov.error.txt"):
            (self.state / name).write_bytes(SECRET)
        (self.state / temporary(1)).write_bytes(SECRET)
        self.links = 0  # that the other side made to our files
        self.trees = Trees((root / "share",))
        self.outbox = Outbox(self.trees)

    def secrets(self) -> dict[str, tuple[bytes, int, int]]:
        return {
            path.name: (path.read_bytes(), path.stat().st_mode, path.stat().st_ino)
            for path in self.state.iterdir()
            if path.is_file()
        }

    def visible(self) -> dict[str, bytes]:
        """What people see, wherever the directory is by now. Reading a pipe would wait."""
        place = self.place.with_name("away") if self.place.is_symlink() else self.place
        return {path.name: content(path) for path in place.iterdir() if not path.name.startswith(".")}

    def archived(self) -> list[bytes]:
        return [content(path) for path in (self.state / "archive").rglob("*") if not path.is_dir()]


def temporary(number: int) -> str:
    return f".flashvsr-{number}-0123abcd.mp4.part"


def content(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() and not path.is_symlink() else b"no file"


@dataclass(frozen=True)
class Act:
    """What the service does, what lies there before, and what people may see afterwards, by name."""

    do: Callable[[World], Any]
    prepare: Callable[[World], Any] = lambda world: None
    names: tuple[str, ...] = ()
    whole: Callable[[bytes], bool] = lambda data: False
    puts_back: bool = False  # a text that is not ours after all, whoever put it there


def wrong_preset(world: World) -> None:
    (world.place / PRESET_NAME).write_text("width = 100\n")


def mended_preset(world: World) -> None:
    wrong_preset(world)
    with pytest.raises(FlashVSRError):
        check_inbox_preset(world.trees, world.place)
    (world.place / PRESET_NAME).write_text("width = 960\n")


def make_result(world: World) -> None:
    with world.outbox.new_result(world.outbox.temporary_for(world.place / "a.mp4", 1)) as made:
        for byte in b"xy":  # as when tracks of a source are refused, and it is written anew
            with CountedFile(made.path, "w+b", nothing, made.opener) as file:
                file.write(bytes([byte]) * 6)
        with CountedFile(made.path, "rb", nothing, made.opener) as file:
            assert file.read() == b"yyyyyy"  # as the last look at it does
        world.outbox.publish(made, world.place / "a.mp4", lambda *_: None)


def read(world: World) -> None:
    with CountedFile(world.place / "a.mov", "rb", nothing, world.trees.open_file) as file:
        if os.fstat(file.fileno()).st_nlink == 1:
            assert file.read() in (SOURCE, THEIRS)


def put_source(world: World) -> None:
    (world.place / "a.mov").write_bytes(SOURCE)
    os.utime(world.place / "a.mov", (OLD, OLD))


def settle(action: str) -> Callable[[World], None]:
    def settled(world: World) -> None:
        with suppress(FileNotFoundError):
            stat = os.lstat(world.place / "a.mov")
            world_identity = (stat.st_dev, stat.st_ino, len(SOURCE), OLD * 10**9)
            settle_source(world.trees, world.place / "a.mov", world_identity, action, world.state / "archive", "a.mov")

    return settled


def put_leftover(world: World) -> None:
    (world.place / temporary(1)).write_bytes(b"half")
    os.utime(world.place / temporary(1), (OLD, OLD))


ACTS = {
    "default preset": Act(
        lambda world: write_default_preset(world.trees, world.place / PRESET_NAME),
        names=(PRESET_NAME,),
        whole=lambda data: data == default_preset_text().encode(),
    ),
    "preset and its error text": Act(
        lambda world: check_inbox_preset(world.trees, world.place),
        wrong_preset,
        (PRESET_NAME, "preset.error.txt", "preset.error (2).txt"),
        lambda data: data == b"width = 100\n" or b"is wrong, so its videos wait" in data,
    ),
    "a preset that was mended": Act(
        lambda world: check_inbox_preset(world.trees, world.place),
        mended_preset,
        (PRESET_NAME, "preset.error.txt", "preset.error (2).txt"),
        lambda data: data == b"width = 960\n" or b"is wrong, so its videos wait" in data,
        puts_back=True,
    ),
    "error text": Act(
        lambda world: world.outbox.write_error_text(world.place, "a.mov", "why"),
        names=("a.mov.error.txt",),
        whole=lambda data: data.startswith(b"why"),
    ),
    "another error text": Act(
        lambda world: world.outbox.write_error_text(world.place, "a.mov", "why"),
        lambda world: world.outbox.write_error_text(world.place, "a.mov", "why not"),
        ("a.mov.error.txt", "a.mov.error (2).txt"),
        lambda data: data.startswith(b"why"),
        puts_back=True,
    ),
    "no error text any more": Act(
        lambda world: world.outbox.remove_error_text(world.place, "a.mov"),
        lambda world: world.outbox.write_error_text(world.place, "a.mov", "why"),
        ("a.mov.error.txt",),
        lambda data: data.startswith(b"why"),
        puts_back=True,
    ),
    "report": Act(
        lambda world: world.outbox.write_report(world.place / "a.mp4", "x = 1"),
        names=("a.mp4.report.toml",),
        whole=lambda data: data.startswith(b"x = 1"),
    ),
    "result": Act(make_result, names=("a.mp4",), whole=lambda data: data == b"yyyyyy"),
    "temporaries": Act(lambda world: world.outbox.remove_temporaries(world.place, 1), put_leftover),
    "leftovers": Act(lambda world: remove_all(world.trees, world.root / "share", OLD + 1, ()), put_leftover),
    "source read": Act(read, put_source, ("a.mov",), lambda data: data == SOURCE),
    "source archived": Act(settle("archive"), put_source, ("a.mov",), lambda data: data == SOURCE),
    "source deleted": Act(settle("delete"), put_source, ("a.mov",), lambda data: data == SOURCE),
}


def put_link(world: World, path: Path) -> None:
    path.symlink_to(world.state / "worker.toml")


def put_hard_link(world: World, path: Path) -> None:
    """As far as the kernel's fs.protected_hardlinks lets them."""
    os.link(world.state / "worker.toml", path)


def instead(put: Callable[[World, Path], Any]) -> Callable[[World], None]:
    """Exchange what is hidden, and the source, for something else."""

    def exchange(world: World) -> None:
        for path in list(world.place.iterdir()):
            if path.name.startswith(".") or path.name == "a.mov":
                path.rename(world.root / f"taken-{path.name}")
                put(world, path)

    return exchange


def aim(world: World) -> None:
    """Put a link to the service's own directory in place of the share's."""
    world.place.rename(world.place.with_name("away"))
    world.place.symlink_to(world.state)


EXCHANGES = {
    "link": instead(put_link),
    "hard link": instead(put_hard_link),
    "pipe": instead(lambda world, path: os.mkfifo(path)),
    "directory": instead(lambda world, path: path.mkdir()),
    "file": instead(lambda world, path: path.write_bytes(THEIRS)),
    "nothing": instead(lambda world, path: None),
    "directory aimed elsewhere": aim,
}


class Steps:
    """Calls of the operating system that take a name, and what happens before one of them."""

    TAKING_NAMES = ("open", "stat", "link", "rename", "replace", "unlink", "mkdir", "listdir", "scandir", "utime")

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.taken, self.moment = 0, -1
        self.happen: Callable[[], None] = lambda: None
        for name in self.TAKING_NAMES:
            monkeypatch.setattr(os, name, self._step(getattr(os, name)))
        monkeypatch.setattr(os, "fsync", self._step(lambda descriptor: None))  # hundreds of them take seconds
        monkeypatch.setattr(moves, "_rename_noreplace", self._step(moves._rename_noreplace))

    def run(self, moment: int, happen: Callable[[], None], act: Callable[[], Any]) -> None:
        """Act, with something happening before one of the steps (none: -1)."""
        self.taken, self.moment, self.happen = 0, moment, happen
        try:
            with suppress(OSError, FlashVSRError):
                act()
        finally:
            self.moment, taken = -1, self.taken
        assert moment < taken, "nothing happened"

    def _step(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def stepped(*arguments: Any, **options: Any) -> Any:
            if self.taken == self.moment:
                self.moment = -1  # the other side takes steps as well
                self.happen()
                self.taken = 1 << 30
            self.taken += 1
            return call(*arguments, **options)

        return stepped


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    return Steps(monkeypatch)


@pytest.fixture
def another_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the archive seem to lie on another file system."""
    rename = moves._rename_noreplace

    def crossing(old_directory: int, old: str, new_directory: int, new: str) -> None:
        if not os.path.sameopenfile(old_directory, new_directory):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        rename(old_directory, old, new_directory, new)

    monkeypatch.setattr(moves, "_rename_noreplace", crossing)


@pytest.fixture
def no_way(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Take the better ways from the file system."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    def take(ways: str) -> None:
        for way in ways.split():
            monkeypatch.setattr(made_module if way == "_link" else moves, way, refuse)

    return take


def attack(tmp_path: Path, steps: Steps, act: Act, kind: str) -> None:
    put = {"hard link": SECRET, "file": THEIRS}.get(kind, b"no file")
    moments = range(-1, count_steps(tmp_path / "counted", steps, act))
    for moment in moments:
        root = tmp_path / str(moment)
        world = World(root)
        act.prepare(world)
        before = world.secrets()
        steps.run(moment, lambda: EXCHANGES[kind](world), lambda: act.do(world))  # noqa: B023
        made = world.secrets()
        assert made == before, f"step {moment}"
        links = {
            path.stat().st_nlink for path in world.state.iterdir() if path.is_file() and path.name != "worker.toml"
        }
        assert links == {1}
        if kind != "hard link":
            assert (world.state / "worker.toml").stat().st_nlink == 1, f"step {moment}: given away"
        for name, data in world.visible().items():
            if not (name == "a.mov" and moment >= 0):  # there the other side put something
                assert name in act.names, f"step {moment}"
                assert act.whole(data) or (act.puts_back and data == put), f"step {moment}: {name} is {data!r}"
        assert set(world.archived()) <= {SOURCE}, f"step {moment}"
        shutil.rmtree(root)


def count_steps(root: Path, steps: Steps, act: Act) -> int:
    world = World(root)
    act.prepare(world)
    steps.run(-1, lambda: None, lambda: act.do(world))
    assert steps.taken
    return steps.taken


@pytest.mark.slow
@pytest.mark.timeout(30)
@pytest.mark.parametrize("kind", EXCHANGES)
@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS.keys())
def test_an_exchange_at_any_moment(tmp_path: Path, steps: Steps, act: Act, kind: str) -> None:
    attack(tmp_path, steps, act, kind)


@pytest.mark.slow
@pytest.mark.timeout(30)
@pytest.mark.parametrize("kind", EXCHANGES)
@pytest.mark.parametrize("ways", ["_link", "_link _rename_noreplace", "_link _rename_noreplace _link_and_unlink"])
@pytest.mark.parametrize("act", [ACTS["default preset"], ACTS["another error text"], ACTS["result"]])
def test_on_file_systems_that_know_files_by_names_only(
    tmp_path: Path, steps: Steps, no_way: Callable[[str], None], act: Act, ways: str, kind: str
) -> None:
    no_way(ways)
    attack(tmp_path, steps, act, kind)


@pytest.mark.timeout(30)
@pytest.mark.usefixtures("another_disk")
@pytest.mark.parametrize("kind", EXCHANGES)
def test_while_a_source_is_copied_to_another_disk(tmp_path: Path, steps: Steps, kind: str) -> None:
    attack(tmp_path, steps, ACTS["source archived"], kind)
