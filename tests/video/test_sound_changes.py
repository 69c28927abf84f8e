"""Sound that changes on the way, and sound that an edit list cuts: heard to the end, and in its place."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pytest

from flashvsr.video.probe import probe
from flashvsr.video.sound_format import SoundFormat, format_of, widest
from kits.chain import chain, played
from kits.films import film, picture_track
from kits.mp4 import Edit, edit_lists
from kits.paths import DTS
from kits.videos import lag_ms, number_of, numbered

Part = tuple[str, int]  # layout and sample rate


def broadcast(path: Path, codec: str, parts: Sequence[Part]) -> Path:
    """Two seconds of noise in each format; those of a transport stream follow each other in one clock."""
    if path.suffix == ".ts":
        pieces = []
        for number, part in enumerate(parts):
            piece = path.with_suffix(f".{number}.ts")
            with av.open(str(piece), "w", container_options={"output_ts_offset": str(2 * number)}) as out:
                fill(out, picture_track(out), codec, [part], number)
            pieces.append(piece.read_bytes())
        path.write_bytes(b"".join(pieces))
        return path
    with av.open(str(path), "w") as out:
        fill(out, picture_track(out), codec, parts, 0)
    return path


def fill(
    out: av.container.OutputContainer, video: av.VideoStream, codec: str, parts: Sequence[Part], first: int
) -> None:
    track: Any = out.add_stream(codec, rate=parts[0][1])
    track.codec_context.layout = parts[0][0]
    packets: list[av.Packet[Any]] = []
    for index in range(50 * len(parts)):
        frame = av.VideoFrame.from_ndarray(numbered(first * 50 + index, 128, 64), format="rgb24")
        frame = frame.reformat(format="yuv420p")
        frame.pts, frame.time_base = index, Fraction(1, 25)
        packets += video.encode(frame)
    packets += video.encode(None)
    for number, (layout, rate) in enumerate(parts):
        encoder = track.codec_context if number == 0 else av.CodecContext.create(codec, "w")
        if number:
            encoder.sample_rate, encoder.layout, encoder.format = rate, layout, track.codec_context.format
        encoder.bit_rate = 64_000 * encoder.layout.nb_channels
        to = av.AudioResampler(encoder.format, layout, rate, frame_size=encoder.frame_size or 1024)
        block = av.AudioFrame.from_ndarray(sound_of_part(first + number), format="fltp", layout="mono")
        block.sample_rate, block.pts, block.time_base = 48000, 0, Fraction(1, 48000)
        for heard in [*to.resample(block), *to.resample(None), None]:
            for packet in track.encode(heard) if number == 0 else encoder.encode(heard):
                if packet.pts is not None and packet.pts * packet.time_base < 2:
                    packet.stream = track
                    packet.pts += round(2 * number / packet.time_base)
                    packet.dts = packet.pts
                    packets.append(packet)
    for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
        out.mux(packet)


def sound_of_part(number: int) -> np.ndarray:
    """Low noise: that above some kHz is made up anew by AAC's decoders, each time another one."""
    points = np.random.default_rng(number).normal(size=4001) * 0.1
    return np.interp(np.arange(96000) / 24, np.arange(4001), points).astype(np.float32)[None]


def heard(path: Path, seconds: float, start: Fraction = Fraction(0)) -> np.ndarray:
    """All channels of the first track as one at 48 kHz, in its place; no resampler, which adds delays of its own."""
    placed, expected = np.zeros(round(seconds * 48000) + 48000, np.float32), -1
    with av.open(str(path)) as container:
        container.flags &= ~1
        track = container.streams.audio[0]
        for packet in container.demux(track):
            for frame in packet.decode() if packet.size else ():
                at = round((frame.pts * track.time_base - start) * 48000)
                at = expected if abs(at - expected) < 144 else at  # a container's rounding, no gap
                expected = at + frame.samples
                samples = frame.to_ndarray().sum(axis=0)[max(0, -at) :]
                at = max(0, at)
                samples = samples[: max(0, len(placed) - at)]
                placed[at : at + len(samples)] = samples
    return placed


def lag(expected: np.ndarray, found: np.ndarray) -> tuple[float, float]:
    """`lag_ms` for 48 kHz. AAC codes high noise as some noise, so the lower tones are compared."""
    low = [sound[: len(sound) // 6 * 6].reshape(-1, 6).mean(1) for sound in (expected, found)]
    return lag_ms(low[0], low[1])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "codec", "parts", "channels", "container"),
    [
        ("ts", "aac", [("stereo", 48000), ("5.1", 48000), ("stereo", 48000)], 6, "mp4"),
        ("ts", "aac", [("5.1", 48000), ("mono", 48000)], 6, "mkv"),
        ("ts", "aac", [("stereo", 44100), ("stereo", 48000)], 2, "mp4"),
        ("ts", "ac3", [("stereo", 48000), ("5.1", 48000)], 6, "mkv"),
        ("mkv", "ac3", [("5.1", 48000), ("stereo", 48000), ("mono", 48000)], 6, "mp4"),
        ("mkv", "libmp3lame", [("mono", 48000), ("stereo", 48000)], 2, "mkv"),
    ],
)
def test_a_track_that_changes_is_encoded_anew(
    kind: str, codec: str, parts: list[Part], channels: int, container: str, tmp_path: Path
) -> None:
    path = broadcast(tmp_path / f"film.{kind}", codec, parts)
    report = chain(path, tmp_path, container=container)
    assert [number_of(picture) for picture in played(report.result).pictures] == list(range(50 * len(parts)))
    said = [warning for warning in report.warnings if "audio track 1" in warning]
    assert len(said) == 1
    assert "encoded as AAC: it changes on the way from" in said[0]
    (track,) = probe(report.result).audio
    assert track.channels == channels
    if parts[0][1] != 48000:
        return
    wanted, found = heard(path, 2 * len(parts), probe(path).start), heard(report.result, 2 * len(parts))
    for number in range(len(parts)):
        there = slice(96000 * number + 9600, 96000 * number + 86400)
        late, likeness = lag(wanted[there], found[there])
        assert abs(late) < 20, number
        assert likeness > 0.8, number


