"""Every container that people have, whole and damaged, through the whole chain."""

from __future__ import annotations

import random
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from flashvsr.video.probe import probe
from kits.chain import chain, played
from kits.made_once import made_once
from kits.paths import CLIPS
from kits.videos import FRAME_COUNTS, lag_ms, number_of, numbered, sound_of, tone

FRAMES, RATE = 50, 25

# Extension -> format, video codec, pixels, audio codec, its sample rate, options of the format.
KINDS = {
    "mp4": ("mp4", "libx264", "yuv420p", "aac", 48000, {}),
    "mov": ("mov", "mpeg4", "yuv420p", "pcm_s16le", 48000, {}),
    "mkv": ("matroska", "libx265", "yuv420p", "flac", 48000, {}),
    "webm": ("webm", "libvpx", "yuv420p", "libopus", 48000, {}),
    "avi": ("avi", "mpeg4", "yuv420p", "ac3", 48000, {}),
    "mpg": ("mpeg", "mpeg2video", "yuv420p", "mp2", 48000, {}),
    "ts": ("mpegts", "libx264", "yuv420p", "aac", 48000, {}),
    "m2ts": ("mpegts", "libx264", "yuv420p", "ac3", 48000, {"mpegts_m2ts_mode": "1"}),
    "mts": ("mpegts", "libx264", "yuv420p", "ac3", 48000, {"mpegts_m2ts_mode": "1"}),
    "flv": ("flv", "libx264", "yuv420p", "aac", 44100, {}),
    "wmv": ("asf", "wmv2", "yuv420p", "wmav2", 44100, {}),
    "3gp": ("3gp", "h263", "yuv420p", "aac", 44100, {}),
    "gif": ("gif", "gif", "rgb8", None, 0, {}),
}


@made_once
def write(path: Path, kind: str, frames: int = FRAMES, sound: np.ndarray | None = None, **video: str) -> Path:
    """Numbered pictures with sound, interleaved as a recorder does."""
    form, codec, pixels, audio_codec, rate, options = KINDS[kind]
    size = (176, 144) if codec == "h263" else (128, 96)
    with av.open(str(path), "w", format=form, container_options=options) as out:
        stream: Any = out.add_stream(codec, rate=RATE, options=video)
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        stream.bit_rate = 2_000_000
        heard: Any = out.add_stream(audio_codec, rate=rate) if audio_codec else None
        blocks: list[av.AudioFrame] = []
        if heard is not None:
            heard.codec_context.layout = "mono"
            heard.bit_rate = 64_000
        out.start_encoding()
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(numbered(index, *size), format="rgb24").reformat(format=pixels)
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            for packet in stream.encode(frame):
                out.mux(packet)
            if heard is None:
                continue
            if index == 0:
                context = heard.codec_context
                to = av.AudioResampler(context.format, "mono", rate, frame_size=context.frame_size or 1024)
                given = tone(frames / RATE) if sound is None else sound
                block = av.AudioFrame.from_ndarray(np.ascontiguousarray(given), format="fltp", layout="mono")
                block.sample_rate, block.pts, block.time_base = 48000, 0, Fraction(1, 48000)
                blocks = [*to.resample(block), *to.resample(None)]
            while blocks and blocks[0].pts * blocks[0].time_base <= Fraction(index + 1, RATE):
                out.mux(heard.encode(blocks.pop(0)))
        out.mux(stream.encode(None))
        for block in blocks if heard is not None else ():
            out.mux(heard.encode(block))
        if heard is not None:
            out.mux(heard.encode(None))
    return path


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_container_comes_back_whole(kind: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"film.{kind}", kind)
    report = chain(path, tmp_path)
    shown = played(report.result)
    assert [number_of(picture) for picture in shown.pictures] == list(range(FRAMES))
    # FLV, WMV and Matroska store milliseconds, GIF hundredths; what is meant is 25 frames a second.
    late = shown.times[0]  # the sound may begin before the picture
    assert 0 <= late < Fraction(1, 10)
    assert max(abs(time - late - Fraction(n, RATE)) for n, time in enumerate(shown.times)) <= Fraction(1, 1000)
    if KINDS[kind][3]:
        lag, likeness = lag_ms(sound_of(path, probe(path).start, 3), sound_of(report.result, Fraction(0), 3))
        assert abs(lag) < 20
        assert likeness > 0.7
    assert all("encoded as AAC" in warning for warning in report.warnings)


def test_ogv(tmp_path: Path) -> None:
    path = shutil.copy(CLIPS / "movie-hello.ogg", tmp_path / "film.ogv")
    report = chain(Path(path), tmp_path, width=128)
    assert report.frames == FRAME_COUNTS["movie-hello.ogg"]
    lag, likeness = lag_ms(sound_of(Path(path), probe(Path(path)).start, 2), sound_of(report.result, Fraction(0), 2))
    assert abs(lag) < 20
    assert likeness > 0.7


