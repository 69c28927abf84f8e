"""A text that is written again and again in one place, and never in place of anybody else's."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flashvsr.files import made, moves
from flashvsr.files.marked import MOST_RENEWED, renew, signed, withdraw
from flashvsr.files.trees import OWN

ABOUT = "status"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "STATUS.html"


@pytest.fixture(params=["exchange", "no exchange"])
def _either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a file system that can exchange names, and on one that cannot."""
    if request.param == "no exchange":

        def refuse(*_: Any) -> None:
            raise OSError(errno.EINVAL, "not here")

        monkeypatch.setattr(made, "exchange", refuse)


def listing(place: Path) -> list[str]:
    return sorted(entry.name for entry in place.iterdir())


@pytest.mark.usefixtures("_either_way")
@pytest.mark.parametrize("html", [False, True])
def test_ours_is_replaced_in_one_step(path: Path, html: bool) -> None:
    assert renew(OWN, path, "<p>first</p>", ABOUT, html=html) == path
    with path.open() as opened:
        assert renew(OWN, path, "<p>second</p>", ABOUT, html=html) == path
        assert opened.read().startswith("<p>first</p>\n")  # another file: nobody finds half of one
    assert path.read_text().startswith("<p>second</p>\n")
    assert listing(path.parent) == [path.name]
    withdraw(OWN, path, ABOUT)
    assert listing(path.parent) == []


def test_the_mark_in_html_is_a_comment(path: Path) -> None:
    renew(OWN, path, "<p>first</p>\n", ABOUT, html=True)
    last = path.read_text().splitlines()[-1]
    assert last.startswith("<!-- # flashvsr wrote this.")
    assert last.endswith(" -->")
    assert "--" not in last.removeprefix("<!--").removesuffix("-->")


PEOPLES: dict[str, Callable[[Path], object]] = {
    "note": lambda path: path.write_text("mine"),
    "empty": lambda path: path.touch(),
    "ours, changed": lambda path: path.write_bytes(signed("a", ABOUT, html=True).replace(b"a", b"b", 1)),
    "ours about something else": lambda path: path.write_bytes(signed("a", "else", html=True)),
    "link": lambda path: path.symlink_to("nowhere"),
    "directory": lambda path: path.mkdir(),
    "pipe": lambda path: os.mkfifo(path),
}


@pytest.mark.usefixtures("_either_way")
@pytest.mark.timeout(20)
@pytest.mark.parametrize("make", PEOPLES.values(), ids=PEOPLES.keys())
def test_what_is_theirs_stays(path: Path, make: Callable[[Path], object]) -> None:
    make(path)
    theirs = path.lstat()
    beside = path.with_name("STATUS (2).html")
    for text in ("first", "second"):
        assert renew(OWN, path, text, ABOUT, html=True) == beside
    assert os.path.samestat(path.lstat(), theirs)
    assert listing(path.parent) == ["STATUS (2).html", "STATUS.html"]


def test_what_somebody_puts_there_at_the_last_moment_stays(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    renew(OWN, path, "first", ABOUT)
    exchange = moves.exchange

    def late(directory: int, one: str, other: str) -> None:
        monkeypatch.setattr(made, "exchange", exchange)
        path.unlink()
        path.write_text("mine")
        exchange(directory, one, other)

    monkeypatch.setattr(made, "exchange", late)
    assert renew(OWN, path, "second", ABOUT) == path.with_name("STATUS (2).html")
    assert path.read_text() == "mine"
    assert listing(path.parent) == ["STATUS (2).html", "STATUS.html"]


def test_where_all_names_are_taken_nothing_is_written(path: Path) -> None:
    names = [path.name, *(f"STATUS ({number}).html" for number in range(2, MOST_RENEWED + 1))]
    for name in names:
        path.with_name(name).write_text("mine")
    with pytest.raises(FileExistsError):
        renew(OWN, path, "first", ABOUT)
    assert listing(path.parent) == sorted(names)


def test_a_text_that_could_not_be_written_leaves_the_old_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    renew(OWN, path, "first", ABOUT)

    def full(_self: Any, _data: bytes) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(made.Made, "write", full)
    with pytest.raises(OSError, match="full"):
        renew(OWN, path, "second", ABOUT)
    assert path.read_text().startswith("first\n")
    assert listing(path.parent) == [path.name]
