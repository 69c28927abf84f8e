"""The steps of an end by themselves: the partial video, the text, the record, and what is cleared away."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from flashvsr.errors import BadConfig, BadInput, Damaged, FlashVSRError, LeaseLost, NoSpace, Transient
from flashvsr.files.mounts import ShareAway
from flashvsr.files.trees import NO_LINKS
from flashvsr.jobs.schema import CANCELLED, DONE, FAILED, Job
from flashvsr.outbox.publish import Outbox
from flashvsr.settings.preset import Preset, preset_to_json
from flashvsr.worker.access import Access
from flashvsr.worker.conclusion import Conclusion
from flashvsr.worker.faults import Outcome, Verdict
from flashvsr.worker.marker import MOST_TRIES
from kits.played import Bench, crash

OUTBOX = Outbox(NO_LINKS)

FAIL = Verdict(Outcome.FAIL, "no picture", "bad_input")
CANCEL = Verdict(Outcome.CANCEL, "cancelled")


def refuse(error: Exception) -> Callable[..., NoReturn]:
    def refused(*_: object) -> NoReturn:
        raise error

    return refused


class Ending:
    """One job with chunks, below a folder of its inbox, and what ends it."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.access = Access(lambda: bench.config)
        upscaling: Any = bench.upscaling
        self.conclusion = Conclusion(lambda: bench.config, self.access, upscaling, bench.queue)
        number = bench.add("a/clip.mov")
        self.job: Job = bench.job(number)
        self.job.preset = preset_to_json(Preset())
        self.folder = bench.outbox / "a"
        self.workdir = bench.workdir(number)
        self.workdir.mkdir()
        (self.workdir / "chunk").write_text("3")
        self.marker = self.workdir.with_name(f"{number}.ending")
        self.recorded: list[Path | None] = []

    def conclude(self, verdict: Verdict) -> bool:
        with self.conclusion.marker(self.job.id).alone() as alone:
            assert alone
            return self.conclusion.conclude(self.job, verdict, self.recorded.append)

    @property
    def text(self) -> str | None:
        path = self.folder / "clip.mov.error.txt"
        return path.read_text() if path.exists() else None


@pytest.fixture
def ending(bench: Bench) -> Ending:
    return Ending(bench)


def test_a_job_that_ends_badly(ending: Ending) -> None:
    partial = ending.folder / "clip_partial.mp4"
    assert ending.conclude(FAIL) is True
    assert ending.recorded == [partial]
    assert ending.text is not None
    assert f'What was finished until then: "{partial.name}"' in ending.text
    assert f"\nno picture\nTo try again: flashvsr retry {ending.job.id}\n" in ending.text
    assert ending.bench.upscaling.salvaged == ["no picture"]
    assert not ending.workdir.exists()
    assert not ending.marker.exists()


def test_a_job_that_is_cancelled_needs_no_text(ending: Ending) -> None:
    assert ending.conclude(CANCEL) is True
    assert ending.recorded == [ending.folder / "clip_partial.mp4"]
    assert ending.text is None
    assert not ending.marker.exists()


@pytest.mark.parametrize("lacking", ["folder", "preset", "tries"])
def test_without_chunks_or_a_preset_or_tries_there_is_no_partial_video(ending: Ending, lacking: str) -> None:
    if lacking == "folder":
        (ending.workdir / "chunk").unlink()
        ending.workdir.rmdir()
    elif lacking == "preset":
        ending.job.preset = None
    else:
        ending.marker.write_bytes(b"." * MOST_TRIES)
    assert ending.conclude(FAIL) is True
    assert (ending.recorded, ending.bench.upscaling.salvaged) == ([None], [])
    assert ending.text is not None
    assert f"\nno picture\nTo try again: flashvsr retry {ending.job.id}\n" in ending.text
    assert "What was finished" not in ending.text
    assert not ending.workdir.exists()


def test_the_partial_video_is_made_with_the_preset_of_the_job_and_told_of(
    ending: Ending, monkeypatch: pytest.MonkeyPatch
) -> None:
    ending.job.preset = preset_to_json(Preset(seed=7, container="mkv"))
    asked: list[Any] = []
    told: list[str] = []

    def salvage(task: Any, config: Any, reason: str, working: Callable[[], None]) -> None:
        asked.append((task.preset.seed, task.target, config, reason))
        working()

    monkeypatch.setattr(ending.bench.upscaling, "salvage", salvage)
    ending.job.error = "an error of before"
    ending.conclusion.conclude(ending.job, FAIL, ending.recorded.append, lambda: told.append("works"))
    assert asked == [(7, ending.folder / "clip.mkv", ending.bench.config, "no picture")]
    assert told == ["works"]


@pytest.mark.parametrize("error", [FlashVSRError("no way"), BadInput("no"), BadConfig("no"), ValueError("a mistake")])
def test_a_partial_video_that_cannot_be_made_is_none(ending: Ending, error: Exception) -> None:
    ending.bench.fail_at("salvage", error)
    assert ending.conclude(FAIL) is True
    assert ending.recorded == [None]
    assert ending.text is not None
    assert not ending.workdir.exists()


