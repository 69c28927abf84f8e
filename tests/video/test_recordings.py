"""Transport streams through the whole chain: outages, clocks that wrap, tracks that get other numbers, programmes."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flashvsr.errors import Interrupted
from flashvsr.settings.config import Config
from flashvsr.settings.processing_tables import Chunks, Preprocess
from flashvsr.upscaling.report import Report
from flashvsr.video.probe import probe
from kits.chain import Played, Watching, chain, played
from kits.ts import WRAP, joined, multiplex, recording
from kits.videos import lag_ms, number_of, sound_of, tone

FRAME = Fraction(1, 25)
RATE = 8000


def numbers(shown: Played) -> list[int]:
    return [number_of(picture) for picture in shown.pictures]


def assert_heard(result: Path, sound: np.ndarray, seconds: float, at: float = 0.0) -> None:
    """`sound`, (1, samples) at 48 kHz, is heard from `at` on, within 20 ms everywhere."""
    whole = sound_of(result, Fraction(0), seconds + 1)[round(at * RATE) :]
    meant = sound[0, : int(sound.shape[1] // 6 * 6)].reshape(-1, 6).mean(axis=1)
    for start in (0.0, sound.shape[1] / 48000 - 1):
        part = slice(round(start * RATE), round((start + 1) * RATE))
        lag, likeness = lag_ms(meant[part], whole[part])
        assert abs(lag) < 20
        assert likeness > 0.6


def gap(first: int, seconds: int, more: int) -> list[Fraction]:
    """Times of so many frames, an outage, and more frames."""
    return [n * FRAME for n in range(first)] + [first * FRAME + seconds + n * FRAME for n in range(more)]


def shown_at(found: list[Fraction], meant: list[Fraction]) -> bool:
    """Whether pictures are shown at these times; all by the same few milliseconds later, for the sound begins first."""
    late = found[0] - meant[0]
    return 0 <= late < Fraction(1, 30) and all(
        abs(a - late - b) < Fraction(1, 500) for a, b in zip(found, meant, strict=True)
    )


@pytest.mark.slow
@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_a_picture_that_fails_stands_still_and_the_sound_goes_on(container: str, tmp_path: Path) -> None:
    sound, times = tone(17.0), gap(25, 15, 25)
    path = recording(tmp_path / "outage.ts", range(50), sound, at=times)
    report = chain(path, tmp_path, container=container)
    shown = played(report.result)
    assert numbers(shown) == list(range(50))
    assert shown_at(shown.times, times)
    assert_heard(report.result, sound, 17)
    assert not any("jump" in warning for warning in report.warnings)


@pytest.mark.slow
@pytest.mark.parametrize(
    "times",
    [
        gap(25, 61, 10),
        [*gap(25, 12, 10), *(25 + n * FRAME for n in range(10))],
        [Fraction(12 * n) for n in range(3)],
        [15 + n * FRAME for n in range(25)],
    ],
    ids=["a minute", "two", "stills", "at the beginning"],
)
def test_outages_of_other_kinds(times: list[Fraction], tmp_path: Path) -> None:
    sound = tone(float(times[-1]) + 1)
    path = recording(tmp_path / "outage.ts", range(len(times)), sound, at=times)
    shown = played(chain(path, tmp_path, container="mkv").result)
    assert numbers(shown) == list(range(len(times)))
    assert shown_at(shown.times, times)


def test_an_outage_goes_on_after_an_interruption(tmp_path: Path) -> None:
    sound, times = tone(14.0), gap(25, 12, 25)
    path = recording(tmp_path / "outage.ts", range(50), sound, at=times)
    settings = Config(chunks=Chunks(size=8))
    with pytest.raises(Interrupted):
        chain(path, tmp_path, settings, Watching(30, Interrupted("stop")))
    report = chain(path, tmp_path, settings)
    assert report.resumed_at > 0
    assert shown_at(played(report.result).times, times)


def test_both_tracks_that_leap_are_two_recordings(tmp_path: Path) -> None:
    parts = [recording(tmp_path / f"{n}.ts", range(25), tone(1.0), clock=Fraction(60 * n)) for n in (1, 2)]
    report = chain(joined(tmp_path / "both.ts", parts), tmp_path)
    assert report.frames == 50
    assert abs(report.duration - 2) < 0.1


def test_recordings_without_sound_whose_clock_goes_back_are_joined(tmp_path: Path) -> None:
    parts = [recording(tmp_path / f"{n}.ts", range(25), clock=Fraction(100 - n)) for n in (1, 60)]
    report = chain(joined(tmp_path / "both.ts", parts), tmp_path)
    assert abs(report.duration - 2) < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mpegts", "mpeg"])
@pytest.mark.parametrize(
    "clock",
    [Fraction(1000), WRAP - 3, WRAP - 1, WRAP - Fraction(5, 2), WRAP - 100],
    ids=["plain", "in the picture", "before the picture", "while only sound is there", "far from it"],
)
def test_sound_that_begins_first_is_kept_whatever_the_clock_shows(clock: Fraction, kind: str, tmp_path: Path) -> None:
    """The clock has 33 bits, and begins again once a day."""
    sound = tone(4.0)
    path = recording(tmp_path / f"wrap.{kind}", range(50), sound, at=[2 + n * FRAME for n in range(50)], clock=clock,
                     kind=kind, codec="mpeg2video")  # fmt: skip
    report = chain(path, tmp_path, container="mp4")
    shown = played(report.result)
    assert numbers(shown) == list(range(50))
    assert abs(shown.times[0] - 2) < Fraction(1, 20)
    assert_heard(report.result, sound, 4)


OTHERS = {
    "other numbers": {"mpegts_start_pid": "512"},
    "numbers of the other track": {"mpegts_start_pid": "257"},
    "another programme": {"mpegts_start_pid": "700", "mpegts_service_id": "9", "mpegts_pmt_start_pid": "4000"},
}


@pytest.mark.slow
@pytest.mark.parametrize("container", ["mp4", "mkv"])
@pytest.mark.parametrize("other", OTHERS.values(), ids=list(OTHERS))
def test_tracks_that_get_other_numbers_go_on(other: dict[str, str], container: str, tmp_path: Path) -> None:
    report, sound = renumbered(other, tmp_path, container=container)
    shown = played(report.result)
    assert numbers(shown) == list(range(100))
    assert shown_at(shown.times, [n * FRAME for n in range(100)])
    assert_heard(report.result, sound, 4)
    assert report.audio_tracks == 1


def renumbered(
    other: dict[str, Any],
    folder: Path,
    settings: Config | None = None,
    control: Watching | None = None,
    **preset: Any,
) -> tuple[Report, np.ndarray]:
    sound = tone(4.0)
    cut = 48000 * 2 // 1152 * 1152
    parts = [  # one clock runs through both
        recording(folder / "a.ts", range(50), sound[:, :cut], clock=Fraction(10)),
        recording(
            folder / "b.ts",
            range(50, 100),
            sound[:, cut:],
            clock=Fraction(12),
            sound_at=Fraction(cut, 48000) - 2,
            **other,
        ),
    ]
    return chain(joined(folder / "both.ts", parts), folder, settings, control, **preset), sound


def test_renumbered_tracks_as_on_blu_ray_and_in_a_multiplex(tmp_path: Path) -> None:
    """There, four bytes are before each packet."""
    other: dict[str, Any] = {"mpegts_start_pid": "700", "mpegts_pmt_start_pid": "4001"}
    parts = [
        recording(tmp_path / "a.ts", range(25), tone(1.0), clock=Fraction(10), mpegts_pmt_start_pid="4001"),
        recording(tmp_path / "b.ts", range(25, 50), tone(1.0), clock=Fraction(11), **other),
    ]
    stranger = recording(tmp_path / "c.ts", [7] * 50, tone(2.0), size=(64, 64), mpegts_start_pid="300",
                         mpegts_pmt_start_pid="4002", mpegts_service_id="2")  # fmt: skip
    whole = multiplex(tmp_path / "all.ts", [joined(tmp_path / "both.ts", parts), stranger], [4001, 4002]).read_bytes()
    path = tmp_path / "all.m2ts"
    path.write_bytes(b"".join(bytes(4) + whole[at : at + 188] for at in range(0, len(whole), 188)))
    report = chain(path, tmp_path)
    assert numbers(played(report.result)) == list(range(50))
    assert report.audio_tracks == 1
    assert any("2 tracks of other programmes left out" in warning for warning in report.warnings)


def test_a_picture_that_goes_on_in_another_codec_is_told(tmp_path: Path) -> None:
    parts = [
        recording(tmp_path / "a.ts", range(25), tone(1.0), clock=Fraction(10)),
        recording(tmp_path / "b.ts", range(25, 50), tone(1.0), clock=Fraction(11), codec="mpeg2video",
                  mpegts_start_pid="700"),
    ]  # fmt: skip
    report = chain(joined(tmp_path / "both.ts", parts), tmp_path)
    assert report.frames == 25
    assert any("1 tracks of picture or sound begin on the way" in warning for warning in report.warnings)


@pytest.mark.slow
def test_renumbered_tracks_by_way_of_a_file_and_after_an_interruption(tmp_path: Path) -> None:
    settings = Config(chunks=Chunks(size=8), preprocess=Preprocess(mode="file"))
    with pytest.raises(Interrupted):
        renumbered(OTHERS["other numbers"], tmp_path, settings, Watching(70, Interrupted("stop")))
    report, sound = renumbered(OTHERS["other numbers"], tmp_path, settings)
    assert numbers(played(report.result)) == list(range(100))
    assert_heard(report.result, sound, 4)


def test_picture_and_sound_are_of_one_programme(tmp_path: Path) -> None:
    """The one with the largest picture; the first has none but sound, the last no sound."""
    sounds = [tone(2.0) * factor for factor in (1, -0.5)]
    layout = [((64, 64), sounds[0]), ((128, 96), sounds[1][:, ::-1]), ((96, 64), None)]
    parts = []
    for n, (size, sound) in enumerate(layout, 1):
        named: dict[str, Any] = {
            "mpegts_start_pid": str(256 * n),
            "mpegts_pmt_start_pid": str(4000 + n),
            "mpegts_service_id": str(n),
        }
        parts.append(recording(tmp_path / f"{n}.ts", [n] * 50, sound, size=size, **named))
    path = multiplex(tmp_path / "all.ts", parts, [4001, 4002, 4003])
    info = probe(path)
    assert (info.width, len(info.audio)) == (128, 1)
    report = chain(path, tmp_path)
    assert numbers(played(report.result)) == [2] * 50
    assert report.audio_tracks == 1
    assert_heard(report.result, np.ascontiguousarray(layout[1][1]), 2)
    assert any("3 tracks of other programmes left out" in warning for warning in report.warnings)


def test_a_programme_without_sound_has_none(tmp_path: Path) -> None:
    parts = [
        recording(tmp_path / "1.ts", [1] * 25, tone(1.0), mpegts_pmt_start_pid="4001"),
        recording(tmp_path / "2.ts", [2] * 25, size=(128, 96), mpegts_start_pid="600", mpegts_pmt_start_pid="4002",
                  mpegts_service_id="2"),
    ]  # fmt: skip
    report = chain(multiplex(tmp_path / "all.ts", parts, [4001, 4002]), tmp_path)
    assert (report.frames, report.audio_tracks) == (25, 0)
