"""Frames that carry the time at which they are decoded, where it should be the one at which they are shown."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import av
import pytest
from av.error import InvalidDataError
from av.packet import Packet

from flashvsr.errors import Interrupted
from flashvsr.settings.config import Config
from flashvsr.settings.processing_tables import Chunks, Preprocess
from flashvsr.video.order import DisplayOrder, has_decode_times
from flashvsr.video.probe import probe
from kits.chain import Watching, chain, played
from kits.videos import number_of, numbered, tone, write_sound

FRAMES = 60


def wrong(packet: Packet[Any], dts: int) -> None:
    packet.pts = packet.dts = dts


def film(
    path: Path, stamp: Callable[[Packet[Any], int], None] = wrong, codec: str = "libx264", frames: int = FRAMES
) -> Path:
    """A film with B-frames, whose packets get their times by `stamp`: from packet to packet, 25 a second."""
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream(codec, rate=25, options={"bf": "3" if codec == "libx264" else "2", "g": "20"})
        stream.width, stream.height, stream.pix_fmt = 128, 64, "yuv420p"
        stream.bit_rate = 1_000_000
        heard: Any = out.add_stream("libmp3lame", rate=48000)
        packets = []
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(numbered(index, 128, 64), format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            packets += stream.encode(frame)
        packets += stream.encode(None)
        for dts, packet in enumerate(packets):
            stamp(packet, dts)
        out.mux(packets)
        write_sound(out, heard, tone(frames / 25))
    return path


def stamps(path: Path) -> list[Fraction]:
    """The times of the picture's packets. FFmpeg leaves a place free behind the first one of an AVI."""
    with av.open(str(path)) as container:
        container.flags &= ~1  # keep PyAV from inventing timestamps
        found = [(packet.pts, packet.dts, packet.time_base) for packet in container.demux(video=0) if packet.size]
    return sorted((dts if pts is None else pts) * tick for pts, dts, tick in found)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.flv", "a.ts", "a.avi"])
def test_frames_are_shown_in_order_at_the_times_there_are(name: str, tmp_path: Path) -> None:
    path = film(tmp_path / name)
    assert probe(path).decode_times
    for container in ("mp4", "mkv"):
        report = chain(path, tmp_path, container=container)
        shown = played(report.result)
        assert [number_of(picture) for picture in shown.pictures] == list(range(FRAMES))
        assert shown.times[0] < Fraction(1, 20)  # where the sound begins before the picture
        times = stamps(path)
        assert times[-1] - times[0] <= Fraction(FRAMES, 25)
        assert all(
            abs(found - shown.times[0] - (meant - times[0])) <= Fraction(1, 1000)
            for found, meant in zip(shown.times, times, strict=True)
        )
        assert not any("jump" in warning for warning in report.warnings)


def test_avi_with_its_own_codec(tmp_path: Path) -> None:
    path = film(tmp_path / "a.avi", codec="mpeg4")
    assert played(chain(path, tmp_path).result).times == stamps(path)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_right_times_are_left_alone(name: str, tmp_path: Path) -> None:
    def later(packet: Packet[Any], dts: int) -> None:
        packet.pts, packet.dts = packet.pts + 2, dts

    assert not probe(film(tmp_path / name, later)).decode_times


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["stream", "file"])
def test_after_an_interruption(mode: str, tmp_path: Path) -> None:
    path, settings = film(tmp_path / "a.mp4"), Config(chunks=Chunks(size=8), preprocess=Preprocess(mode=mode))
    with pytest.raises(Interrupted):
        chain(path, tmp_path, settings, Watching(24, Interrupted("stop")))
    report = chain(path, tmp_path, settings)
    assert report.resumed_at > 0
    shown = played(report.result)
    assert shown.times == [Fraction(n, 25) for n in range(FRAMES)]
    assert [number_of(picture) for picture in shown.pictures] == list(range(FRAMES))


def in_order(given: list[int | None]) -> list[Fraction | None]:
    order = DisplayOrder[int](Fraction(1))
    found = [pair for n, time in enumerate(given) for pair in order.push(n, None if time is None else Fraction(time))]
    found += order.flush()
    assert [n for n, _ in found] == list(range(len(given)))
    return [time for _, time in found]


