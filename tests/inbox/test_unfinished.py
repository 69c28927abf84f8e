"""Downloads and copies that stand still without being complete: by name, and by what lies beside them."""

from __future__ import annotations

import pytest

from flashvsr.inbox.rules import ignored, ignored_folder
from flashvsr.inbox.unfinished import Companions, looks_like_part
from kits.inbox_world import POLL, SETTLE, World


@pytest.mark.parametrize(
    "name",
    [
        *("x.mp4.part", "x.mp4.ytdl", "x.mp4.part-Frag12", "x.mp4.part-Frag12.part", "x.mp4.part1", "001.part.met"),
        *("x.mp4.!qB", "x.mp4.!ut", "x.mp4.bc!", "x.mp4.!sync", "x.mp4.bts", "x.mp4.aria2", "x.mp4.xltd"),
        *("x.mp4.crdownload", "x.mp4.opdownload", "x.mp4.download", "x.mp4.fdmdownload", "x.mp4.filepart"),
        *(".syncthing.x.mp4.tmp", "~syncthing~x.mp4.tmp", ".x.mp4.AbCdEf", ".x.mp4.~1a2b", "x.mp4.ocTransferId7.part"),
        *("x.mp4.1a2b3c4d.partial", "~$x.mp4", ".~lock.x.mp4#", ".smbdeleteAAA1234", "._x.mp4", "x.mp4~RF1a2b.TMP"),
    ],
)
def test_names_that_programs_give_until_all_is_there(name: str) -> None:
    assert ignored(name)


@pytest.mark.parametrize("name", ["_UNPACK_x", "_FAILED_x", "__ADMIN__", "_unpack", "x.#17", "x.mp4.download"])
def test_folders_that_programs_fill(name: str) -> None:
    assert ignored_folder(name)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "film.f1.2024.mp4",
            "x.temple.mp4",
            "race.f1.mp4",
            "race.f18.mp4",
            "x.final.mp4",
            "part.1.mp4",
            "x.part1.mp4",
        ),
        *(
            "x (conflicted copy).mp4",
            "x.sync-conflict-20240101-120000-ABC.mp4",
            "_UNPACK_x.mp4",
            "f137.mp4",
            "temp.mp4",
        ),
        *("x.download.mp4", "aria2.mp4", "x.1234.mp4"),
    ],
)
def test_ordinary_names_are_not_caught(name: str) -> None:
    others = ("y.mp4.aria2", "film.mp4", "race.f2.mp4", "x.srt", ".x.mp4.sha256", ".race.f1.mp4.backup", "notes.txt")
    assert not ignored(name)
    assert not looks_like_part(name)
    assert Companions((name, *others)).of(name) is None


@pytest.mark.parametrize(
    "name", ["x.f137.mp4", "x.f251.webm", "x.F399.MP4", "x.f251-drc.webm", "x.temp.mp4", "x.temp.mkv"]
)
def test_parts_of_yt_dlp(name: str) -> None:
    assert looks_like_part(name)


@pytest.mark.parametrize(
    ("name", "companion"),
    [
        *(("x.mp4", f"x.mp4.{suffix}") for suffix in ("aria2", "part", "ytdl", "!qB", "crdownload", "download", "tmp")),
        *(("x.mp4", name) for name in ("x.mp4.part-Frag3", "x.mp4.part2", "x.mp4.ocTransferId9.part")),
        *(("x.mp4", name) for name in ("x.mp4.1a2b3c4d.partial", ".x.mp4.AbCdEf", ".x.mp4.~9f", "x.temp.mp4")),
        *(("x.mp4", name) for name in (".syncthing.x.mp4.tmp", "~syncthing~x.mp4.tmp", "X.MP4.aria2", "__ADMIN__")),
        *(("x.f18.mp4", name) for name in ("x.f140.m4a", "x.f22.mp4.part", "x.f22.mp4.ytdl")),
        ("x.fhls-720.mp4", "x.fhls-audio-en.m4a"),
    ],
)
def test_a_file_waits_for_its_companion_to_go(world: World, name: str, companion: str) -> None:
    world.drop(name)
    beside = world.drop(companion)
    world.drop("other/other.mp4")
    for _ in range(2):
        world.settle()
    world.scan(POLL)
    assert world.names() == ["other/other.mp4"]
    told = world.watcher.problems[world.inbox]
    assert "still being downloaded or copied: " in told
    assert f"{name}: {companion} lies beside it" in told
    beside.unlink()
    world.step(SETTLE)  # no scan is needed to see that
    assert world.names() == ["other/other.mp4", name]
    world.scan()
    assert "still being" not in world.watcher.problems.get(world.inbox, "")


def test_a_companion_that_comes_after_the_last_scan_counts(world: World) -> None:
    world.drop("x.mp4")
    world.scan()
    beside = world.drop("x.mp4.aria2")
    world.step(SETTLE)
    assert world.names() == []
    beside.unlink()
    world.step(SETTLE)
    assert world.names() == ["x.mp4"]


def test_a_companion_in_another_folder_is_none(world: World) -> None:
    world.drop("x.mp4")
    world.drop("season/x.mp4.aria2")
    world.settle()
    assert world.names() == ["x.mp4"]


def test_a_download_by_yt_dlp_from_its_first_byte_to_its_last(world: World) -> None:
    video = world.drop("x.f137.mp4")
    sound = world.drop("x.f251.webm.part")
    world.settle()
    sound = sound.rename(world.inbox / "x.f251.webm")
    world.settle()
    joined = world.drop("x.temp.mp4")
    world.settle()
    assert world.names() == []
    assert "named like parts of a download" in world.watcher.problems[world.inbox]
    joined.rename(world.inbox / "x.mp4")
    for part in (video, sound):
        part.unlink()
    world.settle()
    assert world.names() == ["x.mp4"]
    assert world.watcher.problems == {}


def test_a_folder_is_taken_when_it_gets_its_own_name(world: World) -> None:
    world.drop("_UNPACK_film/film.mkv")
    world.drop("_UNPACK_inbox.mkv", inbox=world.root / "_UNPACK_other")
    world.settle()
    assert world.names() == []
    assert not (world.root / "_UNPACK_other" / "preset.toml").exists()  # no inbox of its own
    (world.inbox / "_UNPACK_film").rename(world.inbox / "film")
    world.settle()
    assert world.names() == ["film/film.mkv"]
