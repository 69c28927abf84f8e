"""Where the file of a job is, when its name no longer leads to it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flashvsr.errors import Damaged
from flashvsr.files.trees import Trees
from flashvsr.inbox.walk import folders
from flashvsr.settings.service_tables import ExtraInbox
from flashvsr.worker import whereabouts as module
from flashvsr.worker.source import InboxGone, SourceChanged, SourceGone
from flashvsr.worker.whereabouts import Whereabouts
from kits.played import Bench, replace_source


class Seeker:
    """Whereabouts with a clock that each look takes two seconds of; `looks` counts the folders looked into."""

    def __init__(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bench = bench
        self.clock = 100.0
        self.looks: list[Path] = []
        monkeypatch.setattr(module, "folders", self._folders)
        self.config = bench.config
        self.whereabouts = Whereabouts(bench.queue, lambda: self.config, lambda: self.clock)

    def _folders(self, trees: Trees, inbox: Path, *more: Any) -> Iterator[Any]:
        assert trees == self.config.trees()
        self.looks.append(inbox)
        self.clock += 2.0
        yield from folders(trees, inbox, *more)

    def follow(self, number: int) -> str:
        return str(self.whereabouts.follow(self.bench.job(number)).source)


@pytest.fixture
def seeker(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Seeker:
    return Seeker(bench, monkeypatch)


def test_nothing_is_looked_for_that_is_in_its_place(bench: Bench, seeker: Seeker) -> None:
    number = bench.add()
    assert seeker.follow(number) == str(bench.inbox / "clip.mov")
    assert seeker.looks == []


@pytest.mark.parametrize("new", ["film.mov", "a/b/clip.mov", "../films/a/clip.mov"])
def test_a_file_is_found_under_any_name_in_any_inbox(bench: Bench, seeker: Seeker, new: str) -> None:
    number = bench.add()
    place = Path(os.path.normpath(bench.inbox / new))
    place.parent.mkdir(parents=True, exist_ok=True)
    (bench.inbox / "clip.mov").rename(place)
    found = seeker.whereabouts.follow(bench.job(number))
    inbox = bench.root / "inbox" / place.relative_to(bench.root / "inbox").parts[0]
    assert (found.source, found.inbox) == (str(place), str(inbox))
    assert found.relative == str(place.relative_to(inbox))
    assert bench.job(number).source == str(place), "the queue knows it, too"


def test_a_new_file_under_the_old_name_does_not_hide_it(bench: Bench, seeker: Seeker) -> None:
    number = bench.add()
    (bench.inbox / "clip.mov").rename(bench.inbox / "old.mov")
    (bench.inbox / "clip.mov").write_bytes(b"a new one")
    assert seeker.follow(number) == str(bench.inbox / "old.mov")


def test_a_whole_inbox_that_was_renamed_is_found(bench: Bench, seeker: Seeker) -> None:
    number = bench.add()
    bench.inbox.rename(bench.root / "inbox" / "films")
    assert seeker.follow(number) == str(bench.root / "inbox" / "films" / "clip.mov")


def test_what_the_watcher_noticed_first_is_not_looked_for(bench: Bench, seeker: Seeker) -> None:
    number = bench.add()
    before = bench.job(number)
    path = (bench.inbox / "clip.mov").rename(bench.inbox / "film.mov")
    bench.queue.intake.add(bench.inbox, path, "film.mov", path.lstat())
    assert seeker.whereabouts.follow(before).source == str(path)
    assert seeker.looks == []


@pytest.mark.parametrize("place", ["clip.txt", "../../clip.mov", "../../outbox/clips/clip.mov"])
def test_what_is_no_video_of_an_inbox_is_gone(bench: Bench, seeker: Seeker, place: str) -> None:
    number = bench.add()
    bench.outbox.mkdir(parents=True)
    (bench.inbox / "clip.mov").rename(bench.inbox / place)
    with pytest.raises(SourceGone):
        seeker.follow(number)
    assert seeker.whereabouts.present(bench.job(number)).source == str(bench.inbox / "clip.mov")


def test_an_outbox_or_another_inbox_below_an_inbox_is_no_part_of_it(bench: Bench, seeker: Seeker) -> None:
    inner, done = bench.inbox / "inner", bench.inbox / "done"
    for folder in (inner, done):
        folder.mkdir()
    seeker.config = replace(bench.config, extra_inboxes=(ExtraInbox(path=inner, outbox=done),))
    inside, finished = bench.add("a.mov"), bench.add("b.mov")
    (bench.inbox / "a.mov").rename(inner / "a.mov")
    (bench.inbox / "b.mov").rename(done / "b.mov")
    found = seeker.whereabouts.follow(bench.job(inside))
    assert (found.inbox, found.relative) == (str(inner), "a.mov")
    seeker.clock += 1000
    with pytest.raises(SourceGone):
        seeker.follow(finished)


@pytest.mark.parametrize("kind", ["state", "models", "outbox"])
def test_the_services_own_folders_below_an_inbox_are_no_part_of_it(bench: Bench, seeker: Seeker, kind: str) -> None:
    own = bench.inbox / "own"
    own.mkdir()
    seeker.config = replace(bench.config, paths=replace(bench.config.paths, **{kind: own}))
    number = bench.add()
    (bench.inbox / "clip.mov").rename(own / "clip.mov")
    with pytest.raises(SourceGone):
        seeker.follow(number)


def test_a_changed_file_is_no_renamed_one(bench: Bench, seeker: Seeker) -> None:
    number = bench.add()
    replace_source(bench)
    with pytest.raises(SourceChanged):
        seeker.follow(number)
    seeker.clock += 1000
    (bench.inbox / "clip.mov").rename(bench.inbox / "film.mov")
    with pytest.raises(SourceGone):
        seeker.follow(number)


def test_an_inbox_that_cannot_be_looked_through_keeps_no_other_from_it(
    bench: Bench, seeker: Seeker, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = bench.add()
    films = bench.root / "inbox" / "films"
    films.mkdir()
    (bench.inbox / "clip.mov").rename(films / "clip.mov")

    def silent(trees: Trees, inbox: Path, *more: Any) -> Iterator[Any]:
        if inbox == bench.inbox:
            raise PermissionError("closed")
        return folders(trees, inbox, *more)

    monkeypatch.setattr(module, "folders", silent)
    assert seeker.follow(number) == str(films / "clip.mov")


def test_looking_takes_a_sixth_of_the_time_however_much_is_gone(bench: Bench, seeker: Seeker) -> None:
    numbers = [bench.add(f"{index}.mov") for index in range(4)]
    for index in range(4):
        (bench.inbox / f"{index}.mov").unlink()
    looks = []
    for _ in range(50):
        before = len(seeker.looks)
        for number in numbers:
            with pytest.raises(SourceGone):
                seeker.follow(number)
        looks.append(len(seeker.looks) - before)
        seeker.clock += 1.0
    assert 4 <= sum(looks) <= 6
    assert max(looks) == 1


def test_many_renamed_files_are_found_by_one_look(bench: Bench, seeker: Seeker) -> None:
    numbers = [bench.add(f"a/{index}.mov") for index in range(4)]
    (bench.inbox / "a").rename(bench.inbox / "b")
    assert [seeker.follow(number) for number in numbers] == [str(bench.inbox / f"b/{index}.mov") for index in range(4)]
    assert seeker.looks == [bench.inbox]


def test_what_was_found_before_is_looked_at_again_before_it_is_believed(bench: Bench, seeker: Seeker) -> None:
    first, second = bench.add("a.mov"), bench.add("b.mov")
    for name in ("a.mov", "b.mov"):
        (bench.inbox / name).rename(bench.inbox / f"new {name}")
    seeker.follow(first)
    (bench.inbox / "new b.mov").rename(bench.inbox / "newer b.mov")
    with pytest.raises(SourceGone):
        seeker.follow(second)  # nobody looks again just now
    (bench.inbox / "new b.mov").write_bytes(b"another file")
    with pytest.raises(SourceGone):
        seeker.follow(second)
    assert bench.job(second).source == str(bench.inbox / "b.mov")
    seeker.clock += 1000
    assert seeker.follow(second) == str(bench.inbox / "newer b.mov")


def test_a_name_that_the_queue_does_not_take_is_none(
    bench: Bench, seeker: Seeker, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = bench.add()
    (bench.inbox / "clip.mov").rename(bench.inbox / "film.mov")
    monkeypatch.setattr(bench.queue.intake, "renamed", lambda *_: None)
    with pytest.raises(SourceGone):
        seeker.follow(number)


def test_where_it_cannot_be_told_the_job_is_as_it_was(bench: Bench, seeker: Seeker) -> None:
    job = bench.job(bench.add())
    bench.inbox.rename(bench.root / "elsewhere")
    with pytest.raises(InboxGone):
        seeker.follow(job.id)
    assert seeker.whereabouts.present(job).source == job.source


def test_a_damaged_queue_is_no_reason_to_go_on(bench: Bench, seeker: Seeker, monkeypatch: pytest.MonkeyPatch) -> None:
    job = bench.job(bench.add())

    def damaged(*_: object) -> None:
        raise Damaged("the queue database is damaged")

    monkeypatch.setattr(bench.queue.jobs, "get", damaged)
    with pytest.raises(Damaged):
        seeker.whereabouts.present(job)
