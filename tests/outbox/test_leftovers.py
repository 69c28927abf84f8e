"""Hidden files of crashed processes go; what is being written, and what is anybody else's, stays."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest

from flashvsr.files import at
from flashvsr.files.texts import hidden_text_name
from flashvsr.files.trees import NO_LINKS, Trees
from flashvsr.outbox.disposal import _hidden_name
from flashvsr.outbox.leftovers import remove_all, remove_texts
from flashvsr.outbox.publish import Outbox

OUTBOX = Outbox(NO_LINKS)

OLD, LIMIT, YOUNG = 1_000_000_000, 1_000_000_500, 1_000_001_000
RUNNING, OVER, FORGOTTEN = 3, 4, 77


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    outbox = tmp_path / "outbox"
    (outbox / "clips" / "season 1").mkdir(parents=True)
    return outbox


def put(path: Path, moment: float = OLD) -> Path:
    path.write_bytes(b"half of it")
    os.utime(path, (moment, moment))
    return path


def text(directory: Path, moment: float = OLD) -> Path:
    return put(directory / hidden_text_name(), moment)


def looking_like_ours(place: Path) -> list[Path]:
    """People's: the names are not quite those, or it is no file."""
    paths = [put(place / name) for name in (".flashvsr-4-notes.mp4.part", ".flashvsr-4-0123abcd.tmp.txt")]
    for path in (place / hidden_text_name(), place / ".flashvsr-4-0123abcd.mkv.part"):
        path.symlink_to("nowhere")
        os.utime(path, (OLD, OLD), follow_symlinks=False)
        paths.append(path)
    return paths


def files(root: Path) -> set[Path]:
    return {path for path in root.rglob("*") if not path.is_dir()}


def test_what_nobody_writes_any_more_goes_anywhere_in_an_outbox(outbox: Path) -> None:
    deep = outbox / "clips" / "season 1"
    for number in (OVER, FORGOTTEN):
        put(OUTBOX.temporary_for(deep / "a.mp4", number))
    put(OUTBOX.temporary_for(deep / "no suffix", OVER))
    for directory in (outbox, deep):
        text(directory)
    stays = {
        put(deep / "a.mp4"),
        put(deep / ".flashvsr-notes.txt"),
        put(deep / ".flashvsr-4.part"),
        put(OUTBOX.temporary_for(deep / "a.mp4", RUNNING)),
        put(OUTBOX.temporary_for(deep / "a.mp4", OVER), YOUNG),
        text(deep, YOUNG),
        *looking_like_ours(deep),
    }
    assert remove_all(Trees((outbox,)), outbox, LIMIT, {RUNNING}) == 5
    assert files(outbox) == stays


def test_in_an_inbox_only_texts_go_and_only_beside_the_preset(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    text(tmp_path)
    source = tmp_path / _hidden_name((1, 2, 3, OLD * 10**9))
    stays = {
        put(source),
        put(OUTBOX.temporary_for(tmp_path / "a.mp4", OVER)),
        text(tmp_path / "mine"),
        text(tmp_path, YOUNG),
    }
    assert remove_texts(NO_LINKS, tmp_path, LIMIT) == 1
    assert files(tmp_path) == stays


def test_no_link_leads_out(outbox: Path, tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir()
    precious = text(private)
    (outbox / "clips" / "link").symlink_to(private)
    assert remove_all(Trees((outbox,)), outbox, LIMIT, ()) == 0
    (outbox / "clips").rename(outbox / "away")
    (outbox / "clips").symlink_to(private)
    assert remove_all(Trees((outbox,)), outbox / "clips", LIMIT, ()) == 0
    assert precious.exists()


def test_where_nothing_was_ever_put(tmp_path: Path) -> None:
    assert remove_all(NO_LINKS, tmp_path / "none", LIMIT, ()) == remove_texts(NO_LINKS, tmp_path / "none", LIMIT) == 0


def test_a_job_removes_its_own_temporaries_alone(outbox: Path) -> None:
    put(OUTBOX.temporary_for(outbox / "a.mp4", OVER))
    stays = {*looking_like_ours(outbox), put(OUTBOX.temporary_for(outbox / "a.mp4", FORGOTTEN)), put(outbox / "a.mp4")}
    assert Outbox(Trees((outbox,))).remove_temporaries(outbox, OVER) == 1
    assert files(outbox) == stays
    assert Outbox(Trees((outbox,))).remove_temporaries(outbox / "none", OVER) == 0


def test_a_deep_tree_ends_nothing(outbox: Path) -> None:
    """Deeper than an inbox is looked into lies no result; what is above is found."""
    deep = outbox / "clips"
    put(OUTBOX.temporary_for(deep / "a.mp4", OVER))
    place = os.open(deep, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=place)
        inner = os.open("d", os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = inner
    os.close(place)
    assert remove_all(Trees((outbox,)), outbox, LIMIT, ()) == 1
    subprocess.run(["rm", "-r", deep], check=True)  # what Python's own rmtree cannot


def test_only_names_that_are_quite_ours_are_ours(tmp_path: Path, outbox: Path) -> None:
    names = [".flashvsr-4-0123abcd.tmp.txt", ".flashvsr-\u0663-0123abcd.tmp", ".flashvsr-4-0123ABCD.tmp", "x.tmp"]
    names += [".flashvsr-4-0123abcd.mp4.part.bak", ".flashvsr-\u0664-0123abcd.mp4.part"]
    stays = {put(outbox / name) for name in names}
    trees = Trees((outbox,))
    assert remove_texts(trees, outbox, LIMIT) == remove_all(trees, outbox, LIMIT, ()) == 0
    assert Outbox(trees).remove_temporaries(outbox, 4) == 0
    assert files(outbox) == stays


def test_what_was_written_at_the_limit_stays(outbox: Path) -> None:
    stays = text(outbox, LIMIT)
    text(outbox, LIMIT - 1)
    assert remove_texts(Trees((outbox,)), outbox, LIMIT) == 1
    assert files(outbox) == {stays}


def test_what_its_owner_removes_meanwhile_keeps_no_other(
    outbox: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        text(outbox)
    look, asked = at.status, []

    def first_is_gone(directory: int, name: str) -> os.stat_result:
        asked.append(name)
        if len(asked) == 1:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory")
        return look(directory, name)

    monkeypatch.setattr(at, "status", first_is_gone)
    assert remove_texts(Trees((outbox,)), outbox, LIMIT) == 2
    assert remove_texts(Trees((outbox,)), outbox / "none", LIMIT) == 0
    assert caplog.text == "", "nothing is wrong with that"
