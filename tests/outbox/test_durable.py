"""The order in which what people get, and what is known of it, comes onto the disk: a power cut loses none of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flashvsr.files.at import identity
from flashvsr.files.trees import NO_LINKS
from flashvsr.outbox.disposal import settle_source
from flashvsr.outbox.intent import Intent
from flashvsr.outbox.publish import Outbox
from kits.durable import Steps

OUTBOX = Outbox(NO_LINKS)

# A text of ours that lies in a directory `out`, under its first name.
WRITTEN = ["sync out/.flashvsr.tmp", "name out/.flashvsr.tmp -> out/{0}", "remove out/.flashvsr.tmp", "sync out/"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "inbox" / "clip.mov"
    path.parent.mkdir()
    path.write_bytes(b"a film")
    return path


def settled(source: Path, action: str, archive: Path) -> Path | None:
    return settle_source(NO_LINKS, source, identity(source.lstat()), action, archive, source.name)


def test_a_source_is_moved_into_the_archive(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(monkeypatch, tmp_path)
    assert settled(source, "archive", tmp_path / "state" / "archive") is not None
    assert steps.about("state", "inbox") == [
        "make state/",
        *["make state/archive/", "sync state/"],
        "name inbox/clip.mov -> state/archive/clip.mov",
        *["sync state/archive/", "sync inbox/"],
    ]


REMOVED = ["name inbox/clip.mov -> inbox/.flashvsr.part", "remove inbox/.flashvsr.part", "sync inbox/"]


def test_a_source_goes_when_its_copy_on_another_disk_is_there_to_stay(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    steps = Steps(monkeypatch, tmp_path, other_disk=archive)
    assert settled(source, "archive", archive) == archive / "clip.mov"
    assert steps.taken == [
        "sync archive/.flashvsr.part",
        "name archive/.flashvsr.part -> archive/clip.mov",
        "sync archive/",
        *REMOVED,
    ]
    assert (archive / "clip.mov").read_bytes() == b"a film"


def test_a_copy_of_an_attempt_before_is_there_to_stay_before_the_source_goes(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attempt may have ended just after it gave the copy its name."""
    archive = tmp_path / "archive"
    archive.mkdir()
    (archive / "clip.mov").write_bytes(b"a film")
    status = source.stat()
    os.utime(archive / "clip.mov", ns=(status.st_atime_ns, status.st_mtime_ns))
    steps = Steps(monkeypatch, tmp_path, other_disk=archive)
    assert settled(source, "archive", archive) == archive / "clip.mov"
    assert steps.taken == ["sync archive/", *REMOVED]


def test_a_source_is_deleted(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(monkeypatch, tmp_path)
    settled(source, "delete", tmp_path / "archive")
    assert steps.taken == REMOVED


def test_a_result_without_a_row_gets_its_name_when_its_intent_is_there_to_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a partial video does: what is published, what is known of it, its name, its folder."""
    (tmp_path / "work").mkdir()
    target = tmp_path / "out" / "clip_partial.mp4"
    steps = Steps(monkeypatch, tmp_path)
    with OUTBOX.new_result(OUTBOX.temporary_for(target, 1)) as made:
        made.write(b"the first frames")
        OUTBOX.publish(made, target, Intent(tmp_path / "work" / "partial.json", "3", OUTBOX).record)
    assert steps.about("out", "work") == [
        "make out/",
        "sync out/.flashvsr.mp4.part",
        *["sync work/.flashvsr.tmp", "name work/.flashvsr.tmp -> work/partial.json", "sync work/"],
        "name out/.flashvsr.mp4.part -> out/clip_partial.mp4",
        *["remove out/.flashvsr.mp4.part", "sync out/"],
    ]


def test_the_folder_of_a_result_is_there_to_stay_before_anything_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").mkdir()
    steps = Steps(monkeypatch, tmp_path)
    OUTBOX.temporary_for(tmp_path / "out" / "a" / "b" / "clip.mp4", 1)
    assert steps.taken == ["make out/a/", "sync out/", "make out/a/b/", "sync out/a/"]


def test_a_result_on_a_share_without_links_and_renames_that_refuse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is reserved by an empty file then, and what replaces it is on the disk."""
    target = tmp_path / "clip.mp4"

    def refuse(*_: object, **__: object) -> None:
        raise OSError(95, "Operation not supported")

    with OUTBOX.new_result(OUTBOX.temporary_for(target, 1)) as made:
        made.write(b"the film")
        monkeypatch.setattr("flashvsr.files.moves._rename_noreplace", refuse)
        monkeypatch.setattr(os, "link", refuse)
        steps = Steps(monkeypatch, tmp_path)
        made.write(b", to its end")
        OUTBOX.publish(made, target, lambda *_: steps.note("record"))
    assert steps.taken == [
        "sync .flashvsr.mp4.part",
        "record",
        "name .flashvsr.mp4.part -> clip.mp4",
        "sync ./",
    ]
    assert target.read_bytes() == b"the film, to its end"


def test_an_error_text_and_a_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    out.mkdir()
    steps = Steps(monkeypatch, tmp_path)
    OUTBOX.write_error_text(out, "clip.mov", "no video")
    assert steps.taken == [step.format("clip.mov.error.txt") for step in WRITTEN]
    steps.taken.clear()
    OUTBOX.write_report(out / "clip.mp4", "frames = 3")
    assert steps.taken == [step.format("clip.mp4.report.toml") for step in WRITTEN]


def test_a_text_that_replaces_another_is_on_the_disk_before_that_one_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    OUTBOX.write_error_text(out, "clip.mov", "no video")
    steps = Steps(monkeypatch, tmp_path)
    OUTBOX.write_error_text(out, "clip.mov", "still no video")
    assert steps.taken == [
        WRITTEN[0],
        *["name out/clip.mov.error.txt -> out/.flashvsr.tmp", "remove out/.flashvsr.tmp", "sync out/"],
        *[step.format("clip.mov.error.txt") for step in WRITTEN[1:]],
    ]
