"""A partial video is published once, whenever the worker dies."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from flashvsr.outbox.intent import Intent
from flashvsr.outbox.publish import new_result, publish


class Died(BaseException):
    pass


def make(outbox: Path, name: str, record: Callable[[Path, int, int], None]) -> Path:
    with new_result(outbox / ".flashvsr-1-0123abcd.mp4.part") as made:
        made.write(b"half a film")
        return publish(made, outbox / name, record)


@pytest.mark.parametrize("name", ["a_partial.mp4", "r\u00e4w\udcff\n_partial.mp4"])
def test_known_after_the_rename_and_not_before(tmp_path: Path, name: str) -> None:
    outbox = tmp_path / "outbox"
    outbox.mkdir()
    (outbox / name).write_bytes(b"somebody else's")
    intent = Intent(tmp_path / "partial.json", "240 frames")
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
    assert Intent(tmp_path / "partial.json", "480 frames").fulfilled() is None  # more was finished since
    assert not os.path.lexists(tmp_path / "partial.tmp")


@pytest.mark.parametrize("damaged", ["{", "[]", "7", '{"content": "x"}', '{"content": "x", "result": 7}', "[" * 99999])
def test_a_damaged_file_tells_nothing(tmp_path: Path, damaged: str) -> None:
    (tmp_path / "partial.json").write_text(damaged)
    assert Intent(tmp_path / "partial.json", "x").fulfilled() is None
