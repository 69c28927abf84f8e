"""Sound that is copied, packet by packet: when each is heard, which are left out, and what cannot be copied."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest

from flashvsr.video.audio import CopyTrack, Unfit, overlaps
from flashvsr.video.timing import LONGEST_GAP

MS = Fraction(1, 1000)
START = 10_000  # of the source, in milliseconds
STEREO, MONO = b"\xff\xfb\x90\x00" + bytes(20), b"\xff\xfb\x90\xc0" + bytes(20)  # headers of MP3


def stream(codec: str = "opus", extradata: bytes | None = None) -> Any:
    context = SimpleNamespace(name=codec, extradata=extradata)
    container = SimpleNamespace(format=SimpleNamespace(name="matroska,webm"))
    return SimpleNamespace(container=container, codec_context=context, time_base=MS, start_time=START)


class Packet(bytes):
    """A packet of sound, at milliseconds from the film's start."""

    stream: Any
    dts: int | None
    pts: int | None
    duration: int | None
    is_discard: bool
    header: bytes | None

    def has_sidedata(self, name: str) -> bool:
        return self.header is not None

    def get_sidedata(self, name: str) -> bytes:
        assert self.header is not None
        return self.header


def packet(time: int | None, duration: int | None = 20, *, pts: int | None = None, discard: bool = False,
           content: bytes = b"sound", codec: str = "opus", header: bytes | None = None) -> Packet:  # fmt: skip
    made = Packet(content)
    made.stream, made.duration, made.is_discard, made.header = stream(codec), duration, discard, header
    made.dts = None if time is None else START + time
    made.pts = made.dts if pts is None else START + pts
    return made


def track(codec: str = "opus", joined: bool = False, tick: Fraction = MS, extradata: bytes | None = None) -> CopyTrack:
    target: Any = SimpleNamespace(time_base=tick)
    return CopyTrack(stream(codec, extradata), target, START * MS, joined)


def heard(copying: CopyTrack, *packets: Packet) -> list[tuple[int, int, int]]:
    """Decode time, time and length of each packet that is written, in ticks of the result."""
    made: Any = [item for given in packets for item in copying.feed(given)]  # type: ignore[arg-type]
    assert copying.feed(None) == []
    assert all(written.stream is copying.target for _, written in made)
    return [(written.dts, written.pts, written.duration) for _, written in made]


def test_times_count_from_the_films_start_in_the_results_ticks() -> None:
    assert heard(track(), packet(0), packet(20), packet(40)) == [(0, 0, 20), (20, 20, 20), (40, 40, 20)]
    assert heard(track(tick=Fraction(1, 48000)), packet(1), packet(21)) == [(48, 48, 960), (1008, 1008, 960)]
    assert heard(track(tick=Fraction(1, 100)), packet(6), packet(16)) == [(1, 1, 2), (2, 2, 2)], "the nearest tick"


def test_what_is_shown_later_than_it_is_decoded_stays_so() -> None:
    given = (packet(0, pts=40), packet(20, pts=10), packet(None, pts=60))
    assert heard(track(), *given) == [(0, 40, 20), (20, 20, 20), (60, 60, 20)]


def test_times_that_are_missing_or_repeat_or_leap() -> None:
    leap = int(LONGEST_GAP * 1000) + 1000
    given = [packet(0), packet(None), packet(40), packet(40), packet(60 + leap), packet(80 + leap)]
    given[1].pts = None
    assert [dts for dts, _, _ in heard(track(), *given)] == [0, 20, 40, 42, 62, 82]
    coarse = heard(track(tick=Fraction(1, 10)), packet(0), packet(20), packet(40))
    assert [dts for dts, _, _ in coarse] == [0, 1, 2], "two packets have two times"


@pytest.mark.parametrize(("joined", "times"), [(True, [0, 20, 40]), (False, [0, 20, 22, 25, 40])])
def test_what_was_heard_before_a_joint_is_not_heard_again(joined: bool, times: list[int]) -> None:
    """Where nothing was joined, no packet is left out."""
    given = (packet(0), packet(20), packet(5), packet(15), packet(40))
    assert [dts for dts, _, _ in heard(track(joined=joined), *given)] == times


@pytest.mark.parametrize(
    ("time", "end", "duration", "expected"),
    [(9, 20, 20, True), (10, 20, 20, False), (None, 20, 20, False), (0, None, 20, False), (0, 20, None, False)],
)
def test_most_of_it_has_been_heard(time: int | None, end: int | None, duration: int | None, expected: bool) -> None:
    assert overlaps(*(None if value is None else Fraction(value) for value in (time, end, duration))) is expected


@pytest.mark.parametrize(("codec", "kept"), [("opus", [-40, -20, 0]), ("pcm_s16le", [0])])
def test_a_decoder_gets_what_it_wants_before_the_first_sound(codec: str, kept: list[int]) -> None:
    """Two packets that an edit list leaves out; a format of plain samples wants none."""
    given = (packet(-80, discard=True), packet(-60, discard=True), packet(-40, discard=True),
             packet(-20, discard=True), packet(0))  # fmt: skip
    copying = track(codec)
    found = [item[1].pts for each in given for item in copying.feed(each)]  # type: ignore[arg-type]
    assert found == kept


def test_the_end_may_be_cut_and_the_middle_may_not() -> None:
    ending = (packet(0), packet(20), packet(40, discard=True), packet(60, discard=True))
    assert [dts for dts, _, _ in heard(track(), *ending)] == [0, 20]
    with pytest.raises(Unfit, match="edit list"):
        heard(track(), packet(0), packet(20, discard=True), packet(40))
    assert len(heard(track(), packet(-20, discard=True), packet(0), packet(20))) == 3


def mp3(*contents: bytes) -> list[Packet]:
    return [packet(24 * n, 24, content=content, codec="mp3") for n, content in enumerate(contents)]


def test_three_packets_in_a_row_are_another_format() -> None:
    """Fewer of them are damage."""
    odd = bytes(24)
    assert len(heard(track("mp3"), *mp3(STEREO, MONO, MONO, STEREO, MONO, MONO, STEREO))) == 7
    with pytest.raises(Unfit, match="it changes on the way from 2 channels at 44100 Hz to 1 channels"):
        heard(track("mp3"), *mp3(STEREO, MONO, odd, MONO, MONO))
    other = MONO[:2] + b"\x94" + MONO[3:]  # 48000 Hz
    assert len(heard(track("mp3"), *mp3(STEREO, MONO, MONO, other, other))) == 5
    assert len(heard(track("mp3"), *mp3(STEREO, MONO, MONO))) == 3


@pytest.mark.parametrize(
    ("first", "later", "fits"),
    [(b"one", b"one", True), (b"one", b"two", False), (None, b"one", True), (b"one", b"", True)],
)
def test_another_header_is_another_format(first: bytes | None, later: bytes, fits: bool) -> None:
    given = (packet(0), packet(20, header=later), packet(40))
    if fits:
        assert len(heard(track(extradata=first), *given)) == 3
        return
    with pytest.raises(Unfit, match="its format changes on the way"):
        heard(track(extradata=first), *given)
