"""What somebody may try who can write to the shares: nothing outside of them is read, written or removed."""

from __future__ import annotations

import fcntl
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from flashvsr.errors import BadConfig, BadInput, Transient
from flashvsr.outbox.publish import Outbox
from flashvsr.settings.inbox_preset import check_inbox_preset
from flashvsr.settings.kinds import Dimensions, Flag, Number, OneOf, Whole
from flashvsr.settings.options import options
from flashvsr.settings.preset import Preset
from flashvsr.settings.template_kind import NameTemplate
from flashvsr.video.counted import CountedFile, nothing
from flashvsr.video.media import hold_source, open_source
from flashvsr.video.probe import probe
from kits.played import Bench
from kits.videos import ALL_CLIPS

SECRET = b"secret"


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A directory that the service could reach and write to, and must not."""
    folder = tmp_path / "private"
    folder.mkdir()
    return folder


def disguise(source: Path, private: Path) -> Path:
    """Make a private file that passes for the source by name, size and time."""
    twin = private / source.name
    shutil.copy2(source, twin)
    return twin


def aim(directory: Path, private: Path) -> None:
    """Put a link in the place of a directory of the share."""
    directory.rename(directory.with_name("away"))
    directory.symlink_to(private)


def step_while_aiming(bench: Bench, moment: str, directory: Path, private: Path) -> None:
    """Let the worker take a step, and aim the directory elsewhere before it, or at a moment of the work."""
    loop = bench.new_loop()
    if moment == "start":
        aim(directory, private)
    else:
        bench.upscaling.at[moment] = lambda: aim(directory, private)
    loop.step()


@pytest.mark.parametrize("what", ["folder", "inbox"])
@pytest.mark.parametrize("action", ["archive", "delete"])
@pytest.mark.parametrize("moment", ["start", "published"])
def test_a_link_in_place_of_the_sources_directory(
    bench: Bench, private: Path, what: str, action: str, moment: str
) -> None:
    bench.config = replace(bench.config, watch=replace(bench.config.watch, on_success=action))
    number = bench.add("season/a.mov")
    source = bench.inbox / "season" / "a.mov"
    if what == "folder":
        twin = disguise(source, private)
        directory = bench.inbox / "season"
    else:
        (private / "season").mkdir()
        twin = disguise(source, private / "season")
        directory = bench.inbox
    step_while_aiming(bench, moment, directory, private)
    job = bench.job(number)
    assert job.state == ("queued" if moment == "start" else "done")
    assert not bench.upscaling.tasks or moment == "published"
    assert job.archived is None
    assert twin.exists()
    assert [path for path in private.rglob("*") if path.is_file()] == [twin]
    directory.unlink()
    directory.with_name("away").rename(directory)
    assert source.exists()


@pytest.mark.parametrize("folder", ["", "season"])
@pytest.mark.parametrize("moment", ["start", "publish"])
def test_a_link_in_place_of_the_results_directory(bench: Bench, private: Path, folder: str, moment: str) -> None:
    number = bench.add(str(Path(folder) / "a.mov"))
    directory = bench.outbox / folder
    directory.mkdir(parents=True)
    step_while_aiming(bench, moment, directory, private)
    job = bench.job(number)
    assert (job.state, job.error_kind) == ("queued", "transient")
    assert "symbolic link is in the way" in job.error
    assert "put a real directory there" in job.error
    assert list(private.iterdir()) == []
    assert (bench.inbox / folder / "a.mov").exists()


def test_an_error_text_and_its_removal_do_not_leave_the_outbox(bench: Bench, private: Path) -> None:
    (private / "a.mov.error.txt").write_bytes(SECRET)
    (private / ".flashvsr-1-abcd.part").write_bytes(SECRET)
    bench.add("season/a.mov")
    bench.outbox.mkdir(parents=True)
    (bench.outbox / "season").symlink_to(private)
    bench.fail_at("start", BadInput("no picture"))
    loop = bench.new_loop()
    loop.step()
    with pytest.raises(Transient, match="symbolic link"):
        Outbox(bench.config.trees()).write_error_text(bench.outbox / "season", "a.mov", "no picture")
    with pytest.raises(OSError, match="symbolic link"):
        Outbox(bench.config.trees()).remove_temporaries(bench.outbox / "season", 1)
    assert {path.name: path.read_bytes() for path in private.iterdir()} == {
        "a.mov.error.txt": SECRET,
        ".flashvsr-1-abcd.part": SECRET,
    }
    # A link in place of the text itself is somebody's: the text comes beside it.
    (bench.outbox / "b.mov.error.txt").symlink_to(private / "a.mov.error.txt")
    assert (
        Outbox(bench.config.trees()).write_error_text(bench.outbox, "b.mov", "no picture").name == "b.mov.error (2).txt"
    )
    assert (bench.outbox / "b.mov.error.txt").is_symlink()
    assert (private / "a.mov.error.txt").read_bytes() == SECRET


def test_a_guessed_temporary_name_is_no_way_out(bench: Bench, private: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda size: "guessed")
    victim = private / "victim"
    victim.write_bytes(SECRET)
    target = bench.outbox / "a.mp4"
    temporary = Outbox(bench.config.trees()).temporary_for(target, 1)
    temporary.symlink_to(victim)
    (bench.outbox / f".flashvsr-{os.getpid()}-guessed.tmp").symlink_to(victim)
    with pytest.raises(OSError, match="File exists"):
        CountedFile(temporary, "w+b", nothing, bench.config.trees().open_file)
    with pytest.raises(Transient, match="File exists"), Outbox(bench.config.trees()).new_result(temporary):
        pass
    with pytest.raises(Transient):
        Outbox(bench.config.trees()).write_error_text(bench.outbox, "a.mov", "no picture")
    assert victim.read_bytes() == SECRET


@pytest.mark.parametrize("way", ["file", "folder"])
def test_a_video_elsewhere_is_not_read(bench: Bench, private: Path, way: str) -> None:
    clip = ALL_CLIPS[0]
    shutil.copyfile(clip, private / clip.name)
    path = bench.inbox / "season" / clip.name
    if way == "folder":
        path.parent.symlink_to(private)
    else:
        path.parent.mkdir()
        path.symlink_to(private / clip.name)
    with pytest.raises(Transient, match="symbolic link"):
        probe(path)
    with pytest.raises(Transient, match="symbolic link"), open_source(path):
        pass
    with pytest.raises(Transient, match="symbolic link"), hold_source(bench.config.trees(), path):
        pass


def test_sources_are_opened_for_reading_alone(bench: Bench) -> None:
    with CountedFile(ALL_CLIPS[0], "rb", nothing) as file:
        assert fcntl.fcntl(file, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY


@pytest.mark.parametrize("there", [None, "width = 640\n", "widht = 640\n"])
def test_no_preset_is_read_or_written_through_a_link(bench: Bench, private: Path, there: str | None) -> None:
    if there is not None:
        (private / "preset.toml").write_text(there)
    before = {path.name: path.read_bytes() for path in private.iterdir()}
    aim(bench.inbox, private)
    with pytest.raises(BadConfig, match="symbolic link"):
        check_inbox_preset(bench.config.trees(), bench.inbox)
    assert {path.name: path.read_bytes() for path in private.iterdir()} == before


def test_a_preset_can_name_no_path_and_no_program() -> None:
    """Numbers and words from fixed lists: nothing that an edit on the share could aim somewhere."""
    assert {type(option.kind) for option in options(Preset)} <= {OneOf, Flag, Number, Whole, Dimensions, NameTemplate}


def test_what_is_made_is_for_the_group_too(bench: Bench) -> None:
    """With the umask of the unit, as members of the share's group need it, and its group where the share has one."""
    before = os.umask(0o002)
    try:
        bench.outbox.parent.mkdir()
        os.chown(bench.outbox.parent, -1, os.getgid())
        bench.outbox.parent.chmod(0o2775)
        bench.add("season/a.mov")
        bench.new_loop().step()
        Outbox(bench.config.trees()).write_error_text(bench.outbox, "b.mov", "no picture")
    finally:
        os.umask(before)
    for directory in (bench.outbox, bench.outbox / "season"):
        assert directory.stat().st_mode & 0o7777 == 0o2775
    for file in (bench.outbox / "season" / "a.mp4", bench.outbox / "b.mov.error.txt"):
        assert file.stat().st_mode & 0o7777 == 0o664
