"""Time through the whole chain: as many frames, each when it was shown, for every kind of clock."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from flashvsr.video.probe import probe
from kits.chain import chain, played
from kits.videos import lag_ms, number_of, numbered, sound_of, tone, write_video

SIZE = (128, 64)
FILM, NTSC, DOUBLE = Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60000, 1001)


def pictures(count: int) -> list[np.ndarray]:
    return [numbered(n % 256, *SIZE) for n in range(count)]


def assert_comes_back(
    source: Path, folder: Path, times: Sequence[Fraction], numbers: Sequence[int], **preset: Any
) -> None:
    """The result shows the numbered pictures at these times, in seconds from the source's start."""
    report = chain(source, folder, **preset)
    shown = played(report.result)
    assert [number_of(picture) for picture in shown.pictures] == list(numbers)
    tolerance = Fraction(1, 2000) if preset.get("container") == "mkv" else 0
    assert max(abs(a - b) for a, b in zip(shown.times, times, strict=True)) <= tolerance
    assert report.warnings == []


@pytest.mark.slow
@pytest.mark.parametrize("container", ["mp4", "mkv"])
@pytest.mark.parametrize("source", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize("rate", [FILM, Fraction(25), NTSC, DOUBLE], ids=["23.976", "25", "29.97", "59.94"])
def test_constant_rates_are_exact(rate: Fraction, source: str, container: str, tmp_path: Path) -> None:
    path = write_video(tmp_path / f"film.{source}", pictures(24), rate)
    assert_comes_back(path, tmp_path, [n / rate for n in range(24)], range(24), container=container)
    if container == "mp4":
        with av.open(str(next((tmp_path / "out").iterdir()))) as back:
            assert back.streams.video[0].average_rate == rate


@pytest.mark.parametrize("source", ["mp4", "mkv"])
def test_a_variable_rate_is_kept_to_the_tick(source: str, tmp_path: Path) -> None:
    chance = np.random.default_rng(2)
    ticks = np.concatenate([[0], np.cumsum(chance.integers(20, 120, 29))])
    path = write_video(tmp_path / f"phone.{source}", pictures(30), 30, times=[int(t) for t in ticks],
                       time_base=Fraction(1, 1000))  # fmt: skip
    assert_comes_back(path, tmp_path, [Fraction(int(t), 1000) for t in ticks], range(30))


@pytest.mark.parametrize("count", [1, 2, 5, 24, 25])
def test_short_videos(count: int, tmp_path: Path) -> None:
    path = write_video(tmp_path / "short.mp4", pictures(count))
    assert_comes_back(path, tmp_path, [Fraction(n, 25) for n in range(count)], range(count))


@pytest.mark.parametrize("kind", ["png", "jpg"])
def test_a_still_image_is_one_frame(kind: str, tmp_path: Path) -> None:
    codec, pixels = ("png", "rgb24") if kind == "png" else ("mjpeg", "yuvj420p")
    context: Any = av.CodecContext.create(codec, "w")
    context.width, context.height, context.pix_fmt, context.time_base = *SIZE, pixels, Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(numbered(77, *SIZE), format="rgb24").reformat(format=pixels)
    frame.pts = 0
    path = tmp_path / f"still.{kind}"
    path.write_bytes(b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)]))
    assert_comes_back(path, tmp_path, [Fraction(0)], [77])


def test_a_start_that_is_not_zero_is_taken_off(tmp_path: Path) -> None:
    """Recordings start anywhere; players count from their start, and so does the result."""
    path = write_video(tmp_path / "late.mkv", pictures(10), 25, times=[250 + n for n in range(10)])
    assert probe(path).start == 10
    assert_comes_back(path, tmp_path, [Fraction(n, 25) for n in range(10)], range(10))


@pytest.mark.parametrize("container", ["mp4", "mkv"])
@pytest.mark.parametrize("delay", [0.4, -0.4], ids=["picture-late", "sound-late"])
def test_what_starts_later_starts_later(delay: float, container: str, tmp_path: Path) -> None:
    path, sound = tmp_path / "film.mkv", tone(2.0)
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = *SIZE, "yuv420p"
        heard = out.add_stream("aac", rate=48000)
        heard.codec_context.layout = "mono"
        shift = round(max(0.0, delay) * 25)
        for index, picture in enumerate(pictures(30)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = index + shift, Fraction(1, 25)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        silence = np.zeros((1, round(max(0.0, -delay) * 48000)), np.float32)
        for start in range(0, sound.shape[1], 1024):
            block = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound[:, start : start + 1024]), "fltp", "mono")
            block.sample_rate, block.pts, block.time_base = 48000, start + silence.shape[1], Fraction(1, 48000)
            out.mux(heard.encode(block))
        out.mux(heard.encode(None))
    report = chain(path, tmp_path, container=container)
    shown = played(report.result)
    info = probe(path)
    first = Fraction(0) if delay < 0 else Fraction(2, 5)
    assert abs(shown.times[0] - first) < Fraction(3, 100)  # the encoder's lead-in counts where it is before the picture
    lag, likeness = lag_ms(sound_of(path, info.start, 3), sound_of(report.result, Fraction(0), 3))
    assert abs(lag) < 2
    assert likeness > 0.8  # Matroska's milliseconds are 8 samples off here