def test_lost_frames_move_no_other() -> None:
    assert in_order([0, 4, 2, 1, 8, 6, 5, 12]) == [0, 1, 2, 4, 5, 6, 8, 12]


def test_a_clock_that_jumps_begins_anew() -> None:
    """Two recordings do not mix their times."""
    assert in_order([100, 103, 101, 102, 0, 3, 1, 2]) == [100, 101, 102, 103, 0, 1, 2, 3]
    assert in_order([0, 2, None, 1]) == [0, 1, None, 2]


def test_a_frame_may_be_moved_by_sixteen_places() -> None:
    """As far as codecs reorder; so many frames are held back, and no more."""
    given = [*range(1, 17), 0, *range(17, 40)]
    assert in_order(given) == list(range(40))
    order = DisplayOrder[int](Fraction(1))
    ready = [len(list(order.push(n, Fraction(n)))) for n in range(20)]
    assert ready == [0] * 16 + [1] * 4


@pytest.mark.parametrize(("step", "far"), [(1, 32), (Fraction(1, 25), Fraction(32, 25))])
def test_where_a_clock_is_taken_to_jump(step: Fraction, far: Fraction) -> None:
    """Twice the sixteen places, forwards or back."""
    for distance, anew in ((far, False), (far + Fraction(1, 100), True)):
        order = DisplayOrder[str](Fraction(step))
        ready = [time for _, time in order.push("a", 2 * far)]
        ready += [time for _, time in order.push("b", 2 * far - distance)]
        assert ready == ([2 * far] if anew else [])
        ahead = DisplayOrder[str](Fraction(step))
        list(ahead.push("a", far))
        assert [time for _, time in ahead.push("b", far + distance)] == ([far] if anew else [])


class Reordering:
    """A stream whose decoder gives frames of these times, or an error."""

    def __init__(self, times: list[int | Exception | None]) -> None:
        self._times = iter(times)

    def decode(self, packet: object) -> list[SimpleNamespace]:
        time = next(self._times, None)
        if isinstance(time, Exception):
            raise time
        return [SimpleNamespace(pts=time)]


def looks_like_decode_times(packets: list[int | None], frames: list[int | Exception | None], kind: str = "mp4") -> bool:
    given = (SimpleNamespace(pts=time) for time in packets)
    return has_decode_times(kind, cast(Any, Reordering(frames)), cast(Any, given))


def test_times_that_rise_although_frames_come_in_another_order() -> None:
    assert looks_like_decode_times([0, 1, 2, 3], [0, 2, 1, 3])
    assert not looks_like_decode_times([0, 1, 2, 3], [0, 1, 2, 3])
    assert not looks_like_decode_times([0, 2, 1, 3], [0, 2, 1, 3]), "the packets' times go back themselves"
    assert not looks_like_decode_times([0, 1, 1, 2], [0, 2, 1, 3]), "or stand still"
    assert not looks_like_decode_times([0, 1, 2, 3], [0, 1, 1, 2]), "the same time twice is no other order"
    assert looks_like_decode_times([], [], "avi")


def test_what_has_no_time_or_cannot_be_decoded_is_passed_over() -> None:
    assert looks_like_decode_times([0, None, 1, 2], [0, None, 2, 1])
    assert not looks_like_decode_times([0, None, 1, None, 0], [0, 2, 1])
    damage = InvalidDataError(1, "damaged")
    assert looks_like_decode_times([0, 1, 2, 3], [0, damage, 2, 1])


def test_sixty_four_packets_are_looked_at() -> None:
    rest = iter([SimpleNamespace(pts=n) for n in range(100)])
    assert not has_decode_times("mp4", cast(Any, Reordering(list(range(100)))), cast(Any, rest))
    assert next(rest).pts == 64
    for place, seen in ((63, True), (64, False)):
        shown: list[int | Exception | None] = list(range(1, 100))
        shown.insert(place, 0)
        assert looks_like_decode_times([*range(100)], shown) is seen
