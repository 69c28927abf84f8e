"""Only the first seconds of a video, as the preset may ask: picture, sound, texts and chapters end there."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from av.packet import Packet

from flashvsr.errors import Interrupted
from flashvsr.settings.config import Config
from flashvsr.settings.processing_tables import Chunks, Preprocess
from flashvsr.video.limits import Limits
from flashvsr.video.probe import probe
from flashvsr.video.subtitles import TEXT
from kits.chain import Watching, chain, played
from kits.videos import number_of, numbered, tone, write_video

RATE, FRAMES = 25, 60


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """2.4 seconds with sound."""
    pictures = [numbered(number) for number in range(FRAMES)]
    return write_video(tmp_path / "clip.mkv", pictures, RATE, audio=tone(FRAMES / RATE), options={"g": "12"})


def ends(path: Path) -> dict[str, list[float]]:
    """Where each packet of each kind of track ends, in seconds."""
    found: dict[str, list[float]] = {}
    with av.open(str(path)) as container:
        for packet in container.demux():
            if packet.size and packet.pts is not None:
                end = (packet.pts + (packet.duration or 0)) * packet.time_base
                found.setdefault(packet.stream.type, []).append(float(end))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("container", ["mp4", "mkv"])
@pytest.mark.parametrize("mode", ["stream", "file"])
def test_picture_and_sound_end_there(container: str, mode: str, clip: Path, tmp_path: Path) -> None:
    control, settings = Watching(), Config(preprocess=replace(Preprocess(), mode=mode))
    report = chain(clip, tmp_path, settings, control, seconds=1, container=container)
    assert report.result.name == f"clip.{container}", "it has the usual name"
    assert [number_of(picture) for picture in played(report.result).pictures] == list(range(RATE))
    assert (report.frames, report.duration) == (RATE, 1.0)
    found = ends(report.result)
    assert max(found["video"]) == pytest.approx(1.0, abs=0.002)
    assert 0.96 < max(found["audio"]) < 1.03
    assert control.done[-1] == RATE
    assert "only its first 1 s were made, as seconds in the preset asks for" in report.warnings
    assert report.source["duration"] == pytest.approx(2.4, abs=0.1), "the source is as long as it is"


@pytest.mark.parametrize("seconds", [0, 2.5, 86400])
def test_one_that_is_no_longer_is_made_whole(seconds: float, clip: Path, tmp_path: Path) -> None:
    whole = chain(clip, tmp_path, seconds=seconds)
    assert whole.frames == FRAMES
    assert not [warning for warning in whole.warnings if "seconds" in warning]
    assert max(ends(whole.result)["audio"]) > 2.35


def test_room_is_that_of_the_part(clip: Path, tmp_path: Path) -> None:
    needs: list[int] = []
    for seconds in (1, 0):
        control, folder = Watching(), tmp_path / f"first {seconds}"
        folder.mkdir()
        chain(clip, folder, control=control, seconds=seconds)
        needs.append(control.needs[1][1])
    assert needs[0] / needs[1] == pytest.approx(RATE / FRAMES, rel=0.05)


def test_a_picture_that_stands_ends_there_too(tmp_path: Path) -> None:
    slides = [numbered(1), numbered(2), numbered(3)]
    source = write_video(tmp_path / "slides.mkv", slides, times=[0, 2000, 9000], time_base=Fraction(1, 1000))
    report = chain(source, tmp_path, seconds=5)
    assert (report.frames, report.duration) == (2, 5.0)
    assert max(ends(report.result)["video"]) == pytest.approx(5.0, abs=0.002)


def test_a_picture_that_begins_later_is_shown_once(tmp_path: Path) -> None:
    source = write_video(
        tmp_path / "late.mkv", [numbered(n) for n in range(5)], times=[3000 + 40 * n for n in range(5)],
        time_base=Fraction(1, 1000), audio=tone(3.2),
    )  # fmt: skip
    report = chain(source, tmp_path, seconds=1)
    assert report.frames == 1


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_texts_and_chapters_end_there(container: str, tmp_path: Path) -> None:
    source = tmp_path / "film.mkv"
    with av.open(str(source), "w") as out:
        video: Any = out.add_stream("libx264", rate=RATE)
        video.width = video.height = 128
        video.pix_fmt = "yuv420p"
        texts = out.add_mux_stream("subrip")
        texts.time_base = Fraction(1, 1000)
        milli = Fraction(1, 1000)
        out.set_chapters(
            [
                {"id": number, "start": start, "end": end, "time_base": milli, "metadata": {"title": title}}
                for number, (start, end, title) in enumerate([(0, 800, "a"), (800, 1600, "b"), (1600, 2400, "c")])
            ]
        )
        for number in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(numbered(number), format="rgb24").reformat(format="yuv420p")
            frame.pts = number
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        for start, length, text in ((100, 300, b"one"), (700, 900, b"long"), (1500, 300, b"late")):
            packet: Packet[Any] = Packet(text)
            packet.stream, packet.time_base, packet.pts, packet.dts = texts, milli, start, start
            packet.duration = length
            out.mux(packet)
    report = chain(source, tmp_path, seconds=1, container=container)
    with av.open(str(report.result)) as back:
        chapters = [(round(c["end"] * c["time_base"], 3), c["metadata"]["title"]) for c in back.chapters()]
        assert back.streams.subtitles[0].codec_context.name in TEXT
    assert chapters == [(Fraction(4, 5), "a"), (1, "b")]
    assert max(ends(report.result)["subtitle"]) == pytest.approx(1.0, abs=0.002)
    assert not [warning for warning in report.warnings if "film's end" in warning], "nobody wanted more"


def test_an_interrupted_one_goes_on(clip: Path, tmp_path: Path) -> None:
    settings = Config(chunks=Chunks(size=8))
    with pytest.raises(Interrupted):
        chain(clip, tmp_path, settings, Watching(stop_at=17, error=Interrupted("the service stops")), seconds=1)
    report = chain(clip, tmp_path, settings, seconds=1)
    assert report.resumed_at >= 16
    assert [number_of(picture) for picture in played(report.result).pictures] == list(range(RATE))
    assert max(ends(report.result)["audio"]) < 1.03


def test_frames_over_the_limit_do_not_count_behind_it(clip: Path) -> None:
    limits = Limits(frames=30)
    assert probe(clip, limits, seconds=1).frame_count == RATE


def test_a_recording_is_read_no_further_than_need_be(tmp_path: Path) -> None:
    source = write_video(tmp_path / "clip.ts", [numbered(n % 200) for n in range(50)], RATE, codec="mpeg2video")
    long = tmp_path / "long.ts"
    long.write_bytes(source.read_bytes() * 800)  # joined on and on
    read = 0

    def reading() -> None:
        nonlocal read
        read += 1

    probe(long, progress=reading)
    everything, read = read, 0
    info = probe(long, progress=reading, seconds=1)
    assert info.frame_count == RATE
    assert read < everything / 3
