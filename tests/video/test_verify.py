"""The last look at a result: whatever is off by one, each by itself, and nothing that is right."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import av
import pytest

from flashvsr.errors import FlashVSRError
from flashvsr.video.verify import verify
from kits.videos import numbered, tone, write_sound, write_video

FRAMES, SIZE, SECONDS = 10, (128, 64), 0.4


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten frames with B-frames, and one audio track."""
    path = tmp_path_factory.mktemp("result") / "a.mp4"
    pictures = [numbered(n, *SIZE) for n in range(FRAMES)]
    return write_video(path, pictures, audio=tone(SECONDS), options={"bf": "3", "b_strategy": "0"})


def refused(path: Path, said: str, frames: int = FRAMES, size: tuple[int, int] = SIZE, duration: float = SECONDS,
            audio_tracks: int | None = 1) -> None:  # fmt: skip
    """This is all that is found wrong."""
    with pytest.raises(FlashVSRError, match=f"is not what was made: {re.escape(said)}$"):
        verify(path, frames, size, duration, audio_tracks)


def test_what_is_right_passes(result: Path) -> None:
    signs: list[None] = []
    verify(result, FRAMES, SIZE, SECONDS, 1, progress=lambda: signs.append(None))
    assert len(signs) >= FRAMES


@pytest.mark.parametrize("frames", [0, FRAMES - 1, FRAMES + 1])
def test_one_frame_too_many_or_too_few(result: Path, frames: int) -> None:
    refused(result, f"10 frames instead of {frames}", frames=frames)


@pytest.mark.parametrize("size", [(126, 64), (130, 64), (128, 62), (128, 66), (64, 128)])
def test_another_width_or_height(result: Path, size: tuple[int, int]) -> None:
    refused(result, f"128x64 pixels instead of {size[0]}x{size[1]}", size=size)


@pytest.mark.parametrize("duration", [0.363, 0.44, 0.446])
def test_a_duration_within_a_frame_passes(result: Path, duration: float) -> None:
    """And two milliseconds, which Matroska's rounding may take: a frame of 0.446 s in ten is 44.6 ms."""
    verify(result, FRAMES, SIZE, duration, 1)


@pytest.mark.parametrize("duration", [0.0, 0.32, 0.36, 0.448, 0.48, 4.0])
def test_a_duration_more_than_a_frame_off(result: Path, duration: float) -> None:
    refused(result, f"0.400 s instead of {duration:.3f} s", duration=duration)


@pytest.mark.parametrize("tracks", [0, 2])
def test_a_track_too_many_or_missing(result: Path, tracks: int) -> None:
    refused(result, f"1 audio tracks instead of {tracks}", audio_tracks=tracks)
    verify(result, FRAMES, SIZE, SECONDS)  # whoever does not ask gets no answer


def test_a_track_that_is_not_there(tmp_path: Path) -> None:
    silent = write_video(tmp_path / "a.mp4", [numbered(n, *SIZE) for n in range(FRAMES)])
    verify(silent, FRAMES, SIZE, SECONDS, 0)
    refused(silent, "0 audio tracks instead of 1")


def test_a_picture_that_is_not_there(tmp_path: Path) -> None:
    song = tmp_path / "song.mp4"
    with av.open(str(song), "w") as out:
        write_sound(out, out.add_stream("aac", rate=48000), tone(SECONDS))
    with pytest.raises(FlashVSRError, match=r"song\.mp4 has no video stream"):
        verify(song, FRAMES, SIZE, SECONDS, 1)


def test_a_result_that_begins_late_is_as_long_as_it_is_shown(tmp_path: Path) -> None:
    pictures = [numbered(n, *SIZE) for n in range(FRAMES)]
    late = write_video(tmp_path / "late.mkv", pictures, times=[100 + n for n in range(FRAMES)])
    verify(late, FRAMES, SIZE, SECONDS, 0)


@pytest.mark.parametrize("shown", [[20, *range(1, FRAMES)], [*range(1, FRAMES), 20]], ids=["last first", "in order"])
def test_the_order_of_decoding_changes_no_duration(shown: list[int], tmp_path: Path) -> None:
    """The first packet need not be the first frame, nor the last one the last."""
    path = tmp_path / "order.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuvj420p"
        for number, time in enumerate(shown):
            frame = av.VideoFrame.from_ndarray(numbered(number, *SIZE), format="rgb24").reformat(format="yuvj420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            for packet in stream.encode(frame):
                packet.pts, packet.dts, packet.time_base = time, number, Fraction(1, 25)
                out.mux(packet)
    verify(path, FRAMES, SIZE, 20 / 25, 0)


def test_everything_that_differs_is_told_at_once(result: Path) -> None:
    refused(
        result,
        "10 frames instead of 9, 128x64 pixels instead of 2x4, 0.400 s instead of 9.000 s, 1 audio tracks instead of 3",
        9,
        (2, 4),
        9.0,
        3,
    )
