"""Tracks that are empty, odd or cannot be decoded: they alone are left out, with a word; all others stay."""

from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.packet import Packet

from flashvsr.video.mux import assemble
from flashvsr.video.probe import probe
from kits.chain import chain
from kits.films import fill_picture, film, picture_track
from kits.made_once import made_once
from kits.paths import CARRIED
from kits.videos import lag_ms, make_chunks, sound_of, tone

CONTAINERS = pytest.mark.parametrize("container", ["mp4", "mkv"])


@made_once
def with_silent_track(path: Path, codec: str, silent: str, sound: bool = True) -> Path:
    """A film of two seconds whose first sound track has no packet; another one, if any, has noise."""
    with av.open(str(path), "w") as out:
        video = picture_track(out)
        empty: Any = out.add_stream(silent, rate=48000)
        empty.codec_context.layout = "mono"
        empty.metadata["language"] = "fra"
        heard: Any = out.add_stream(codec, rate=48000) if sound else None
        if heard is not None:
            heard.codec_context.layout = "mono"
            heard.metadata["language"] = "deu"
        fill_picture(out, video)
        if heard is not None:
            context = heard.codec_context
            to = av.AudioResampler(context.format, "mono", 48000, frame_size=context.frame_size or 1024)
            block = av.AudioFrame.from_ndarray(tone(2.0), format="fltp", layout="mono")
            block.sample_rate, block.pts, block.time_base = 48000, 0, Fraction(1, 48000)
            for frame in [*to.resample(block), *to.resample(None)]:
                out.mux(heard.encode(frame))
            out.mux(heard.encode(None))
    return path


@CONTAINERS
def test_a_sound_track_without_a_packet(container: str, tmp_path: Path) -> None:
    path = Path(shutil.copy(CARRIED / "muted.webm", tmp_path))
    report = chain(path, tmp_path, container=container)
    assert (report.frames, report.audio_tracks) == (50, 0)
    assert report.warnings == ["audio track 1 (opus) left out: it is empty"]


@pytest.mark.slow
@CONTAINERS
@pytest.mark.parametrize(
    ("kind", "codec", "silent", "audio"),
    [("mkv", "aac", "ac3", "copy"), ("ts", "mp2", "aac", "copy"), ("avi", "mp2", "ac3", "aac")],
)
def test_one_of_two_is_empty(kind: str, codec: str, silent: str, audio: str, container: str, tmp_path: Path) -> None:
    path = with_silent_track(tmp_path / f"film.{kind}", codec, silent)
    report = chain(path, tmp_path, container=container, audio=audio)
    assert report.audio_tracks == 1
    assert f"audio track 1 ({silent}{'' if kind == 'avi' else ', fra'}) left out: it is empty" in report.warnings
    (track,) = probe(report.result).audio
    assert track.language in ("und", None) if kind == "avi" else track.language == "deu"
    with av.open(str(path)) as source:
        begins = source.streams.audio[1].start_time * source.streams.audio[1].time_base - probe(path).start
    heard = sound_of(film(tmp_path / "plain.mkv", [codec], [tone(2.0)], seconds=2), Fraction(0), 2)
    lag, likeness = lag_ms(heard, sound_of(report.result, begins, 2))
    assert abs(lag) < 20
    assert likeness > 0.8


@CONTAINERS
def test_a_track_of_a_single_packet_stays(container: str, tmp_path: Path) -> None:
    path = film(tmp_path / "film.mkv", ["ac3", "aac"], [tone(0.03), tone(2.0)], seconds=2)
    report = chain(path, tmp_path, container=container)
    assert (report.audio_tracks, report.warnings) == (2, [])


@pytest.mark.slow
@CONTAINERS
@pytest.mark.parametrize("audio", ["copy", "aac"])
def test_a_codec_that_nothing_decodes(audio: str, container: str, tmp_path: Path) -> None:
    path = film(tmp_path / "film.mkv", ["flac", "aac"], [tone(2.0)] * 2, [{"language": "fra"}, {"language": "deu"}], 2)
    path.write_bytes(path.read_bytes().replace(b"A_FLAC", b"A_ODD1"))
    report = chain(path, tmp_path, container=container, audio=audio)
    assert report.warnings == ["audio track 1 left out: there is no decoder for it"]
    assert [track.language for track in probe(report.result).audio] == ["deu"]


@CONTAINERS
def test_nothing_of_a_track_can_be_decoded(container: str, tmp_path: Path) -> None:
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as out:
        video = picture_track(out)
        broken: Any = out.add_stream("ac3", rate=48000)
        broken.codec_context.layout = "mono"
        fill_picture(out, video)
        for number in range(20):
            packet = Packet(b"no sound" * 40)
            packet.stream, packet.time_base, packet.pts, packet.dts = (
                broken,
                Fraction(1, 1000),
                number * 32,
                number * 32,
            )
            out.mux(packet)
    report = chain(path, tmp_path, container=container, audio="aac")
    assert report.audio_tracks == 0
    assert "audio track 1 (ac3) left out: nothing in it can be decoded" in report.warnings


