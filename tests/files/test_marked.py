"""Texts of ours beside people's: what is theirs is never replaced or removed, whatever its name."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flashvsr.files import marked, moves
from flashvsr.files.marked import LARGEST, MOST_NUMBERED, put, signed, withdraw
from flashvsr.files.trees import NO_LINKS

ABOUT = "a.mov"


def listing(place: Path) -> list[str]:
    return sorted(path.name for path in place.iterdir())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.mov.error.txt"


def test_ours_is_replaced_and_removed(path: Path) -> None:
    assert put(NO_LINKS, path, "first", ABOUT) == path
    assert put(NO_LINKS, path, "second", ABOUT) == path
    assert path.read_text().startswith("second\n# flashvsr wrote this.")
    assert listing(path.parent) == [path.name]
    withdraw(NO_LINKS, path, ABOUT)
    withdraw(NO_LINKS, path, ABOUT)
    assert listing(path.parent) == []
    withdraw(NO_LINKS, path.parent / "nowhere" / "x.txt", ABOUT)


def test_the_same_text_is_not_written_again(path: Path) -> None:
    put(NO_LINKS, path, "why", ABOUT)
    before = path.stat()
    assert put(NO_LINKS, path, "why", ABOUT) == path
    assert path.stat() == before


def link_to_ours(path: Path) -> None:
    path.with_name("b").write_bytes(signed("why", ABOUT))
    path.symlink_to(path.with_name("b"))


PEOPLES: dict[str, Callable[[Path], object]] = {
    "note": lambda path: path.write_text("mine"),
    "empty": lambda path: path.touch(),
    "ours with a line more": lambda path: path.write_bytes(signed("why", ABOUT) + b"I know\n"),
    "ours with a line before": lambda path: path.write_bytes(b"I know\n" + signed("why", ABOUT)),
    "ours with other line ends": lambda path: path.write_bytes(signed("why", ABOUT).replace(b"\n", b"\r\n")),
    "ours about something else": lambda path: path.write_bytes(signed("why", "b.mov")),
    "large": lambda path: path.write_bytes(b"x" * (LARGEST + 1)),
    "link": lambda path: path.symlink_to("nowhere"),
    "link to one of ours": link_to_ours,
    "directory": lambda path: path.mkdir(),
    "pipe": lambda path: os.mkfifo(path),
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("make", PEOPLES.values(), ids=PEOPLES.keys())
def test_what_is_theirs_stays_and_ours_is_numbered(path: Path, make: Callable[[Path], object]) -> None:
    make(path)
    theirs = path.lstat()
    beside = path.with_name("a.mov.error (2).txt")
    for text in ("first", "second"):
        assert put(NO_LINKS, path, text, ABOUT) == beside
        assert beside.read_text().startswith(text)
    withdraw(NO_LINKS, path, ABOUT)
    assert not beside.exists()
    assert path.lstat() == theirs


def test_ours_is_found_behind_a_gap(path: Path) -> None:
    """The person took their own away meanwhile, and ours still has its number."""
    path.write_text("mine")
    put(NO_LINKS, path, "why", ABOUT)
    path.unlink()
    assert put(NO_LINKS, path, "why", ABOUT).name == "a.mov.error (2).txt"  # the same: not written again
    assert listing(path.parent) == ["a.mov.error (2).txt"]
    assert put(NO_LINKS, path, "why not", ABOUT) == path
    assert listing(path.parent) == [path.name]
    (path.parent / "a.mov.error (2).txt").write_bytes(signed("why", ABOUT))
    withdraw(NO_LINKS, path, ABOUT)
    assert listing(path.parent) == []


def test_a_text_without_end_is_cut_and_known_again(path: Path) -> None:
    for letter in "xü":
        assert put(NO_LINKS, path, letter * (2 * LARGEST), ABOUT) == path
    assert listing(path.parent) == [path.name]
    assert LARGEST - 1000 < path.stat().st_size <= LARGEST


def test_a_change_at_the_last_moment_is_kept(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(NO_LINKS, path, "why", ABOUT)
    move = moves.move_new

    def saved(*arguments: Any) -> None:
        if path.exists():
            path.write_text("mine, saved in that very moment")
        move(*arguments)

    monkeypatch.setattr(marked, "move_new", saved)
    withdraw(NO_LINKS, path, ABOUT)
    assert path.read_text() == "mine, saved in that very moment"
    assert listing(path.parent) == [path.name]


def test_long_names_of_two_sources_that_become_one(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 245 + ".error.txt")
    first, second = (put(NO_LINKS, path, f"about {about}", about) for about in ("x" * 250 + "1", "x" * 250 + "2"))
    assert first == path
    assert second.name.endswith(" (2).txt")
    assert put(NO_LINKS, path, "why", "x" * 250 + "2") == second
    withdraw(NO_LINKS, path, "x" * 250 + "1")
    assert listing(tmp_path) == [second.name]


def test_so_many_files_of_that_name_that_looking_takes_long_are_an_error(path: Path) -> None:
    """Whoever may write there could lay down tens of thousands, as links to one large file."""
    path.write_text("mine")
    for number in range(2, MOST_NUMBERED + 1):
        os.link(path, path.with_name(f"a.mov.error ({number}).txt"))
    with pytest.raises(FileExistsError, match=f"{MOST_NUMBERED} files of that name lie there already; remove them"):
        put(NO_LINKS, path, "text", ABOUT)
    withdraw(NO_LINKS, path, ABOUT)
    assert len(listing(path.parent)) == MOST_NUMBERED
    assert path.read_text() == "mine"
