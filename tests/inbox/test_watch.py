"""The watcher by periodic scan alone, on real files and a clock of the test's own."""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from flashvsr.files import mounts
from flashvsr.inbox.settle import Settler
from flashvsr.jobs.owner import current_owner
from flashvsr.jobs.schema import SUPERSEDED
from flashvsr.settings.preset import PRESET_ERROR_NAME, PRESET_NAME, Preset, preset_to_json
from flashvsr.system.logs import LineFormatter
from kits.inbox_world import POLL, SETTLE, World


def test_a_file_becomes_a_job_once_it_stands_still(world: World) -> None:
    world.drop("a.mp4")
    world.step()
    world.step(SETTLE - 0.1)
    assert world.names() == []
    world.step(0.1)
    assert world.names() == ["a.mp4"]
    for _ in range(5):
        world.scan(POLL)
    assert len(world.queue.jobs.select()) == 1


def test_a_growing_file_waits_however_old_its_mtime_says_it_is(world: World) -> None:
    world.step()
    for size in range(1, 8):
        world.drop("a.mp4", b"x" * size)
        world.scan(SETTLE * 0.9)
        assert world.names() == []
    world.step(SETTLE)
    assert world.names() == ["a.mp4"]


def test_a_file_that_changes_at_the_last_moment_is_not_started(world: World) -> None:
    world.drop("a.mp4")
    world.scan()
    world.drop("a.mp4", b"more video")
    world.step(SETTLE)  # no scan sees the change: the last look does
    assert world.names() == []
    world.step(SETTLE)
    assert world.names() == ["a.mp4"]


def test_a_file_open_for_writing_waits(world: World) -> None:
    path = world.drop("a.mp4")
    with path.open("ab"):
        world.settle()
        world.scan(SETTLE)
        assert world.names() == []
        assert "still open for writing" in world.watcher.problems[world.inbox]
    world.step(SETTLE)
    assert world.names() == ["a.mp4"]
    world.scan()
    assert world.inbox not in world.watcher.problems


def test_an_empty_file_waits_for_its_content(world: World) -> None:
    world.drop("a.mp4", b"")
    world.settle()
    assert world.names() == []
    assert "empty" in world.watcher.problems[world.inbox]
    world.drop("a.mp4", b"video")
    world.settle()
    assert world.names() == ["a.mp4"]


def test_a_file_that_vanishes_while_it_settles_is_forgotten(world: World) -> None:
    path = world.drop("a.mp4")
    world.scan()
    path.unlink()
    world.step(SETTLE)
    world.scan(SETTLE)
    assert world.queue.jobs.select() == []
    assert len(world.watcher._settler) == 0


def test_the_scan_at_start_settles_too_and_knows_what_was_done(world: World) -> None:
    world.drop("a.mp4")
    world.settle()
    world.drop("b.mp4")
    world.restart()
    world.step()
    assert world.names() == ["a.mp4"]
    world.step(SETTLE)
    assert world.names() == ["a.mp4", "b.mp4"]
    assert len(world.queue.jobs.select()) == 2


def test_new_content_under_the_old_name_is_a_new_job(world: World) -> None:
    world.drop("a.mp4", b"first")
    world.settle()
    world.drop("a.mp4", b"other")
    world.settle()
    jobs = world.queue.jobs.select()
    assert [(job.id, job.state, job.error) for job in jobs] == [
        (2, "queued", None),
        (1, "cancelled", SUPERSEDED),
    ]


def test_temporaries_are_ignored_and_seen_when_they_get_their_name(world: World) -> None:
    path = world.drop(".a.mp4.Xy12")
    other = world.drop("b.mp4.part")
    world.settle()
    assert world.names() == []
    path.rename(world.inbox / "a.mp4")
    other.rename(world.inbox / "b.mp4")
    world.settle()
    assert world.names() == ["a.mp4", "b.mp4"]


