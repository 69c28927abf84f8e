"""Subtitles one by one: when each is shown, and what becomes of odd ones. Nothing is encoded."""

from __future__ import annotations

from fractions import Fraction
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import av
import pytest
from av.error import InvalidDataError
from av.packet import Packet

from flashvsr.video.subtitles import CueTrack, TextTrack

MS = Fraction(1, 1000)
START = Fraction(10)
END = Fraction(20)  # of the film, from its start


def packet(pts: int | None, duration: int | None, content: bytes = b"Good day", dts: int | None = None) -> Packet[Any]:
    """Times in milliseconds, from the film's start."""
    made: Packet[Any] = Packet(content)
    made.time_base = MS
    made.pts = None if pts is None else pts + 10_000
    made.dts = made.pts if dts is None else dts + 10_000
    made.duration = duration
    return made


class Decoder:
    """Reads what is in a packet as lines, each of which is a text of its own."""

    def __init__(self, display_ms: int) -> None:
        self._display_ms = display_ms

    def decode2(self, given: Packet[Any]) -> Any:
        if bytes(given) == b"broken":
            raise InvalidDataError(1, "damaged")
        rects = [SimpleNamespace(dialogue=line) for line in bytes(given).split(b"|")]
        return SimpleNamespace(rects=[*rects, SimpleNamespace()], end_display_time=self._display_ms)


def texts(container: str = "mp4", display_ms: int = 0, source: str = "matroska,webm") -> TextTrack:
    found: Any = SimpleNamespace(
        container=SimpleNamespace(format=SimpleNamespace(name=source)), codec_context=Decoder(display_ms)
    )
    out = av.open(BytesIO(), "w", format="mp4" if container == "mp4" else "matroska")
    return TextTrack(found, out, container, START, END if container == "mp4" else None)


def shown(track: Any, *given: Packet[Any]) -> list[tuple[int, int, bytes]]:
    """When each begins and how long it lasts, in milliseconds, and its text."""
    made = [item for each in [*given, None] for item in track.feed(each)]
    assert all(time == written.pts * MS and written.dts == written.pts for time, written in made)
    skipped = 2 if isinstance(track, TextTrack) and track._pieces is not None else 0
    return [(written.pts, written.duration, bytes(written)[skipped:]) for _, written in made]


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_a_text_is_shown_from_its_time_on_as_long_as_it_says(container: str) -> None:
    assert shown(texts(container), packet(1500, 700)) == [(1500, 700, b"Good day")]


@pytest.mark.parametrize(
    ("duration", "display_ms", "expected"),
    [(700, 900, 700), (None, 900, 900), (0, 900, 900), (-5, 900, 900), (None, 0, 3000), (None, 1 << 31, 3000)],
)
def test_how_long_a_text_is_shown_that_does_not_say(duration: int | None, display_ms: int, expected: int) -> None:
    assert shown(texts(display_ms=display_ms), packet(0, duration)) == [(0, expected, b"Good day")]


def test_all_lines_are_kept_and_no_style() -> None:
    given = packet(0, 500, b" {\\i1}one{\\i0} |{\\an8}two ")
    assert shown(texts("mkv"), given) == [(0, 500, b"one\ntwo")]


def test_an_mp4_holds_so_long_a_text_and_no_longer() -> None:
    track = texts()
    long = b"x" * 100_000
    made = [item for each in (packet(0, 500, long), None) for item in track.feed(each)]
    assert bytes(made[0][1]) == b"\xff\xff" + long[:0xFFFF]


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_a_text_that_began_before_the_film(container: str) -> None:
    given = (packet(-900, 1500), packet(-900, 900), packet(-900, 899), packet(100, 50))
    assert shown(texts(container), *given)[0] == (0, 100 if container == "mp4" else 600, b"Good day")
    assert len(shown(texts("mkv"), *given)) == 2


def test_a_text_told_late_is_as_long_as_it_would_have_been() -> None:
    assert shown(texts("mkv"), packet(900, 300), packet(500, 200, b"late")) == [
        (900, 300, b"Good day"), (900, 200, b"late"),
    ]  # fmt: skip


def test_the_film_ends_and_with_it_the_text_of_an_mp4() -> None:
    given = (packet(19_500, 2000), packet(19_999, 1, b"last"), packet(20_000, 500), packet(25_000, 500))
    track = texts()
    assert shown(track, *given) == [(19_500, 499, b"Good day"), (19_999, 1, b"Good day\nlast")]
    assert track.beyond == 2
    track = texts("mkv")
    assert [time for time, _, _ in shown(track, *given)] == [19_500, 19_999, 20_000, 25_000]
    assert track.beyond == 0


def test_damage_is_counted_and_what_is_empty_is_not() -> None:
    track = texts()
    odd = (packet(0, 10, b"broken"), packet(20, 10, b" "), packet(40, 10, b"{\\i1}"), packet(None, 10))
    assert shown(track, *odd, packet(60, 10)) == [(60, 10, b"Good day")]
    assert track.damaged == 1


def test_a_text_is_written_when_none_can_come_before_it() -> None:
    """Files tell texts up to ten seconds later than their sound."""
    track = texts()
    assert track.feed(packet(1000, 2000)) == []
    assert track.passed(Fraction(11)) == []
    ((time, written),) = track.passed(Fraction(12))
    assert time == 1
    assert written.duration == 1000
    assert texts("mkv").passed(Fraction(100)) == []


def test_a_clock_that_begins_anew_is_followed_where_there_may_be_one() -> None:
    given = (packet(9000, 500), packet(1000, 500, b"new"), packet(2000, 500, b"newer"))
    assert [time for time, _, _ in shown(texts("mkv", source="mpegts"), *given)] == [9000, 9000, 10_000]
    assert [time for time, _, _ in shown(texts("mkv"), *given)] == [9000, 9000, 9000]


def copied(end: Fraction | None = END) -> CueTrack:
    source: Any = SimpleNamespace(container=SimpleNamespace(format=SimpleNamespace(name="matroska,webm")))
    out = av.open(BytesIO(), "w", format="matroska")
    target = out.add_mux_stream("subrip")
    target.time_base = MS
    return CueTrack(source, target, START, end)


def test_texts_as_they_are() -> None:
    given = (packet(-900, 1500), packet(-900, 900), packet(1000, None), packet(2000, 300, dts=1500), packet(None, 5))
    expected = [(0, 600, b"Good day"), (1000, 0, b"Good day"), (2000, 300, b"Good day")]
    assert shown(copied(None), *given) == expected
    late = shown(copied(None), packet(900, 300), packet(500, 200))
    assert [time for time, _, _ in late] == [900, 900], "in order"


def test_texts_as_they_are_end_with_the_film() -> None:
    """What only ends the one before is no text that is lost."""
    track = copied()
    given = (packet(19_500, 2000), packet(19_600, None), packet(20_000, 5), packet(21_000, 5, b"\0\0"))
    assert shown(track, *given) == [(19_500, 500, b"Good day"), (19_600, 0, b"Good day")]
    assert track.beyond == 1
