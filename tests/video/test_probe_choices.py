"""What is chosen of a file where there is more than one: its picture, its start, the error to tell. Fakes for PyAV."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from av.error import FFmpegError, InvalidDataError
from av.error import MemoryError as AvMemoryError

from flashvsr.errors import BadInput
from flashvsr.video.probe import ATTACHED_PICTURE, _first_frame, _sample_aspect, _start, _video_stream

DEFAULT = 1
ANY = Path("film.mkv")


def picture(index: int, width: int, flags: int = 0, decodable: bool = True) -> Any:
    return SimpleNamespace(
        index=index, width=width, height=100, disposition=SimpleNamespace(value=flags),
        codec_context=object() if decodable else None,
    )  # fmt: skip


def chosen(*pictures: Any, sounds: int = 0) -> int:
    streams = SimpleNamespace(video=pictures, audio=[object()] * sounds)
    container: Any = SimpleNamespace(streams=streams)
    return _video_stream(container, ANY).index


@pytest.mark.parametrize(
    ("pictures", "index"),
    [
        ([picture(0, 100), picture(1, 200)], 1),
        ([picture(0, 100, DEFAULT), picture(1, 200)], 0),
        ([picture(0, 100), picture(1, 50, DEFAULT)], 1),
        ([picture(0, 100, DEFAULT), picture(1, 200, DEFAULT)], 1),
        ([picture(0, 100), picture(1, 100)], 0),
        ([picture(0, 900, ATTACHED_PICTURE), picture(1, 100)], 1),
        ([picture(0, 900, DEFAULT | ATTACHED_PICTURE), picture(1, 100)], 1),
        ([picture(0, 900, decodable=False), picture(1, 100)], 1),
        ([picture(0, 100, 8), picture(1, 90, DEFAULT)], 1),
    ],
)
def test_the_default_picture_else_the_largest_else_the_first(pictures: list[Any], index: int) -> None:
    assert chosen(*pictures) == index


@pytest.mark.parametrize(
    ("pictures", "sounds", "said"),
    [
        ([], 0, "no video stream"),
        ([picture(0, 100, ATTACHED_PICTURE)], 1, "only sound"),
        ([picture(0, 100, decodable=False)], 1, "there is no decoder"),
    ],
)
def test_a_file_without_a_picture(pictures: list[Any], sounds: int, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        chosen(*pictures, sounds=sounds)


def starts(*ticks: int | None, container: str = "matroska") -> Fraction:
    """The start of a file whose picture and sounds start there, in milliseconds."""
    video, *sounds = (SimpleNamespace(start_time=time, time_base=Fraction(1, 1000)) for time in ticks)
    made: Any = _start(container, video, sounds)  # type: ignore[arg-type]
    return Fraction(made) * 1000


@pytest.mark.parametrize(
    ("ticks", "start"),
    [
        ((500, 700), 500),
        ((700, 500), 500),
        ((700, 600, 500), 500),
        ((700, None, 500), 500),
        ((None, 500), 500),
        ((None, None), 0),
        ((0, -20), 0),
        ((40, -20), 0),
        ((-10, -20), -10),
        ((0, -250), 0),
        ((0, -251), -251),
        ((None, -20), -20),
        ((-300, 0), -300),
    ],
)
def test_a_film_starts_with_the_first_of_its_tracks(ticks: tuple[int | None, ...], start: int) -> None:
    """But for the lead-in that an encoder of sound puts before zero."""
    assert starts(*ticks) == start


@pytest.mark.parametrize("container", ["mpegts", "mpeg"])
def test_zero_means_nothing_in_a_recording(container: str) -> None:
    assert starts(0, -20, container=container) == -20


@pytest.mark.parametrize(
    ("aspect", "turned", "expected"),
    [
        (None, False, 1), (Fraction(4, 3), False, Fraction(4, 3)), (Fraction(4, 3), True, Fraction(3, 4)),
        (Fraction(1, 20), False, 1), (Fraction(20), False, 1), (Fraction(1, 19), True, 19), (Fraction(0), False, 1),
    ],
)  # fmt: skip
def test_pixels_of_any_sensible_shape(aspect: Fraction | None, turned: bool, expected: Fraction) -> None:
    stream: Any = SimpleNamespace(sample_aspect_ratio=aspect)
    assert _sample_aspect(stream, turned) == expected


def first_frame(*made: FFmpegError | list[str], tracks: tuple[int, ...] = ()) -> Any:
    """What comes of a stream whose packets decode to these, one behind the other; the last one is the flush."""
    results = iter(made)

    def decode(_: object) -> list[str]:
        result = next(results)
        if isinstance(result, FFmpegError):
            raise result
        return result

    def packets() -> Iterator[Any]:
        for index in tracks or [3] * (len(made) - 1):
            yield SimpleNamespace(stream_index=index)

    stream: Any = SimpleNamespace(index=3, decode=decode)
    return _first_frame(packets(), stream, ANY)  # type: ignore[arg-type]


def test_the_first_frame_that_can_be_decoded() -> None:
    damage = InvalidDataError(1, "damaged")
    assert first_frame([], damage, ["good", "next"], ["later"]) == "good"
    assert first_frame([], [], ["held back"]) == "held back"
    assert first_frame(["good"], [], tracks=(1, 2, 3)) == "good"


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_lack_of_memory_is_told_before_any_damage(place: int) -> None:
    """Whoever opens files in a process of its own tells by it which of the two it was."""
    made: list[FFmpegError | list[str]] = [InvalidDataError(1, str(number)) for number in range(3)]
    made[place] = AvMemoryError(12, "no memory")
    with pytest.raises(BadInput, match="not one frame") as caught:
        first_frame(*made, [])
    assert isinstance(caught.value.__cause__, MemoryError)