def test_what_does_not_change_is_copied(tmp_path: Path) -> None:
    path = broadcast(tmp_path / "film.ts", "ac3", [("stereo", 48000), ("stereo", 48000)])
    report = chain(path, tmp_path)
    assert probe(report.result).audio[0].codec == "ac3"
    assert not any("audio" in warning for warning in report.warnings)


def test_formats_are_read_off_the_packets(tmp_path: Path) -> None:
    known = {
        ("ts", "aac"): [(("5.1", 44100), SoundFormat(5, 44100)), (("mono", 24000), SoundFormat(1, 24000))],
        ("mkv", "ac3"): [(("5.1", 48000), SoundFormat(5, 48000)), (("mono", 32000), SoundFormat(1, 32000))],
        ("mkv", "eac3"): [(("5.1", 48000), SoundFormat(5, 48000)), (("stereo", 44100), SoundFormat(2, 44100))],
        ("mkv", "mp2"): [(("stereo", 48000), SoundFormat(2, 48000)), (("mono", 22050), SoundFormat(1, 22050))],
        ("mkv", "libmp3lame"): [(("stereo", 44100), SoundFormat(2, 44100)), (("mono", 16000), SoundFormat(1, 16000))],
    }
    for (kind, codec), cases in known.items():
        for part, expected in cases:
            path = broadcast(tmp_path / f"film.{kind}", codec, [part])
            with av.open(str(path)) as source:
                found = {format_of(cast(Any, packet)) for packet in source.demux(audio=0) if packet.size}
            assert found == {expected}, (codec, part)
            assert widest(probe(path), 1) == expected.channels + (expected.channels == 5)
    with av.open(str(DTS)) as source:
        assert {format_of(cast(Any, packet)) for packet in source.demux() if packet.size} == {SoundFormat(2, 48000)}


EDITS: dict[str, list[Edit]] = {
    "one": [(2.0, 2.013)],
    "two": [(1.0, 1.0), (1.52, 3.503)],
    "three": [(0.8, 2.0), (0.8, 0.5), (1.0, 4.013)],
    "nothing first": [(0.4, None), (1.0, 1.0), (1.0, 3.0)],
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "container", "audio"), [("mp4", "mp4", "copy"), ("mp4", "mkv", "copy"), ("mov", "mkv", "aac")]
)
@pytest.mark.parametrize("name", EDITS)
def test_edits(name: str, kind: str, container: str, audio: str, tmp_path: Path) -> None:
    """Picture and sound of each piece where they belong, to a packet of the source's."""
    check_edits(EDITS[name], EDITS[name], kind, "aac" if kind == "mp4" else "pcm_s16le", container, audio, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_sound_edited_otherwise_than_the_picture(container: str, tmp_path: Path) -> None:
    picture: list[Edit] = [(1.0, 1.0), (1.0, 3.0)]
    sound: list[Edit] = [(0.6, 4.0), (1.4, 2.0)]
    check_edits(picture, sound, "mp4", "ac3", container, "copy", tmp_path)


def check_edits(
    picture: list[Edit], sound: list[Edit], kind: str, codec: str, container: str, audio: str, folder: Path
) -> None:
    noise = np.concatenate([sound_of_part(number) for number in range(3)], axis=1)
    path = film(folder / f"film.{kind}", [codec], [noise], g="10", bf="0")
    lead = {"aac": 1024, "ac3": 256}.get(codec, 0) / 48000
    edit_lists(path, [picture, [(length, at if at is None else at + lead) for length, at in sound]])
    report = chain(path, folder, container=container, audio=audio)
    shown = played(report.result)
    first = picture[1] if picture[0][1] is None else picture[0]
    assert first[1] is not None
    assert abs(number_of(shown.pictures[0]) - first[1] * 25) <= 1
    # What is empty at the beginning of both is left out; what else comes before the picture is an encoder's lead-in.
    at = float(shown.times[0]) - (picture[0][0] if picture[0][1] is None else 0)
    found = heard(report.result, 8)
    for length, begin in sound:
        piece = found[max(0, round(at * 48000)) : round((at + length) * 48000)]
        at += length
        if begin is None:
            continue
        late, likeness = lag(noise[0][round(begin * 48000) : round((begin + length) * 48000)], piece)
        assert abs(late) < 35 if codec == "ac3" else abs(late) < 22  # a packet of the source
        assert likeness > 0.8
    cut = audio == "copy" and sum(at is not None for _, at in sound) > 1
    assert any("edit list" in warning for warning in report.warnings) == (
        cut and (container, codec) != ("mp4", "pcm_s16le")
    )