def box(data: bytes, *names: bytes) -> int:
    """Where the content of a box of an MP4 starts."""
    at = 0
    for name in names:
        at = data.index(name, at) + 4
    return at


def test_an_edit_list_cuts_the_beginning(tmp_path: Path) -> None:
    """An editor that cuts without encoding anew leaves frames in the file that are not shown."""
    path = write_video(tmp_path / "cut.mp4", pictures(30), 25)
    data = bytearray(path.read_bytes())
    at = box(bytes(data), b"elst") + 8  # version and flags, number of entries
    duration, media_time = struct.unpack_from(">Ii", data, at)
    step = 12800 // 25
    struct.pack_into(">Ii", data, at, duration * 20 // 30, media_time + 10 * step)
    path.write_bytes(data)
    assert_comes_back(path, tmp_path, [Fraction(n, 25) for n in range(20)], range(10, 30))


def test_negative_first_decode_times(tmp_path: Path) -> None:
    path = tmp_path / "negative.mp4"
    with av.open(str(path), "w", options={"movflags": "negative_cts_offsets", "use_editlist": "0"}) as out:
        stream = out.add_stream("libx264", rate=25, options={"bf": "3"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for index, picture in enumerate(pictures(20)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with av.open(str(path)) as container:
        assert next(container.demux(video=0)).dts < 0
    assert_comes_back(path, tmp_path, [Fraction(n, 25) for n in range(20)], range(20))


def test_gaps_stay_and_duplicates_are_spread(tmp_path: Path) -> None:
    stamps = [0, 40, 80, 80, 120, 600, 640, 640, 640, 680]  # ms
    path = tmp_path / "stamps.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuvj420p"
        for index, picture in enumerate(pictures(10)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuvj420p")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            for packet in stream.encode(frame):
                packet.pts = packet.dts = stamps[index]
                packet.time_base = Fraction(1, 1000)
                out.mux(packet)
    shown = played(chain(path, tmp_path).result)
    assert [number_of(picture) for picture in shown.pictures] == list(range(10))
    assert all(b > a for a, b in zip(shown.times, shown.times[1:], strict=False))
    assert max(abs(a - Fraction(b, 1000)) for a, b in zip(shown.times, stamps, strict=True)) < Fraction(1, 50)


@pytest.mark.slow
def test_half_an_hour_in_one_group_of_pictures(tmp_path: Path) -> None:
    """No drift at its end, and sound that is there when the picture is."""
    path, rate = tmp_path / "half an hour.mkv", 8000
    bursts = np.zeros((1, 1800 * rate), np.float32)
    for at in (2, 900, 1796):
        bursts[:, at * rate : at * rate + 12000] = tone(0.25)
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=Fraction(250, 1001), options={"g": "4000", "preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        heard = out.add_stream("aac", rate=rate)
        heard.codec_context.layout = "mono"
        for index in range(450):
            frame = av.VideoFrame.from_ndarray(numbered(index % 256, 64, 48), format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1001, 250)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        for start in range(0, bursts.shape[1], 1024):
            block = av.AudioFrame.from_ndarray(np.ascontiguousarray(bursts[:, start : start + 1024]), "fltp", "mono")
            block.sample_rate, block.pts, block.time_base = rate, start, Fraction(1, rate)
            out.mux(heard.encode(block))
        out.mux(heard.encode(None))
    report = chain(path, tmp_path, quality=6)
    shown = played(report.result)
    assert [number_of(picture) for picture in shown.pictures] == [n % 256 for n in range(450)]
    assert shown.times == [n * Fraction(1001, 250) for n in range(450)]
    before, after = sound_of(path, probe(path).start, 1800), sound_of(report.result, Fraction(0), 1800)
    for at in (2, 900, 1796):
        part = slice((at - 1) * rate, (at + 3) * rate)
        lag, likeness = lag_ms(before[part], after[part])
        assert abs(lag) < 5
        assert likeness > 0.95
