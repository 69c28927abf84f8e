"""The preset of an inbox on disk: written, read, explained, on shares where anything may happen."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from flashvsr.errors import BadConfig
from flashvsr.files import at, marked
from flashvsr.files.trees import NO_LINKS, OWN
from flashvsr.settings.inbox_preset import check_inbox_preset, write_default_preset
from flashvsr.settings.preset import PRESET_ERROR_NAME, PRESET_NAME, Preset, default_preset_text, load_preset


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_default_preset_is_written_whole_and_loads(tmp_path: Path) -> None:
    path = tmp_path / PRESET_NAME
    write_default_preset(NO_LINKS, path, default_quality=8)
    assert path.read_text() == default_preset_text(8)
    assert load_preset(NO_LINKS, path) == Preset(quality=8)
    assert listing(tmp_path) == [PRESET_NAME]


def test_the_default_preset_never_replaces_one(tmp_path: Path) -> None:
    path = tmp_path / PRESET_NAME
    path.write_text("width = 640\n")
    write_default_preset(NO_LINKS, path)
    assert path.read_text() == "width = 640\n"
    assert listing(tmp_path) == [PRESET_NAME]


def test_the_default_preset_is_written_where_there_are_no_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_args: object, **_kwargs: object) -> NoReturn:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    path = tmp_path / PRESET_NAME
    write_default_preset(NO_LINKS, path)
    assert path.read_text() == default_preset_text()
    path.write_text("width = 640\n")
    write_default_preset(NO_LINKS, path)
    assert path.read_text() == "width = 640\n"
    assert listing(tmp_path) == [PRESET_NAME]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o002, 0o664)])
def test_written_files_respect_the_umask(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        write_default_preset(NO_LINKS, tmp_path / PRESET_NAME)
        (tmp_path / "x").mkdir()
        (tmp_path / "x" / PRESET_NAME).write_text("widht = 1")
        with pytest.raises(BadConfig):
            check_inbox_preset(NO_LINKS, tmp_path / "x")
    finally:
        os.umask(before)
    for path in (tmp_path / PRESET_NAME, tmp_path / "x" / PRESET_ERROR_NAME):
        assert stat.S_IMODE(path.stat().st_mode) == mode


def test_an_inbox_without_preset_gets_one(tmp_path: Path) -> None:
    assert check_inbox_preset(NO_LINKS, tmp_path, 7) == Preset(quality=7)
    assert listing(tmp_path) == [PRESET_NAME]


def test_a_wrong_preset_is_explained_beside_it_until_mended(tmp_path: Path) -> None:
    preset, explanation = tmp_path / PRESET_NAME, tmp_path / PRESET_ERROR_NAME
    preset.write_text("width = 100\nfitt = 'pad'\n")
    with pytest.raises(BadConfig) as caught:
        check_inbox_preset(NO_LINKS, tmp_path)
    assert str(caught.value) in explanation.read_text()
    assert f"{preset}:1: width = 100" in explanation.read_text()

    first = explanation.stat()
    with pytest.raises(BadConfig):
        check_inbox_preset(NO_LINKS, tmp_path)
    assert explanation.stat() == first, "an unchanged explanation is not written again"

    preset.write_text("width = 960\nfitt = 'pad'\n")
    with pytest.raises(BadConfig):
        check_inbox_preset(NO_LINKS, tmp_path)
    assert "width = 100" not in explanation.read_text()
    assert "fitt: unknown key" in explanation.read_text()
    assert listing(tmp_path) == [PRESET_ERROR_NAME, PRESET_NAME]

    preset.write_text("width = 960\n")
    assert check_inbox_preset(NO_LINKS, tmp_path) == Preset(width=960)
    assert listing(tmp_path) == [PRESET_NAME]


def read_only(*_args: object, **_kwargs: object) -> NoReturn:
    raise OSError(30, "Read-only file system")


def test_an_explanation_that_cannot_be_written_is_mentioned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / PRESET_NAME).write_text("width = 100\n")
    monkeypatch.setattr(at, "create", read_only)
    with pytest.raises(BadConfig, match=r"(?s)width = 100.*could not be written to.*Read-only"):
        check_inbox_preset(NO_LINKS, tmp_path)
    assert listing(tmp_path) == [PRESET_NAME]


def test_an_explanation_that_cannot_be_removed_does_not_hold_the_inbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / PRESET_NAME).write_text("width = 100\n")
    with pytest.raises(BadConfig):
        check_inbox_preset(NO_LINKS, tmp_path)
    (tmp_path / PRESET_NAME).write_text("width = 960\n")
    monkeypatch.setattr(marked, "move_new", read_only)
    assert check_inbox_preset(NO_LINKS, tmp_path) == Preset(width=960)
    assert "cannot be removed" in caplog.text
    assert listing(tmp_path) == [PRESET_ERROR_NAME, PRESET_NAME]


PEOPLES = {
    "text": lambda path: path.write_text("why do my videos wait?\n"),
    "link": lambda path: path.symlink_to(path.parent / PRESET_NAME),
    "directory": lambda path: path.mkdir(),
    "pipe": lambda path: os.mkfifo(path),
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("put", PEOPLES.values(), ids=PEOPLES.keys())
def test_what_a_person_put_there_stays_and_the_explanation_comes_beside_it(
    tmp_path: Path, put: Callable[[Path], object]
) -> None:
    (tmp_path / PRESET_NAME).write_text("width = 100\n")
    put(tmp_path / PRESET_ERROR_NAME)
    theirs = (tmp_path / PRESET_ERROR_NAME).lstat()
    beside = "preset.error (2).txt"
    for _ in range(2):
        with pytest.raises(BadConfig):
            check_inbox_preset(NO_LINKS, tmp_path)
        assert "width = 100" in (tmp_path / beside).read_text()
        assert listing(tmp_path) == [beside, PRESET_ERROR_NAME, PRESET_NAME]
    (tmp_path / PRESET_NAME).write_text("width = 960\n")
    check_inbox_preset(NO_LINKS, tmp_path)
    assert listing(tmp_path) == [PRESET_ERROR_NAME, PRESET_NAME]
    assert (tmp_path / PRESET_ERROR_NAME).lstat().st_ino == theirs.st_ino


def test_an_explanation_that_a_person_changed_is_theirs(tmp_path: Path) -> None:
    (tmp_path / PRESET_NAME).write_text("width = 100\n")
    with pytest.raises(BadConfig):
        check_inbox_preset(NO_LINKS, tmp_path)
    with (tmp_path / PRESET_ERROR_NAME).open("a") as file:
        file.write("Anna: I will look at it on Monday\n")
    (tmp_path / PRESET_NAME).write_text("width = 960\n")
    check_inbox_preset(NO_LINKS, tmp_path)
    assert "Anna" in (tmp_path / PRESET_ERROR_NAME).read_text()


def test_a_missing_inbox_is_named_and_not_created(tmp_path: Path) -> None:
    for check in (check_inbox_preset, lambda trees, inbox: load_preset(trees, inbox / PRESET_NAME)):
        with pytest.raises(BadConfig, match="folder does not exist; is the share mounted"):
            check(NO_LINKS, tmp_path / "gone")
    assert not (tmp_path / "gone").exists()


def test_an_inbox_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadConfig, match="Not a directory"):
        check_inbox_preset(NO_LINKS, tmp_path / "file")


def test_a_folder_that_cannot_be_written_to_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(at, "create", read_only)
    with pytest.raises(BadConfig, match=r"Read-only file system.*put a preset\.toml there"):
        check_inbox_preset(NO_LINKS, tmp_path)


def test_permission_denied_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_args: object, **_kwargs: object) -> NoReturn:
        raise PermissionError(13, "Permission denied")

    (tmp_path / PRESET_NAME).touch()
    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(BadConfig, match="Permission denied; let the user that runs flashvsr read it"):
        load_preset(NO_LINKS, tmp_path / PRESET_NAME)


def test_a_link_is_not_followed_out_of_the_inbox(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("password = 'x'")
    inbox = tmp_path / "in"
    inbox.mkdir()
    (inbox / PRESET_NAME).symlink_to(secret)
    with pytest.raises(BadConfig, match="symbolic link"):
        check_inbox_preset(NO_LINKS, inbox)
    assert "password" not in (inbox / PRESET_ERROR_NAME).read_text()
    (inbox / PRESET_NAME).unlink()
    (inbox / PRESET_NAME).symlink_to(tmp_path / "nowhere")
    with pytest.raises(BadConfig, match="symbolic link"):
        check_inbox_preset(NO_LINKS, inbox)
    assert not (tmp_path / "nowhere").exists()


def test_a_link_in_place_of_the_explanation_is_not_written_through(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    inbox = tmp_path / "in"
    inbox.mkdir()
    (inbox / PRESET_NAME).write_text("x = 1")
    (inbox / PRESET_ERROR_NAME).symlink_to(victim)
    with pytest.raises(BadConfig):
        check_inbox_preset(NO_LINKS, inbox)
    assert victim.read_text() == "mine"
    assert (inbox / PRESET_ERROR_NAME).is_symlink()


def test_the_command_line_may_name_a_link(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("width = 640")
    (tmp_path / "b.toml").symlink_to("a.toml")
    assert load_preset(OWN, tmp_path / "b.toml").width == 640


@pytest.mark.timeout(20)
def test_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / PRESET_NAME)
    with pytest.raises(BadConfig, match="not a regular file"):
        load_preset(NO_LINKS, tmp_path / PRESET_NAME)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"width = 640\n# caf\xe9\n", r"preset.toml:2: byte 0xe9 is not UTF-8"),
        ("width = 640".encode("utf-16"), r"preset.toml: written as UTF-16; save the file with UTF-8"),
        ("width = 640".encode("utf-16-be"), r"preset.toml:1: a zero byte, so it is no text in UTF-8"),
        (b"# old\rwidth = 640\r", r"preset.toml:1: a line end of old Macs"),
        (b"#" * (2**16 + 1), "larger than 64 KiB"),
    ],
)
def test_what_is_no_utf8_text_is_refused(tmp_path: Path, data: bytes, expected: str) -> None:
    (tmp_path / PRESET_NAME).write_bytes(data)
    with pytest.raises(BadConfig, match=expected):
        load_preset(NO_LINKS, tmp_path / PRESET_NAME)


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / PRESET_NAME).write_bytes(b"\xef\xbb\xbf# comment\r\nwidth = 640\r\n")
    assert load_preset(NO_LINKS, tmp_path / PRESET_NAME).width == 640
    (tmp_path / PRESET_NAME).write_bytes(b"\xef\xbb\xbfseed = 1\r\nwidth = 64\r\n")
    with pytest.raises(BadConfig, match=r"preset\.toml:2: width = 64"):
        load_preset(NO_LINKS, tmp_path / PRESET_NAME)


def test_a_name_that_is_no_utf8_can_be_explained(tmp_path: Path) -> None:
    inbox = tmp_path / os.fsdecode(b"caf\xe9")
    inbox.mkdir()
    (inbox / PRESET_NAME).write_text("x = 1")
    with pytest.raises(BadConfig):
        check_inbox_preset(NO_LINKS, inbox)
    assert "x: unknown key" in (inbox / PRESET_ERROR_NAME).read_text()


def test_what_is_wrong_is_said_in_plain_words_first(tmp_path: Path) -> None:
    (tmp_path / PRESET_NAME).write_text("sclae = 2\n")
    with pytest.raises(BadConfig) as caught:
        check_inbox_preset(NO_LINKS, tmp_path)
    plain, line, found = (tmp_path / PRESET_ERROR_NAME).read_text().partition("----------")
    assert line
    assert "delete preset.toml" in plain
    assert "文件夹" in plain
    assert "sclae" not in plain
    assert str(caught.value) in found
