"""What runs beside the model hands everything on, in order, and comes to an end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import count

import pytest

from flashvsr.upscaling import threads
from flashvsr.upscaling.threads import RunAhead, WriteBehind


def test_two_in_a_row_keep_order_and_end() -> None:
    first = RunAhead(iter(range(100)), 3, head_start=2)
    second = RunAhead((2 * number for number in first), 5, name="second")
    try:
        assert list(second) == list(range(0, 200, 2))
    finally:
        first.close()
        second.close()


@pytest.mark.parametrize("items", [0, 2])
def test_a_source_shorter_than_the_head_start_is_not_waited_for(items: int) -> None:
    def give_up() -> None:
        raise TimeoutError("its end was not noticed")

    ahead = RunAhead(iter(range(items)), 8, head_start=4, waiting=give_up)
    try:
        assert list(ahead) == list(range(items))
    finally:
        ahead.close()


@pytest.mark.parametrize("head_start", [3, 4, 100])
def test_a_head_start_that_fills_the_room_is_enough(head_start: int) -> None:
    def give_up() -> None:
        raise TimeoutError("there is no room for more of them")

    ahead = RunAhead(iter(range(20)), 4, head_start=head_start, waiting=give_up)
    try:
        assert list(ahead) == list(range(20))
    finally:
        ahead.close()


@pytest.mark.parametrize(("made", "handed_out"), [(0, []), (2, []), (3, [0, 1, 2]), (4, [0, 1, 2, 3])])
def test_nothing_is_handed_out_before_the_head_start(
    made: int, handed_out: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "_WAIT_SECONDS", 0.3)
    wanted, found = threading.Event(), list[int]()

    def slow() -> Iterator[int]:
        yield from range(made)
        wanted.wait(5)

    def give_up() -> None:
        raise TimeoutError

    ahead = RunAhead(slow(), 8, head_start=3, waiting=give_up)
    try:
        with pytest.raises(TimeoutError):
            found.extend(ahead)
        assert found == handed_out
    finally:
        wanted.set()
        ahead.close()


def test_closing_ends_who_waits_for_the_head_start() -> None:
    wanted = threading.Event()

    def slow() -> Iterator[int]:
        yield 0
        wanted.wait(5)
        yield 1
        yield 2

    ahead = RunAhead(slow(), 8, head_start=8)
    found: list[int] = []
    reader = threading.Thread(target=lambda: found.extend(ahead), daemon=True)
    reader.start()
    threading.Timer(0.05, wanted.set).start()
    ahead.close()
    reader.join(5)
    assert not reader.is_alive()


def test_an_error_comes_through_both() -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise OSError("the share went away")

    first = RunAhead(failing(), 3)
    second = RunAhead(iter(first), 3)
    seen: list[int] = []
    with pytest.raises(OSError, match="went away"):
        seen.extend(second)
    first.close()
    second.close()


@pytest.mark.parametrize("room", [1, 8])
def test_closing_ends_who_waits_for_more(room: int) -> None:
    """The source never ends, and its next item takes long: both threads are gone nevertheless, and at once."""
    wanted = threading.Event()

    def slow() -> Iterator[int]:
        yield 0
        wanted.wait(5)
        yield 1

    first = RunAhead(slow(), room)
    second = RunAhead(iter(first), room, name="second")
    assert next(iter(second)) == 0
    wanted.set()
    first.close()
    second.close()
    assert not {thread.name for thread in threading.enumerate()} & {"decode", "second"}


@pytest.mark.parametrize(("room", "most"), [(4, 4), (0, 1)])
def test_it_never_runs_further_ahead_than_it_may(room: int, most: int) -> None:
    made: list[int] = []

    def counting() -> Iterator[int]:
        for number in range(50):
            made.append(number)
            yield number

    ahead = RunAhead(counting(), room)
    for number in ahead:
        time.sleep(0.001)
        assert len(made) <= number + 1 + most + 1  # this one, those in the queue, and the one that waits for room
    ahead.close()


def test_closing_leaves_the_source_alone() -> None:
    """The rest of a film is not decoded for nobody."""
    made: list[int] = []

    def counting() -> Iterator[int]:
        for number in range(10_000):
            made.append(number)
            yield number

    ahead = RunAhead(counting(), 4)
    assert next(iter(ahead)) == 0
    ahead.close()
    assert len(made) <= 7


def test_waiting_may_end_the_iteration() -> None:
    def give_up() -> None:
        raise InterruptedError

    wanted = threading.Event()
    ahead = RunAhead(iter(wanted.wait, True), 4, waiting=give_up)
    with pytest.raises(InterruptedError):
        next(iter(ahead))
    wanted.set()
    ahead.close()


def test_an_error_of_the_writer_is_told_and_nothing_is_written_after_it() -> None:
    written: list[int] = []

    def write(number: int) -> None:
        if number == 2:
            raise OSError("the disk is full")
        written.append(number)

    behind = WriteBehind(write, 8)
    for number in range(6):
        with suppress(OSError):  # this one may come before the error or after it
            behind.put(number)
    with pytest.raises(OSError, match="full"):
        behind.finish()
    assert written == [0, 1]


@pytest.mark.parametrize("error", [OSError("the disk is full"), SystemExit("stop"), KeyboardInterrupt()], ids=repr)
def test_whatever_ends_the_writer_is_told_with_the_next_item(error: BaseException) -> None:
    """Hours of work that nobody writes would be in vain."""
    tried = threading.Event()

    def write(_: int) -> None:
        tried.set()
        raise error

    behind = WriteBehind(write, 60)
    behind.put(0)
    assert tried.wait(5)

    def go_on() -> None:
        for number in range(1, 50):
            behind.put(number)
            time.sleep(0.01)

    with pytest.raises(type(error)):
        go_on()
    behind.join()
    assert not behind._thread.is_alive()


def test_a_writer_that_is_behind_is_waited_for() -> None:
    wanted, taken = threading.Event(), list[int]()

    def write(_: int) -> None:
        wanted.wait(5)

    behind = WriteBehind(write, 2)

    def fill() -> None:
        for number in range(6):
            behind.put(number)
            taken.append(number)

    filler = threading.Thread(target=fill, daemon=True)
    filler.start()
    filler.join(0.3)
    assert len(taken) <= 3, "the one that is written, and two that wait"
    wanted.set()
    filler.join(5)
    behind.finish()
    assert taken == list(range(6))


def test_whoever_waits_for_the_writer_may_give_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer still writes all that it was given."""
    monkeypatch.setattr(threads, "_WAIT_SECONDS", 0.01)
    wanted, written = threading.Event(), []
    calls = count()

    def write(number: int) -> None:
        assert wanted.wait(5)
        written.append(number)

    def give_up() -> None:
        if next(calls) == 3:
            raise InterruptedError

    behind = WriteBehind(write, 4)
    for number in range(4):
        behind.put(number)
    with pytest.raises(InterruptedError):
        behind.finish(give_up)
    wanted.set()
    behind.join()
    assert written == [0, 1, 2, 3]