def test_a_partial_that_ends_before_the_sound_begins(tmp_path: Path) -> None:
    path = film(tmp_path / "film.mkv", ["aac"], [tone(1.0)], seconds=4)
    late = tmp_path / "late.mkv"
    with av.open(str(path)) as source, av.open(str(late), "w") as out:
        copies = [out.add_stream_from_template(stream) for stream in source.streams]
        for packet in source.demux():
            if packet.size:
                packet.pts += 3000 * (packet.stream.type == "audio")
                packet.dts = packet.pts if packet.stream.type == "audio" else packet.dts
                packet.stream = copies[packet.stream.index]
                out.mux(packet)
    info = probe(late)
    chunks, _ = make_chunks(info, (128, 64), tmp_path / "work", lengths=(25,))
    made = assemble(chunks[:1], info, tmp_path / "partial.mp4", "copy", "mp4", partial=True)
    assert (made.frames, made.audio_tracks) == (25, 0)
    assert made.warnings == ("audio track 1 (aac) left out: nothing of it lies in the part that was made",)


@CONTAINERS
def test_empty_subtitles_do_no_harm(container: str, tmp_path: Path) -> None:
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as out:
        video = picture_track(out)
        out.add_mux_stream("subrip").metadata["language"] = "eng"
        fill_picture(out, video)
    report = chain(path, tmp_path, container=container)
    with av.open(str(report.result)) as back:
        assert len(back.streams.subtitles) == 1
    assert report.warnings == []


@pytest.mark.slow
@CONTAINERS
@pytest.mark.parametrize("layout", ["9 channels", "7.1.4", "6.1", "3.0"])
def test_any_number_of_channels(layout: str, container: str, tmp_path: Path) -> None:
    """Noise in one channel, the last, which FFmpeg's own mixing loses; the other track stays as it is."""
    path, channels = tmp_path / "film.mkv", av.AudioLayout(layout).nb_channels
    with av.open(str(path), "w") as out:
        video = picture_track(out)
        odd: Any = out.add_stream("pcm_s16le", rate=48000)
        odd.codec_context.layout = layout
        plain: Any = out.add_stream("aac", rate=48000)
        plain.codec_context.layout = "mono"
        fill_picture(out, video)
        noise = (tone(2.0)[0] * 32767).astype("<i2")
        for start in range(0, len(noise), 4800):
            frame = av.AudioFrame("s16", layout, 4800)
            data = bytearray(4800 * channels * 2)
            for byte in range(2):
                data[2 * channels - 2 + byte :: 2 * channels] = noise[start : start + 4800].tobytes()[byte::2]
            frame.planes[0].update(bytes(data).ljust(frame.planes[0].buffer_size, b"\0"))
            frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
            out.mux(odd.encode(frame))
        out.mux(odd.encode(None))
        quiet = av.AudioFrame("fltp", "mono", 1024)
        quiet.planes[0].update(bytes(quiet.planes[0].buffer_size))
        quiet.sample_rate, quiet.pts, quiet.time_base = 48000, 0, Fraction(1, 48000)
        out.mux([*plain.encode(quiet), *plain.encode(None)])
    report = chain(path, tmp_path, container=container)
    first, second = probe(report.result).audio
    assert second.codec == "aac"
    if container == "mkv":
        assert (first.codec, first.channels, report.warnings) == ("pcm_s16le", channels, [])
        return
    assert first.channels == (2 if channels > 8 else 8 if channels == 7 else channels)
    assert any("mixed down to stereo" in warning for warning in report.warnings) == (channels > 8)
    with av.open(str(report.result)) as back:
        to = av.AudioResampler("flt", back.streams.audio[0].codec_context.layout)  # PyAV stumbles over eight planes
        packed = [block for frame in back.decode(audio=0) for block in to.resample(frame)]
        loudest = max(np.abs(np.frombuffer(bytes(block.planes[0]), np.float32)).max() for block in packed)
    assert loudest > 0.02


@CONTAINERS
def test_captions_in_a_track_of_their_own_are_named(container: str, tmp_path: Path) -> None:
    path = tmp_path / "film.mov"
    with av.open(str(path), "w") as out:
        video = picture_track(out)
        track = out.add_mux_stream("eia_608")
        track.time_base = Fraction(1, 1000)
        fill_picture(out, video)
        packet = Packet(b"\x00\x00\x00\x0acdat\x94\x20")
        packet.stream, packet.time_base, packet.pts, packet.dts, packet.duration = track, Fraction(1, 1000), 0, 0, 40
        out.mux(packet)
    report = chain(path, tmp_path, container=container)
    assert [warning for warning in report.warnings if "eia_608" in warning]