@pytest.mark.parametrize("verdict", [FAIL, CANCEL])
@pytest.mark.parametrize("error", [Transient("the share does not answer"), NoSpace("the disk is full")])
def test_what_has_to_wait_is_recorded_and_leaves_all_for_a_sweep(
    ending: Ending, error: Exception, verdict: Verdict
) -> None:
    ending.bench.fail_at("salvage", error)
    assert ending.conclude(verdict) is False
    assert ending.recorded == [None]
    assert ending.text is None
    assert (ending.workdir / "chunk").exists()
    assert ending.marker.exists()


def test_an_outbox_that_is_away_is_waited_for_before_anything_is_tried(
    ending: Ending, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ending.access, "check_outbox", refuse(ShareAway("nothing is mounted there")))
    assert ending.conclude(FAIL) is False
    assert (ending.bench.upscaling.salvaged, ending.marker.read_bytes()) == ([], b"")
    ending.job.preset = None
    assert ending.conclude(FAIL) is False, "the text waits, too"
    assert not ending.folder.exists()


@pytest.mark.parametrize("error", [Damaged("the queue database is damaged"), LeaseLost("no longer ours")])
def test_what_ends_the_work_itself_records_nothing(ending: Ending, error: Exception) -> None:
    ending.bench.fail_at("salvage", error)
    with pytest.raises(type(error)):
        ending.conclude(FAIL)
    assert ending.recorded == []
    assert (ending.workdir / "chunk").exists()
    assert ending.text is None


@pytest.mark.parametrize("error", [OSError("odd"), BadInput("no path inside an inbox")])
def test_a_text_that_cannot_be_written_at_all_keeps_no_job_from_ending(
    ending: Ending, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Outbox, "write_error_text", refuse(error))
    assert ending.conclude(FAIL) is True
    assert ending.recorded == [ending.folder / "clip_partial.mp4"]
    assert not ending.marker.exists()


def test_a_reason_is_text_that_can_be_shown(ending: Ending) -> None:
    ending.conclude(Verdict(Outcome.FAIL, "name\x1b[2J"))
    assert ending.text is not None
    assert "\x1b" not in ending.text


def test_what_cannot_be_recorded_leaves_the_chunks(ending: Ending) -> None:
    with pytest.raises(NoSpace), ending.conclusion.marker(ending.job.id).alone():
        ending.conclusion.conclude(ending.job, FAIL, refuse(NoSpace("the disk is full")))
    assert (ending.workdir / "chunk").exists()
    assert ending.marker.exists()


@pytest.mark.parametrize("state", [FAILED, CANCELLED, DONE])
def test_what_is_cleared_away(ending: Ending, state: str) -> None:
    ending.job.state = state
    ours = OUTBOX.temporary_for(ending.folder / "clip.mp4", ending.job.id)
    other = OUTBOX.temporary_for(ending.folder / "clip.mp4", ending.job.id + 1)
    for path in (ours, other, ending.marker):
        path.touch()
    OUTBOX.write_error_text(ending.folder, "clip.mov", "no picture")
    ending.conclusion.clear(ending.job)
    assert [path.exists() for path in (ours, other)] == [False, True]
    assert (ending.text is None) == (state == DONE)
    assert not ending.workdir.exists()
    assert not ending.marker.exists()


@pytest.mark.parametrize("error", [ShareAway("nothing is mounted there"), BadConfig("no longer an inbox")])
def test_below_an_outbox_that_is_away_nothing_is_removed(
    ending: Ending, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = OUTBOX.temporary_for(ending.folder / "clip.mp4", ending.job.id)
    left.touch()
    ending.marker.touch()
    monkeypatch.setattr(ending.access, "check_outbox", refuse(error))
    ending.conclusion.clear(ending.job)
    assert left.exists()
    assert not ending.workdir.exists()
    assert not ending.marker.exists()


def test_an_outbox_that_cannot_be_tidied_keeps_no_job(ending: Ending, monkeypatch: pytest.MonkeyPatch) -> None:
    ending.marker.touch()
    monkeypatch.setattr(Outbox, "remove_temporaries", refuse(PermissionError("closed")))
    ending.conclusion.clear(ending.job)
    assert not ending.marker.exists()


def test_a_sweep_is_led_to_a_job_by_its_folder(ending: Ending) -> None:
    ending.conclusion.leave_for_sweep(ending.job)
    assert (ending.workdir / "chunk").exists()
    (ending.workdir / "chunk").unlink()
    ending.workdir.rmdir()
    for before in (None, b"a file in its place"):
        if before is not None:
            ending.workdir.rmdir()
            ending.workdir.write_bytes(before)
        ending.conclusion.leave_for_sweep(ending.job)
        assert ending.workdir.is_dir()


@pytest.mark.parametrize("cancelled", [True, False])
def test_a_job_of_an_inbox_that_left_the_settings_can_be_given_up(bench: Bench, cancelled: bool) -> None:
    """As its own message says. It had chunks, which nobody can put anywhere."""
    elsewhere = bench.root / "elsewhere"
    elsewhere.mkdir()
    source = elsewhere / "a.mov"
    source.write_bytes(b"video")
    number = bench.queue.intake.add(elsewhere, source, "a.mov", source.lstat())
    assert number is not None
    crash(bench, number, attempts=1 if cancelled else 2)
    if cancelled:
        bench.queue.requests.cancel(number)
    later = bench.add()
    for _ in range(3):
        bench.loop.step()
        bench.make_due(number)
    assert bench.job(later).state == "done"
    if cancelled:
        assert (bench.job(number).state, bench.job(number).result) == ("cancelled", None)
        assert list((bench.root / "state" / "jobs").iterdir()) == []
