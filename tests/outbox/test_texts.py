"""Texts of ours in an outbox, and how a published result is known again."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from flashvsr.errors import Transient
from flashvsr.files import marked
from flashvsr.files.moves import MTIME_SLACK_NS
from flashvsr.files.trees import NO_LINKS, Trees
from flashvsr.outbox.publish import Outbox

OUTBOX = Outbox(NO_LINKS)

MOMENT = 1_700_000_000_000_000_000


@pytest.fixture
def result(tmp_path: Path) -> Path:
    result = tmp_path / "out" / "a.mp4"
    result.parent.mkdir()
    result.write_bytes(b"result")
    os.utime(result, ns=(MOMENT, MOMENT))
    return result


@pytest.mark.parametrize("late", [0, MTIME_SLACK_NS - 1, 1 - MTIME_SLACK_NS])
def test_a_result_is_known_by_its_size_and_time(result: Path, late: int) -> None:
    assert OUTBOX.already_published(result, 6, MOMENT + late)
    assert not OUTBOX.already_published(result, 5, MOMENT + late)
    assert not OUTBOX.already_published(result.with_name("b.mp4"), 6, MOMENT + late)


@pytest.mark.parametrize("late", [MTIME_SLACK_NS, -MTIME_SLACK_NS, 10**15, -(10**15)])
def test_another_time_is_another_file(result: Path, late: int) -> None:
    assert not OUTBOX.already_published(result, 6, MOMENT + late)


def test_a_link_is_no_result(result: Path) -> None:
    link = result.with_name("link.mp4")
    link.symlink_to("a.mp4x")  # as long as the result
    os.utime(link, ns=(MOMENT, MOMENT), follow_symlinks=False)
    assert not OUTBOX.already_published(link, 6, MOMENT)


def test_a_share_that_does_not_answer_says_nothing(result: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*_: object) -> None:
        raise OSError(errno.EHOSTDOWN, "Host is down")

    monkeypatch.setattr(Trees, "lstat", silent)
    with pytest.raises(Transient, match=f"cannot look for {result}: Host is down"):
        OUTBOX.already_published(result, 6, MOMENT)


def test_only_names_that_are_free_are_recorded(result: Path) -> None:
    result.with_name("a (2).mp4").mkdir()
    told: list[Path] = []
    with OUTBOX.new_result(OUTBOX.temporary_for(result, 1)) as made:
        made.write(b"another")
        published = OUTBOX.publish(made, result, lambda path, *_: told.append(path))
    assert told == [published] == [result.with_name("a (3).mp4")]


@pytest.mark.parametrize("content", ["mine", None])
def test_an_error_text_is_taken_back_only_while_it_is_ours(result: Path, content: str | None) -> None:
    path = OUTBOX.write_error_text(result.parent, "a.mov", "no picture\n")
    if content is not None:
        path.write_text(content)
    OUTBOX.remove_error_text(result.parent, "a.mov")
    assert path.exists() == (content is not None)
    OUTBOX.remove_error_text(result.parent, "a.mov")


def test_what_cannot_be_taken_back_is_told(result: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(marked, "withdraw", refuse)
    with pytest.raises(Transient, match=r"cannot remove .*a\.mov\.error\.txt: Read-only"):
        OUTBOX.remove_error_text(result.parent, "a.mov")


@pytest.mark.parametrize("name", ["n" * 251 + ".mp4", "ä" * 125 + ".mp4"], ids=["ascii", "wide"])
def test_texts_about_names_as_long_as_names_get(result: Path, name: str) -> None:
    for number in (1, 2):
        report = OUTBOX.write_report(result.with_name(name), f"frames = {number}\n")
        told = OUTBOX.write_error_text(result.parent, name, f"no picture {number}\n")
        assert report.read_text().startswith(f"frames = {number}\n")
        assert told.read_text().startswith(f"no picture {number}\n")
        assert (report.name[:9], told.name[:9]) == (name[:9], name[:9])
        assert (report.name[-12:], told.name[-10:]) == (".report.toml", ".error.txt")
    assert set(result.parent.iterdir()) == {result, report, told}


def test_our_texts_are_known_again_where_the_share_is_mounted_elsewhere(result: Path) -> None:
    OUTBOX.write_report(result, "frames = 1\n")
    OUTBOX.write_error_text(result.parent, "a.mov", "no picture\n")
    moved = result.parent.rename(result.parent.with_name("mounted elsewhere"))
    assert OUTBOX.write_report(moved / "a.mp4", "frames = 2\n") == moved / "a.mp4.report.toml"
    assert OUTBOX.write_error_text(moved, "a.mov", "no sound\n") == moved / "a.mov.error.txt"
    OUTBOX.remove_error_text(moved, "a.mov")
    assert sorted(path.name for path in moved.iterdir()) == ["a.mp4", "a.mp4.report.toml"]
    assert (moved / "a.mp4.report.toml").read_text().startswith("frames = 2\n")
