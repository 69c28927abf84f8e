"""Small files of the service's own: what is in them, and what lies in their place."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from flashvsr.files import objects
from flashvsr.files.objects import Unusable, clear_name, object_of, read_object, set_aside


def test_an_object_is_read_and_a_missing_file_is_none(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    assert read_object(path) is None
    path.write_text('{"name": "caf\\udce9"}')
    assert read_object(path) == {"name": "caf\udce9"}


@pytest.mark.parametrize("text", ["", "[]", "1", "null", "{", "[" * 100_000, "9" * 5_000])
def test_what_is_no_object_is_told(text: str) -> None:
    with pytest.raises(Unusable):
        object_of(text)


def test_no_more_is_read_than_allowed(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}" + " " * (2 << 20))
    with pytest.raises(Unusable, match="larger than 2 MiB"):
        read_object(tmp_path / "x.json", 2 << 20)
    assert read_object(tmp_path / "x.json", (2 << 20) + 2) == {}


def test_a_disk_that_fails_is_no_content(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(NotADirectoryError):
        read_object(tmp_path / "x.json" / "y.json")


def test_a_name_is_cleared_of_what_is_not_wanted_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "x"
    assert clear_name(path) is None
    path.write_text("a file")
    assert clear_name(path) is None
    assert clear_name(path, stat.S_ISDIR) == tmp_path / "x.damaged"
    path.symlink_to("x.damaged")
    assert clear_name(path) == tmp_path / "x.damaged-2"
    assert (tmp_path / "x.damaged").read_text() == "a file"
    os.mkfifo(path)
    assert clear_name(path) == tmp_path / "x.damaged-3"
    assert not os.path.lexists(path)
    assert caplog.text.count("was in the way and is none of ours") == 3


def test_nothing_that_was_set_aside_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "aside"
    folder.mkdir()
    for content in ("1", "2", "3"):
        (tmp_path / "x").write_text(content)
        set_aside(tmp_path / "x", folder)
    assert [path.read_text() for path in sorted(folder.iterdir())] == ["1", "2", "3"]
    monkeypatch.setattr(objects, "MOST", 3)
    (tmp_path / "x").write_text("4")
    with pytest.raises(FileExistsError):
        set_aside(tmp_path / "x", folder)
    assert (tmp_path / "x").read_text() == "4"
