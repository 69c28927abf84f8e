"""A partial video is published once, whenever the worker dies."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from flashvsr.errors import Transient
from flashvsr.files.trees import NO_LINKS
from flashvsr.outbox import intent as module
from flashvsr.outbox.intent import Intent
from flashvsr.outbox.publish import Outbox

OUTBOX = Outbox(NO_LINKS)


class Died(BaseException):
    pass


def make(outbox: Path, name: str, record: Callable[[Path, int, int], None]) -> Path:
    with OUTBOX.new_result(outbox / ".flashvsr-1-0123abcd.mp4.part") as made:
        made.write(b"half a film")
        return OUTBOX.publish(made, outbox / name, record)


@pytest.mark.parametrize("name", ["a_partial.mp4", "r\u00e4w\udcff\n_partial.mp4"])
def test_known_after_the_rename_and_not_before(tmp_path: Path, name: str) -> None:
    outbox = tmp_path / "outbox"
    outbox.mkdir()
    (outbox / name).write_bytes(b"somebody else's")
    intent = Intent(tmp_path / "partial.json", "240 frames", OUTBOX)
    assert intent.fulfilled() is None

    def die(result: Path, size: int, mtime_ns: int) -> None:
        intent.record(result, size, mtime_ns)
        raise Died

    with pytest.raises(Died):
        make(outbox, name, die)
    assert intent.fulfilled() is None
    published = make(outbox, name, intent.record)
    assert intent.fulfilled() == published
    assert published.read_bytes() == b"half a film"
    assert Intent(tmp_path / "partial.json", "480 frames", OUTBOX).fulfilled() is None  # more was finished since
    assert not os.path.lexists(tmp_path / "partial.tmp")


TOLD = {"content": "x", "result": "/out/a.mp4", "size": 1, "mtime_ns": 2}


def folder(path: Path) -> None:
    path.mkdir()
    (path / "inside").touch()


def link(path: Path) -> None:
    path.with_name("elsewhere").write_text(json.dumps(TOLD))
    path.symlink_to("elsewhere")


def text(content: str | bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content if isinstance(content, bytes) else content.encode())


@pytest.mark.parametrize(
    "spoil",
    [
        *(text(""), text("{"), text("[]"), text("null"), text('"x"'), text("{}"), text("[" * 100_000)),
        *(text(b"\xff\xfe"), text("9" * 9_999), text(json.dumps(TOLD) + " " * (1 << 21))),
        *(text(json.dumps(TOLD | {"result": value})) for value in (None, 3, ["a"], "a\0b", "\ud800")),
        *(text(json.dumps(TOLD | {name: "1"})) for name in ("size", "mtime_ns")),
        *(text(json.dumps({key: TOLD[key] for key in TOLD if key != name})) for name in TOLD),
        *(folder, link, os.mkfifo),
    ],
)
def test_a_file_of_any_content_tells_nothing_and_stops_nothing(tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    outbox = tmp_path / "outbox"
    outbox.mkdir()
    intent = Intent(tmp_path / "partial.json", "x", OUTBOX)
    spoil(intent.path)
    assert intent.fulfilled() is None
    published = make(outbox, "a_partial.mp4", intent.record)
    assert intent.fulfilled() == published


def test_what_lies_there_now_must_be_what_was_published(tmp_path: Path) -> None:
    result = tmp_path / "a_partial.mp4"
    result.write_bytes(b"half a film")
    stat = result.stat()
    intent = Intent(tmp_path / "partial.json", "x", OUTBOX)
    intent.record(result, stat.st_size, stat.st_mtime_ns)
    assert intent.fulfilled() == result
    for told in ({"mtime_ns": "1"}, {"mtime_ns": None}, {"size": 1}, {"mtime_ns": stat.st_mtime_ns - 10**10}):
        content = {"content": "x", "result": str(result), "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
        intent.path.write_text(json.dumps(content | told))
        assert intent.fulfilled() is None


def test_a_disk_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Transient, match=r"cannot write .*partial\.json"):
        Intent(tmp_path / "none" / "partial.json", "x", OUTBOX).record(tmp_path / "a.mp4", 1, 2)

    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(module, "read_object", refuse)
    with pytest.raises(Transient, match=r"cannot read .*partial\.json: Input/output error"):
        Intent(tmp_path / "partial.json", "x", OUTBOX).fulfilled()
