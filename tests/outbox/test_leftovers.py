"""Hidden files of crashed processes go; what is being written, and what is anybody else's, stays."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from flashvsr.files import trees
from flashvsr.files.texts import _write_beside
from flashvsr.outbox.leftovers import remove_all, remove_texts
from flashvsr.outbox.publish import temporary_for
from flashvsr.outbox.source import _hidden_name

OLD, LIMIT, YOUNG = 1_000_000_000, 1_000_000_500, 1_000_001_000
RUNNING, OVER, FORGOTTEN = 3, 4, 77


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Path]:
    outbox = tmp_path / "outbox"
    (outbox / "clips" / "season 1").mkdir(parents=True)
    trees.guard([outbox])
    yield outbox
    trees.guard([])


def put(path: Path, moment: float = OLD) -> Path:
    path.write_bytes(b"half of it")
    os.utime(path, (moment, moment))
    return path


def text(directory: Path, moment: float = OLD) -> Path:
    return put(_write_beside(directory / "a.mp4.error.txt", "why"), moment)


def files(root: Path) -> set[Path]:
    return {path for path in root.rglob("*") if not path.is_dir()}


def test_what_nobody_writes_any_more_goes_anywhere_in_an_outbox(outbox: Path) -> None:
    deep = outbox / "clips" / "season 1"
    for number in (OVER, FORGOTTEN):
        put(temporary_for(deep / "a.mp4", number))
    put(temporary_for(deep / "no suffix", OVER))
    for directory in (outbox, deep):
        text(directory)
    stays = {
        put(deep / "a.mp4"),
        put(deep / ".flashvsr-notes.txt"),
        put(deep / ".flashvsr-4.part"),
        put(temporary_for(deep / "a.mp4", RUNNING)),
        put(temporary_for(deep / "a.mp4", OVER), YOUNG),
        text(deep, YOUNG),
    }
    assert remove_all(outbox, LIMIT, {RUNNING}) == 5
    assert files(outbox) == stays


def test_in_an_inbox_only_texts_go_and_only_beside_the_preset(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    text(tmp_path)
    source = tmp_path / _hidden_name((1, 2, 3, OLD * 10**9))
    stays = {put(source), put(temporary_for(tmp_path / "a.mp4", OVER)), text(tmp_path / "mine"), text(tmp_path, YOUNG)}
    assert remove_texts(tmp_path, LIMIT) == 1
    assert files(tmp_path) == stays


def test_no_link_leads_out(outbox: Path, tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir()
    precious = text(private)
    (outbox / "clips" / "link").symlink_to(private)
    assert remove_all(outbox, LIMIT, ()) == 0
    (outbox / "clips").rename(outbox / "away")
    (outbox / "clips").symlink_to(private)
    assert remove_all(outbox / "clips", LIMIT, ()) == 0
    assert precious.exists()


def test_where_nothing_was_ever_put(tmp_path: Path) -> None:
    assert remove_all(tmp_path / "none", LIMIT, ()) == remove_texts(tmp_path / "none", LIMIT) == 0
