"""An old default is written into settings that name none, and nothing else of them changes."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from flashvsr.errors import BadConfig
from flashvsr.settings.carry_over import NAMED, REFUSED, WRITTEN, main, with_default


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[paths]\ninbox = '/in'",
        "# mine\n\n[watch]\nobserver = 'poll'\n\n[queue]\nmax_attempts = 2\n",
        "[ watch ] # how\n",
        "[queue]\nmax_attempts = 2\n[watch]",
        "[[inbox]]\npath = '/a'\noutbox = '/b'\n",
        "x = '''\n[watch]\n'''\n",
    ],
)
def test_it_is_added_where_it_belongs(text: str) -> None:
    if "'''" in text:
        with pytest.raises(BadConfig):
            with_default(text, "watch", "on_success", "archive")
        return
    after = with_default(text, "watch", "on_success", "archive")
    assert after is not None
    data = tomllib.loads(text)
    assert tomllib.loads(after) == data | {"watch": data.get("watch", {}) | {"on_success": "archive"}}
    assert all(line in after.splitlines() for line in text.splitlines())


def test_one_that_is_named_stays() -> None:
    assert with_default("[watch]\non_success = 'keep'\n", "watch", "on_success", "archive") is None


@pytest.mark.parametrize("text", ["watch = 3", "[watch", "watch = { observer = 'poll' }", "watch.observer = 'poll'\n"])
def test_what_no_line_can_be_added_to_is_for_a_person(text: str, tmp_path: Path) -> None:
    with pytest.raises(BadConfig):
        with_default(text, "watch", "on_success", "archive")
    file = tmp_path / "flashvsr.toml"
    file.write_text(text)
    assert main([str(file), "watch", "on_success", "archive"]) == REFUSED
    assert file.read_text() == text
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_keeps_its_rights_and_its_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real.toml", tmp_path / "flashvsr.toml"
    real.write_text("[watch]\n")
    real.chmod(0o640)
    link.symlink_to(real)
    assert main([str(link), "watch", "on_success", "archive"]) == WRITTEN
    assert main([str(link), "watch", "on_success", "archive"]) == NAMED
    assert link.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert tomllib.loads(real.read_text()) == {"watch": {"on_success": "archive"}}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["flashvsr.toml", "real.toml"]


def test_a_file_that_cannot_be_read_is_for_a_person(tmp_path: Path) -> None:
    assert main([str(tmp_path / "none"), "watch", "on_success", "archive"]) == REFUSED