def in_sync_after(source_sound: np.ndarray, result: Path, seconds: float) -> None:
    """The undamaged source's sound at its end, against the result's."""
    after = sound_of(result, Fraction(0), seconds)
    tail = slice(int((seconds - 1.2) * 8000), int((seconds - 0.1) * 8000))
    lag, likeness = lag_ms(source_sound[tail], after[tail])
    assert abs(lag) < 20
    assert likeness > 0.7


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "codec"), [("ts", "h264"), ("mpg", "mpeg2")])
def test_a_damaged_stretch_is_filled_by_the_last_good_frame(kind: str, codec: str, tmp_path: Path) -> None:
    """No frame is missing from the count, what follows is at its time, and the report says how many were lost."""
    whole = write(tmp_path / f"whole.{kind}", kind, 100, g="10", bf="0")
    data = bytearray(whole.read_bytes())
    at = len(data) // 2 // 188 * 188
    data[at : at + len(data) // 8 // 188 * 188] = bytes(len(data) // 8 // 188 * 188)
    path = tmp_path / f"damaged.{kind}"
    path.write_bytes(data)
    report = chain(path, tmp_path)
    shown = played(report.result)
    numbers = [number_of(picture) for picture in shown.pictures]
    assert len(numbers) == 100
    first = shown.times[0]
    assert max(abs(t - first - Fraction(n, RATE)) for n, t in enumerate(shown.times)) < Fraction(1, 1000)
    good = [n for n, number in enumerate(numbers) if number == n]
    lost = 100 - len(good)
    assert good[0] == 0
    assert good[-1] == 99
    assert 2 <= lost < 40
    said = [warning for warning in report.warnings if "repeating the last good one" in warning]
    assert len(said) == 1
    assert 1 <= int(said[0].split()[0]) <= lost
    in_sync_after(sound_of(whole, probe(whole).start, 4), report.result, 4)


def test_recordings_joined_in_the_middle_of_a_group(tmp_path: Path) -> None:
    """The second part begins with pictures that refer to ones cut away: its first good one comes later."""
    first = write(tmp_path / "a.ts", "ts", 50, g="20", bf="0", preset="ultrafast")
    second = write(tmp_path / "b.ts", "ts", 75, g="20", bf="0", preset="ultrafast").read_bytes()
    path = tmp_path / "joined.ts"
    path.write_bytes(first.read_bytes() + second[: 3 * 188] + second[len(second) // 5 // 188 * 188 :])
    report = chain(path, tmp_path)
    shown = played(report.result)
    numbers = [number_of(picture) for picture in shown.pictures]
    assert numbers[:50] == list(range(50))
    assert numbers[-1] == 74
    steps = [b - a for a, b in zip(shown.times, shown.times[1:], strict=False)]
    assert max(abs(step - Fraction(1, RATE)) for step in steps) < Fraction(1, 100)
    with av.open(str(tmp_path / "b.ts")) as b:
        picture = b.streams.video[0]
        before = sound_of(tmp_path / "b.ts", Fraction(picture.start_time * picture.time_base), 3)
    after = sound_of(report.result, Fraction(0), float(shown.times[-1]) + 1)
    end = round((float(shown.times[-1]) + 0.04) * 8000)
    lag, likeness = lag_ms(before[24000 - 12000 : 24000 - 1000], after[end - 12000 : end - 1000])
    assert abs(lag) < 20
    assert likeness > 0.6


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mp4", "mkv", "avi", "ts", "mpg", "flv", "wmv", "webm"])
def test_what_can_be_decoded_of_a_damaged_file_is(kind: str, tmp_path: Path) -> None:
    """Noise over a tenth of the middle: the frames before and after it are there, at their times."""
    path = write(tmp_path / f"film.{kind}", kind, 100, g="10")
    data = bytearray(path.read_bytes())
    chance, start = random.Random(3), len(data) * 45 // 100
    data[start : start + len(data) // 10] = chance.randbytes(len(data) // 10)
    path.write_bytes(data)
    report = chain(path, tmp_path)
    shown = played(report.result)
    numbers = [number_of(picture) for picture in shown.pictures]
    assert numbers[:30] == list(range(30))
    assert numbers[-1] == 99
    # AVI has no times, only a count, and its reader skips noise without a word, as the decoder does for FLV.
    if kind not in ("avi", "flv"):
        assert abs(shown.times[-1] - shown.times[0] - Fraction(99, RATE)) < Fraction(1, 10)
        assert any("damaged places" in warning or "missing" in warning for warning in report.warnings)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ts", "mpg", "mkv", "flv", "avi"])
def test_a_file_cut_short_gives_what_is_there(kind: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"film.{kind}", kind, 100, g="10")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    numbers = [number_of(picture) for picture in played(chain(path, tmp_path).result).pictures]
    assert numbers[:40] == list(range(40))
    assert len(numbers) < 90
