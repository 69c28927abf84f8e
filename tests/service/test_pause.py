"""A pause: what a person may write, how long it lasts whatever becomes of the clock, and what is kept of it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from flashvsr.files.state import StateDirectory
from flashvsr.service.leave_to_work import LeaveToWork
from flashvsr.service.pause import Moment, Pause, PauseFile, Wish, end_pause, keep_pause, understand
from flashvsr.settings.kinds import Refused

HOUR = 3600.0


@pytest.fixture(autouse=True)
def _berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def moment(text: str, ticks: float = 1000.0, boot: str = "one") -> Moment:
    return Moment(datetime.fromisoformat(text).timestamp(), ticks, boot)


def later(now: Moment, seconds: float, set_by: float = 0.0) -> Moment:
    """So much later, with the clock set meanwhile."""
    return replace(now, clock=now.clock + seconds + set_by, ticks=now.ticks + seconds)


@pytest.mark.parametrize(
    ("words", "wish"),
    [
        ("", Wish()),
        ("2h", Wish(seconds=7200)),
        ("30m", Wish(seconds=1800)),
        ("1h30m", Wish(seconds=5400)),
        ("1 h 30 m", Wish(seconds=5400)),
        ("2D", Wish(seconds=172_800)),
        ("until 07:00", Wish(minute=420)),
        ("until 7:00", Wish(minute=420)),
        ("UNTIL 00:00", Wish(minute=0)),
    ],
)
def test_what_a_person_may_write(words: str, wish: Wish) -> None:
    assert understand(words.split(" ")) == wish


@pytest.mark.parametrize("words", ["2", "h", "2x", "-2h", "0m", "9999d", "until", "until 24:00", "until noon", "07:00"])
def test_what_nobody_understands(words: str) -> None:
    with pytest.raises(Refused):
        understand(words.split(" "))


def test_a_length_is_that_long_however_the_clock_is_set() -> None:
    now = moment("2026-11-30 22:00")
    pause = Pause.begin(Wish(seconds=2 * HOUR), now)
    assert pause.until(now) == now.clock + 2 * HOUR
    for set_by in (0.0, -50 * HOUR, 50 * HOUR):
        soon = later(now, 1.5 * HOUR, set_by)
        assert pause.until(soon) == soon.clock + 0.5 * HOUR
        assert pause.until(later(now, 2 * HOUR, set_by)) is None


def test_after_a_restart_of_the_machine_the_clock_decides() -> None:
    now = moment("2026-11-30 22:00", ticks=90_000.0)
    pause = Pause.begin(Wish(seconds=2 * HOUR), now)
    restarted = Moment(now.clock + HOUR, 5.0, "two")
    assert pause.until(restarted) == now.clock + 2 * HOUR
    assert pause.until(later(restarted, HOUR)) is None


def test_until_a_time_of_the_day() -> None:
    now = moment("2026-11-30 22:00")
    pause = Pause.begin(Wish(minute=420), now)
    assert pause.until(now) == moment("2026-12-01 07:00").clock
    assert pause.until(later(now, 9 * HOUR - 1)) is not None
    assert pause.until(later(now, 9 * HOUR)) is None
    assert pause.until(later(now, 8 * HOUR, HOUR)) is None  # put forward: it is seven
    put_back = later(now, 9 * HOUR, -HOUR)
    assert pause.until(put_back) == put_back.clock + HOUR  # it is six
    set_right = later(now, 60.0, -1000 * HOUR)
    assert (pause.until(set_right) or math.inf) - set_right.clock <= 25 * HOUR  # never for weeks


def test_until_a_time_in_the_night_in_which_clocks_change() -> None:
    evening = moment("2026-03-28 22:00")
    assert Pause.begin(Wish(minute=420), evening).until(evening) == evening.clock + 8 * HOUR
    evening = moment("2026-10-24 22:00")
    assert Pause.begin(Wish(minute=420), evening).until(evening) == evening.clock + 10 * HOUR


def test_without_an_end_it_is_for_good() -> None:
    now = moment("2026-11-30 22:00")
    pause = Pause.begin(Wish(), now)
    assert pause.until(later(now, 1e9)) == math.inf


def test_it_is_kept_until_it_is_ended(tmp_path: Path) -> None:
    file, now = PauseFile(tmp_path), moment("2026-11-30 22:00")
    assert file.until(now) is None
    keep_pause(tmp_path, Pause.begin(Wish(seconds=HOUR), now))
    assert file.until(now) == PauseFile(tmp_path).until(now) == now.clock + HOUR
    keep_pause(tmp_path, Pause.begin(Wish(), now))
    assert file.until(now) == math.inf
    assert end_pause(tmp_path)
    assert file.until(now) is None
    assert not end_pause(tmp_path)


def test_one_that_is_over_stays_over(tmp_path: Path) -> None:
    file, now = PauseFile(tmp_path), moment("2026-11-30 22:00")
    keep_pause(tmp_path, Pause.begin(Wish(minute=22 * 60 + 5), now))
    assert file.until(later(now, 300.0)) is None
    assert file.until(later(now, 301.0, -30.0)) is None  # the clock was set back a little
    keep_pause(tmp_path, Pause.begin(Wish(minute=22 * 60 + 5), now))
    assert file.until(now) is not None  # asked for once more


def test_its_end_does_not_tremble(tmp_path: Path) -> None:
    file, now = PauseFile(tmp_path), moment("2026-11-30 22:00")
    keep_pause(tmp_path, Pause.begin(Wish(seconds=HOUR), now))
    assert file.until(now) == file.until(replace(later(now, 10.0), ticks=now.ticks + 10.0004))
    assert file.until(now) != file.until(later(now, 10.0, 120.0))


@pytest.mark.parametrize("content", ["", "{", "[]", '{"ends": "soon"}', '{"ends": NaN}', '{"ends": 1e300}', "x" * 5000])
def test_a_damaged_one_is_one_for_good(tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture) -> None:
    StateDirectory(tmp_path).pause.write_text(content)
    file, now = PauseFile(tmp_path), Moment.now()
    assert file.until(now) == file.until(now) == math.inf
    assert caplog.text.count("cannot be read") == 1
    assert end_pause(tmp_path)
    assert file.until(now) is None


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    StateDirectory(tmp_path).pause.mkdir()
    now = Moment.now()
    assert PauseFile(tmp_path).until(now) == math.inf
    keep_pause(tmp_path, Pause.begin(Wish(seconds=HOUR), now))
    assert PauseFile(tmp_path).until(now) == now.clock + HOUR


def words(leave: LeaveToWork, run: str, now: Moment) -> str:
    rest = leave.rest(run, now)
    return "" if rest is None else rest.words


def test_the_words_for_a_rest(tmp_path: Path) -> None:
    leave, now = LeaveToWork(tmp_path), moment("2026-11-30 12:00")
    night = "22:00-07:00"
    assert words(leave, "", now) == ""
    assert words(leave, night, now) == "outside [schedule] run until 22:00"
    assert words(leave, "sat 10:00-11:00", now) == "outside [schedule] run until Sat 10:00"
    keep_pause(tmp_path, Pause.begin(Wish(minute=420), now))
    assert words(leave, night, now) == words(leave, "", now) == "paused until 07:00 by flashvsr pause"
    assert words(leave, night, later(now, 19 * HOUR)) == "outside [schedule] run until 22:00"
    assert words(leave, night, later(now, 34 * HOUR)) == ""
    keep_pause(tmp_path, Pause.begin(Wish(), now))
    assert words(leave, night, now) == "paused by flashvsr pause until flashvsr resume"


def test_a_clock_that_is_set_counts_at_once(tmp_path: Path) -> None:
    leave, now = LeaveToWork(tmp_path), moment("2026-11-30 12:00")
    night = "22:00-07:00"
    assert leave.rest(night, now) is not None
    assert leave.rest(night, later(now, 1.0, 11 * HOUR)) is None
    rest = leave.rest(night, later(now, 2.0, -HOUR))
    assert rest is not None
    assert rest.until == moment("2026-11-30 22:00").clock