def test_a_tree_is_kept_in_shape_and_links_are_not_followed(world: World, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    world.drop("secret.mp4", inbox=outside)
    world.drop("season 1/e01/a.mp4")
    world.drop("@eaDir/a.mp4/thumb.mp4")
    (world.inbox / "link.mp4").symlink_to(outside / "secret.mp4")
    (world.inbox / "dir").symlink_to(outside)
    os.mkfifo(world.inbox / "pipe.mp4")
    (world.inbox / "folder.mp4").mkdir()
    world.settle()
    assert world.names() == ["season 1/e01/a.mp4"]


def test_a_directory_swapped_for_a_link_while_its_file_settles(world: World, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    world.drop("season/a.mp4")
    world.scan()
    (world.inbox / "season").rename(outside)
    (world.inbox / "season").symlink_to(outside)
    world.step(SETTLE)
    assert world.queue.jobs.select() == []


def test_odd_names(world: World) -> None:
    names = [
        "new\nline.mp4",
        "quo'te\".mp4",
        "ünï.mp4",
        "-dash.mp4",
        "raw\udcff.mp4",
        "x" * 251 + ".mp4",
        "UP.MKV",
    ]
    for name in names:
        world.drop(name)
    world.settle()
    assert world.names() == sorted(names)


def test_other_files_are_mentioned_and_never_touched(world: World) -> None:
    for index in range(3):
        world.drop(f"note\n{index}.txt")
    world.settle()
    assert world.queue.jobs.select() == []
    assert "not videos by name and left alone: 3 files" in world.watcher.problems[world.inbox]
    assert "\n" not in world.watcher.problems[world.inbox]
    assert (world.inbox / "note\n0.txt").exists()


def test_what_goes_along_with_videos_is_nothing_wrong(world: World) -> None:
    for name in ("clip.srt", "clip.en.forced.ass", "clip.NFO", "poster.jpg", "later/film.de.srt"):
        world.drop(name)
    world.settle()
    assert world.inbox not in world.watcher.problems
    world.drop("srt")  # an ending alone is no name of that kind
    world.settle()
    assert world.watcher.problems[world.inbox] == "not videos by name and left alone: srt"


@pytest.mark.parametrize("name", ["preset.toml.txt", "Preset.TOML.txt", "preset.txt", "presets.toml", "preset.yaml"])
def test_what_was_meant_as_a_preset_is_told_to_be_none(world: World, name: str) -> None:
    world.drop(name)
    world.settle()
    assert f"{name} is not read; a preset has the name preset.toml, so rename it" in world.watcher.problems[world.inbox]
    (world.inbox / name).unlink()
    world.drop("preset.md")
    world.settle()
    assert world.watcher.problems[world.inbox] == "not videos by name and left alone: preset.md"


def test_new_and_extra_inboxes(world: World) -> None:
    world.step()
    world.drop("a.mp4", inbox=world.root / "later")
    world.drop("b.mp4", inbox=world.config.extra_inboxes[0].path)
    world.settle()
    assert {job.inbox for job in world.queue.jobs.select()} == {
        str(world.root / "later"),
        str(world.config.extra_inboxes[0].path),
    }
    assert (world.root / "later" / PRESET_NAME).is_file()


def test_files_in_the_root_are_pointed_out(world: World) -> None:
    world.drop("a.mp4", inbox=world.root)
    world.settle()
    assert world.queue.jobs.select() == []
    assert "a.mp4" in world.watcher.problems[world.root]


def test_an_empty_root_gets_a_first_inbox(world: World) -> None:
    world.inbox.rmdir()
    world.step()
    assert (world.inbox / PRESET_NAME).is_file()
    assert world.watcher.problems == {}


def test_a_missing_root_is_a_problem_and_is_not_created(world: World) -> None:
    world.drop("a.mp4")
    world.settle()
    away = world.root.rename(world.root.with_name("unmounted"))
    world.scan(POLL)
    assert "does not exist" in world.watcher.problems[world.root]
    assert not world.root.exists()
    assert world.names() == ["a.mp4"]  # nobody deleted anything
    away.rename(world.root)
    world.settle()
    assert world.watcher.problems == {}
    assert len(world.queue.jobs.select()) == 1


def test_nothing_is_written_to_an_empty_mount_point(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.drop("a.mp4")
    world.settle()
    away = world.root.with_name("unmounted")
    world.root.rename(away)
    world.root.mkdir()
    other_device(monkeypatch, world)
    for restart in (False, True):
        if restart:
            world.restart()
        world.scan(POLL)
        assert "is the share mounted?" in world.watcher.problems[world.root]
        assert list(world.root.iterdir()) == []


def other_device(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    """Pretend that the earlier files lay on another file system than the directories do now."""
    monkeypatch.setattr(world.queue.intake, "last_devices", lambda: {world.inbox: 1})
    world.watcher._shares._devices = dict.fromkeys(world.watcher._shares._devices, 1)


def test_each_mistake_in_a_preset_is_a_line_of_the_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "flashvsr")
    (world.inbox / PRESET_NAME).write_text("scale = 99\nquality = 99\n")
    world.scan()
    said = [LineFormatter(journal=True).format(record) for record in caplog.records]
    assert "jobs wait, its preset is wrong" in said[0]
    assert sum("scale" in line for line in said) == sum("quality" in line for line in said) == 1
    assert not any("\\n" in line for line in said)


def test_a_wrong_preset_holds_and_a_mended_one_releases(world: World) -> None:
    world.drop("a.mp4")
    world.settle()
    preset = world.inbox / PRESET_NAME
    preset.write_text("scale = 99\n")
    world.drop("b.mp4")
    world.settle()
    assert world.names("held") == ["a.mp4", "b.mp4"]
    assert "scale" in world.watcher.problems[world.inbox]
    assert "scale" in world.watcher.inboxes[world.inbox]
    assert "scale" in (world.inbox / PRESET_ERROR_NAME).read_text()
    preset.write_text("scale = 4\n")
    world.scan()
    assert world.names() == ["a.mp4", "b.mp4"]
    assert set(world.watcher.inboxes.values()) == {""}
    assert world.watcher.problems == {}
    assert not (world.inbox / PRESET_ERROR_NAME).exists()


def test_a_job_held_by_a_worker_is_released_by_the_next_edit(world: World) -> None:
    world.drop("a.mp4")
    world.settle()
    world.queue.intake.hold(world.inbox, "scale is 99")  # the worker read a preset that the watcher never saw
    (world.inbox / PRESET_NAME).write_text("scale = 4\n")
    world.scan()
    assert world.names() == ["a.mp4"]


def skip(world: World, name: str, preset: Preset) -> int:
    """Let a job end as skipped under this preset."""
    job = next(job for job in world.queue.jobs.select(["queued"]) if job.relative == name)
    claimed = world.queue.claims.claim(job.id, preset_to_json(preset), current_owner(), "cpu", 9)
    assert claimed is not None
    world.queue.claims.skip(job.id, str(claimed.lease), "it is large enough")
    return int(job.id)


def test_skipped_jobs_are_looked_at_again_under_another_preset_and_only_then(world: World) -> None:
    fixed = Preset().fixed((1920, 1080))
    for name in ("a.mp4", "b.mp4"):
        world.drop(name)
    world.settle()
    number = skip(world, "a.mp4", fixed)
    skip(world, "b.mp4", replace(fixed, scale=4.0))
    world.scan()
    assert world.names("skipped") == ["a.mp4", "b.mp4"], "the preset has not changed since this process read it"
    world.restart()
    world.scan()
    assert world.names("skipped") == ["a.mp4"], "this one was skipped under this preset, the limit being fixed for it"
    (world.inbox / PRESET_NAME).write_text('limit = "3840x2160"\n')
    world.scan()
    assert world.names() == ["a.mp4", "b.mp4"]
    job = world.queue.jobs.get(number)
    assert job is not None
    assert (job.attempts, job.error, job.finished) == (0, None, None)
    world.scan()
    assert world.names("skipped") == []


def test_skipped_jobs_of_another_inbox_stay(world: World) -> None:
    world.drop("a.mp4")
    other = world.root / "other"
    world.drop("b.mp4", inbox=other)
    world.settle()
    for name in ("a.mp4", "b.mp4"):
        skip(world, name, Preset().fixed((1920, 1080)))
    (other / PRESET_NAME).write_text("scale = 3\n")
    world.scan()
    assert world.names("skipped") == ["a.mp4"]


def test_an_unreadable_directory_does_not_hide_the_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.drop("a.mp4")
    world.drop("locked/b.mp4")
    real = os.open

    def refuse(path: str, *args: object, **kwargs: object) -> int:
        if path == "locked":
            raise PermissionError(13, "Permission denied")
        return real(path, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", refuse)
    world.settle()
    assert world.names() == ["a.mp4"]
    assert "Permission denied" in world.watcher.problems[world.inbox / "locked"]


def test_a_queue_that_cannot_be_written_only_delays(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.drop("a.mp4")
    world.scan()
    before = world.watcher.last_progress
    world.queue.store.database.execute_sql("PRAGMA query_only = 1")
    for seconds in (SETTLE, 1.0, POLL - 1.0):  # tried, not yet tried again, tried again
        world.step(seconds)
        assert set(world.watcher.problems) == {world.queue.path}
        assert "queue database" in world.watcher.problems[world.queue.path]
    assert world.watcher.last_progress == before  # which the watchdog sees
    assert [record.levelname for record in caplog.records] == ["WARNING"]  # said once
    assert world.queue.jobs.select() == []
    world.queue.store.database.execute_sql("PRAGMA query_only = 0")
    world.step(POLL - 0.1)
    assert world.names() == []  # it is not asked again at every step
    world.step(0.1)
    # At once: what settled was not forgotten, to be found and to settle again.
    assert [(job.relative, job.state) for job in world.queue.jobs.select()] == [("a.mp4", "queued")]
    assert world.watcher.problems == {}
    assert world.watcher.last_progress == world.now
    world.scan(POLL)
    assert world.watcher.problems == {}
    assert len(world.queue.jobs.select()) == 1


def test_names_cannot_forge_log_lines(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "flashvsr")
    world.drop("a\nERROR b.mp4")
    world.settle()
    assert any("a\\nERROR b.mp4" in message for message in caplog.messages)
    assert not any("\n" in message for message in caplog.messages)


def test_our_own_directories_in_an_inbox_are_not_entered(world: World) -> None:
    """A configuration that nests them is refused elsewhere; a link could still bring it about."""
    paths = replace(world.config.paths, outbox=world.inbox / "out")
    world.config = replace(world.config, paths=paths)
    world.restart()
    world.drop("out/a.mp4")
    world.settle()
    assert world.queue.jobs.select() == []


@pytest.mark.slow
def test_thousands_of_files(world: World) -> None:
    for index in range(2_000):
        (world.inbox / f"{index}.mp4").write_bytes(b"x")
    world.scan()
    assert len(world.watcher._settler) == 2_000
    world.now += SETTLE
    world.watcher._next_scan = world.now + 1e6
    steps = 0
    while len(world.watcher._settler):
        world.step()
        steps += 1
    assert steps == 4  # each step is short: the watchdog sees progress
    assert world.queue.jobs.counts()["queued"] == 2_000
    statements: list[str] = []
    world.queue.store.database.connection().set_trace_callback(statements.append)
    world.scan(1)
    assert len(statements) < 20  # all known: no question per file
    world.restart()
    world.scan(1)
    assert len(statements) < 200
    assert len(world.watcher._settler) == 0
    world.queue.store.database.connection().set_trace_callback(None)


def test_many_inboxes_cost_no_more_questions_than_few(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading or writing for each inbox what is said of all of them makes the cost grow by the square."""
    for index in range(300):
        (world.root / f"{index}").mkdir()
    counts: Counter[str] = Counter()

    def counted(owner: object, name: str) -> None:
        real = getattr(owner, name)

        def counting(*arguments: object, **options: object) -> object:
            counts[name] += 1
            return real(*arguments, **options)

        monkeypatch.setattr(owner, name, counting)

    counted(json, "loads")
    counted(mounts, "write_replacing")
    counted(Settler, "waiting")
    statements: list[str] = []
    world.queue.store.database.connection().set_trace_callback(statements.append)
    world.scan()
    world.scan()
    world.queue.store.database.connection().set_trace_callback(None)
    assert len(statements) < 20
    assert max(counts.values()) < 20
    remembered = json.loads((world.config.paths.state / "mounts.json").read_text())
    assert len(remembered) < 10
    assert all((world.root / f"{index}" / PRESET_NAME).is_file() for index in range(300))


def test_an_idle_step_asks_the_database_nothing(world: World) -> None:
    world.step()
    statements: list[str] = []
    world.queue.store.database.connection().set_trace_callback(statements.append)
    for _ in range(1000):
        world.step()
    world.queue.store.database.connection().set_trace_callback(None)
    assert statements == []
