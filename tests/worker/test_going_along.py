"""What becomes of a source and of what lies beside it when its result is out; all real but the upscaling."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from flashvsr.errors import BadInput, Transient
from flashvsr.files import at
from flashvsr.settings.preset import PRESET_NAME
from flashvsr.settings.service_tables import ExtraInbox
from flashvsr.worker import settling
from kits.played import Bench


def prepare(bench: Bench, action: str, preset: str = "", **paths: Path) -> None:
    watch = replace(bench.config.watch, on_success=action)
    bench.config = replace(bench.config, watch=watch, paths=replace(bench.config.paths, **paths))
    bench.loop = bench.new_loop()
    (bench.inbox / PRESET_NAME).write_text(preset)


def add(bench: Bench, name: str = "trip/day 1/clip.mov", *beside: str) -> int:
    folder = (bench.inbox / name).parent
    folder.mkdir(parents=True, exist_ok=True)
    number = bench.add(name)
    for other in beside:
        (folder / other).write_text(other)
    return number


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


COPIES = ["trip/day 1/clip.en.srt", "trip/day 1/clip.mp4", "trip/day 1/clip.nfo"]
LEFT = ["preset.toml", "trip/day 1/clip.en.srt", "trip/day 1/clip.nfo"]
WITH_SOURCE = ["trip/day 1/clip.en.srt", "trip/day 1/clip.mov", "trip/day 1/clip.nfo"]


@pytest.mark.parametrize(
    ("action", "left", "moved"),
    [
        ("keep", sorted([*LEFT, "trip/day 1/clip.mov"]), []),
        ("delete", LEFT, []),
        ("done", ["preset.toml"], WITH_SOURCE),
        ("archive", ["preset.toml"], WITH_SOURCE),
    ],
)
def test_the_ways_of_a_source(bench: Bench, action: str, left: list[str], moved: list[str]) -> None:
    prepare(bench, action)
    number = add(bench, "trip/day 1/clip.mov", "clip.en.srt", "clip.nfo")
    bench.loop.step()
    assert files(bench.outbox) == COPIES
    assert files(bench.inbox) == left
    place = bench.root / {"done": "inbox/done/clips"}.get(action, "state/archive/clips")
    assert files(place) == moved
    job = bench.job(number)
    assert (job.settled is not None, job.departed) == (True, action != "keep")
    assert job.archived == (str(place / "trip/day 1/clip.mov") if moved else None)
    emptied = action in ("done", "archive")
    assert (bench.inbox / "trip").exists() != emptied, "folders go that were emptied by moving"
    assert bench.inbox.exists()


def test_what_is_done_is_for_all_to_see_and_an_archive_is_not(bench: Bench) -> None:
    prepare(bench, "done")
    add(bench, "clip.mov")
    bench.loop.step()
    prepare(bench, "archive")
    add(bench, "film.mov")
    bench.loop.step()
    assert (bench.root / "inbox" / "done" / "clips").stat().st_mode & 0o077
    assert not (bench.root / "state" / "archive" / "clips").stat().st_mode & 0o077


def test_the_done_folder_is_no_inbox(bench: Bench) -> None:
    prepare(bench, "done")
    add(bench, "clip.mov")
    bench.loop.step()
    assert [inbox.name for inbox in bench.config.inboxes()] == ["clips"]


def test_that_of_an_inbox_elsewhere_lies_in_it(bench: Bench) -> None:
    films = bench.root / "films"
    films.mkdir()
    bench.config = replace(bench.config, extra_inboxes=(ExtraInbox(films, bench.root / "larger"),))
    assert bench.config.done_folder(films) == films / "done"
    assert bench.config.done_folder(bench.inbox) == bench.root / "inbox" / "done" / "clips"
    assert films / "done" in bench.config.not_looked_into()


def test_a_link_in_the_place_of_the_done_folder_leads_nowhere(bench: Bench, tmp_path: Path) -> None:
    prepare(bench, "done")
    aim = tmp_path / "private"
    aim.mkdir()
    (bench.root / "inbox" / "done").symlink_to(aim)
    number = add(bench, "clip.mov")
    bench.loop.step()
    assert list(aim.iterdir()) == []
    assert (bench.inbox / "clip.mov").exists()
    assert "symbolic link" in str(bench.job(number).error)


def test_an_archive_of_its_own_place(bench: Bench) -> None:
    archive = bench.root / "originals"
    archive.mkdir(mode=0o755)
    prepare(bench, "archive", archive=archive)
    number = add(bench, "clip.mov")
    bench.loop.step()
    assert files(archive) == ["clips/clip.mov"]
    assert (archive / "clips").stat().st_mode & 0o050, "who may enter it is not for flashvsr to say"
    assert bench.job(number).archived == str(archive / "clips" / "clip.mov")


def test_without_companions_they_are_left_alone(bench: Bench) -> None:
    prepare(bench, "done", "companions = false\n")
    add(bench, "clip.mov", "clip.srt")
    bench.loop.step()
    assert files(bench.outbox) == ["clip.mp4"]
    assert files(bench.inbox) == ["clip.srt", "preset.toml"]


def test_a_folder_with_anything_else_in_it_stays(bench: Bench) -> None:
    prepare(bench, "done")
    add(bench, "trip/day 1/clip.mov")
    (bench.inbox / "trip" / "notes.txt").write_text("mine")
    bench.loop.step()
    assert files(bench.inbox) == ["preset.toml", "trip/notes.txt"]
    assert not (bench.inbox / "trip" / "day 1").exists()


def test_a_result_that_was_moved_on_is_followed_by_nothing(bench: Bench) -> None:
    prepare(bench, "keep")
    number = add(bench, "clip.mov", "clip.srt")
    bench.upscaling.at["published"] = lambda: (bench.outbox / "clip.mp4").rename(bench.root / "taken.mp4")
    bench.loop.step()
    assert files(bench.outbox) == []
    assert bench.job(number).settled is not None


STEPS: dict[str, tuple[object, str]] = {
    "before a copy": (settling, "copy_companions"),
    "before the move": (settling, "settle_source"),
    "before what goes along": (settling, "move_companions"),
    "before the folders": (settling, "remove_emptied"),
    "before a folder": (at, "remove_directory"),
}


@pytest.mark.parametrize("moment", STEPS)
@pytest.mark.parametrize("action", ["done", "archive"])
def test_cut_short_at_any_step_it_is_done_again(
    bench: Bench, action: str, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(bench, action)
    number = add(bench, "trip/day 1/clip.mov", "clip.en.srt", "clip.nfo")
    where, name = STEPS[moment]

    def dies(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(where, name, dies)
        with pytest.raises(KeyboardInterrupt):
            bench.loop.step()
    assert bench.job(number).settled is None
    again = bench.new_loop()
    again._sweep.settle_or_postpone(number)
    assert files(bench.outbox) == COPIES
    assert files(bench.root / {"done": "inbox/done/clips"}.get(action, "state/archive/clips")) == WITH_SOURCE
    assert files(bench.inbox) == ["preset.toml"]
    assert not (bench.inbox / "trip").exists()
    assert bench.job(number).settled is not None


def test_companions_that_cannot_be_copied_are_told_of_until_they_can(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(bench, "keep")
    number = add(bench, "clip.mov", "clip.srt")

    def refuse(*_: object) -> None:
        raise Transient("no space")

    with monkeypatch.context() as patch:
        patch.setattr(settling, "copy_companions", refuse)
        bench.loop.step()
    assert bench.job(number).error == "what lies beside the source is not copied for now: no space"
    bench.new_loop()._sweep.settle_or_postpone(number)
    assert (bench.job(number).error, files(bench.outbox)) == (None, ["clip.mp4", "clip.srt"])


Fails = Callable[[], object]


def fail(bench: Bench, number: int) -> None:
    """Let a job fail with a partial video."""

    def wrong() -> None:
        raise RuntimeError("an accident")

    bench.upscaling.at[5] = wrong
    while bench.job(number).state != "failed":
        with bench.queue.store.writing():
            bench.queue.jobs.change(number, not_before=0.0)
        bench.loop.step()
    bench.upscaling.at.clear()
    assert files(bench.outbox) == ["clip.mov.error.txt", "clip_partial.mp4"]


def test_a_whole_result_takes_the_partial_one_away(bench: Bench) -> None:
    prepare(bench, "keep")
    number = add(bench, "clip.mov")
    fail(bench, number)
    bench.queue.requests.retry(number)
    bench.loop.step()
    assert files(bench.outbox) == ["clip.mp4"]
    assert files(bench.root / "state" / "partials") == []


def test_so_does_that_of_a_newer_version_of_the_file(bench: Bench) -> None:
    prepare(bench, "keep")
    fail(bench, add(bench, "clip.mov"))
    newer = add(bench, "clip.mov")
    bench.loop.step()
    assert bench.job(newer).state == "done"
    assert files(bench.outbox) == ["clip.mp4"]


@pytest.mark.parametrize("change", ["content", "time", "name"])
def test_one_that_a_person_changed_stays(bench: Bench, change: str) -> None:
    prepare(bench, "keep")
    number = add(bench, "clip.mov")
    fail(bench, number)
    partial = bench.outbox / "clip_partial.mp4"
    if change == "content":
        partial.write_bytes(b"cut by a person")
    elif change == "time":
        os.utime(partial, (1, 1))
    else:
        partial = partial.rename(partial.with_name("mine.mp4"))
    bench.queue.requests.retry(number)
    bench.loop.step()
    assert files(bench.outbox) == sorted(["clip.mp4", partial.name])


def rename(bench: Bench, name: str) -> None:
    (bench.inbox / "clip.mov").rename(bench.inbox / name)


def test_the_text_goes_too_although_the_source_has_another_name_by_then(bench: Bench) -> None:
    prepare(bench, "keep")
    number = add(bench, "clip.mov")
    fail(bench, number)
    rename(bench, "better.mov")
    bench.queue.requests.retry(number)
    bench.loop.step()
    assert files(bench.outbox) == ["better.mp4"]
    assert files(bench.root / "state" / "partials") == []


def test_of_a_source_that_fails_under_two_names_the_newer_text_is_left(bench: Bench) -> None:
    prepare(bench, "keep")
    number = add(bench, "clip.mov")
    bench.fail_at("start", BadInput("not a video"))
    bench.loop.step()
    rename(bench, "better.mov")
    bench.queue.requests.retry(number)
    bench.loop.step()
    assert files(bench.outbox) == ["better.mov.error.txt"]
    bench.upscaling.at.clear()
    bench.queue.requests.retry(number)
    bench.loop.step()
    assert files(bench.outbox) == ["better.mp4"]
    assert files(bench.root / "state" / "partials") == []


def test_a_text_of_an_earlier_name_that_a_person_changed_stays(bench: Bench) -> None:
    prepare(bench, "keep")
    number = add(bench, "clip.mov")
    fail(bench, number)
    text = bench.outbox / "clip.mov.error.txt"
    text.write_text(f"I know.\n{text.read_text()}")
    rename(bench, "better.mov")
    bench.queue.requests.retry(number)
    bench.loop.step()
    assert files(bench.outbox) == ["better.mp4", "clip.mov.error.txt"]


NUL = '{"partials": [{"path": "a\\u0000", "size": 1, "mtime_ns": 1}]}'


@pytest.mark.parametrize(
    "content", ["", "[]", '{"partials": 3, "text": 3}', '{"text": {"folder": "a", "name": 1}}', NUL]
)
def test_notes_of_any_content_keep_no_job(bench: Bench, content: str) -> None:
    prepare(bench, "keep")
    number = add(bench, "clip.mov")
    fail(bench, number)
    (bench.root / "state" / "partials" / f"{number}.json").write_text(content)
    bench.queue.requests.retry(number)
    bench.loop.step()
    assert bench.job(number).state == "done"
    assert files(bench.outbox) == ["clip.mp4", "clip_partial.mp4"]
