"""Sound through the whole chain: every track, in sync within 20 ms at the start, in the middle and at the end."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from flashvsr.video.probe import probe
from kits.chain import chain
from kits.films import SECONDS, film
from kits.paths import DTS
from kits.videos import lag_ms, sound_of, tone

RATE = 8000


def assert_in_sync(source: Path, result: Path, seconds: float, least: float = 0.8) -> None:
    before, after = sound_of(source, probe(source).start, seconds + 1), sound_of(result, Fraction(0), seconds + 1)
    for at in (0.0, seconds / 2 - 0.5, seconds - 1.0):
        part = slice(int(at * RATE), int((at + 1) * RATE))
        lag, likeness = lag_ms(before[part], after[part])
        assert abs(lag) < 20, f"at {at} s"
        assert likeness > least, f"at {at} s"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("codec", "name", "copied"),
    [
        ("aac", "aac", True), ("ac3", "ac3", True), ("libmp3lame", "mp3", True), ("libopus", "opus", True),
        ("vorbis", "vorbis", False), ("flac", "flac", False), ("pcm_s16le", "pcm_s16le", False),
        ("mp2", "mp2", False),
    ],
)  # fmt: skip
def test_every_codec(codec: str, name: str, copied: bool, tmp_path: Path) -> None:
    """What MP4 players take is copied, the rest becomes AAC there; Matroska keeps all as it is."""
    path = film(tmp_path / "film.mkv", [codec], [tone(SECONDS)])
    for container in ("mp4", "mkv"):
        report = chain(path, tmp_path, container=container)
        kept = copied or container == "mkv"
        assert [track.codec for track in probe(report.result).audio] == [name if kept else "aac"]
        assert any("encoded as AAC" in warning for warning in report.warnings) == (not kept)
        assert_in_sync(path, report.result, SECONDS)


def with_dts(folder: Path) -> Path:
    """A film whose sound is a second of DTS, again and again, as PyAV has no encoder for it."""
    plain, path = film(folder / "silent.mkv", [], []), folder / "film.mkv"
    with av.open(str(plain)) as picture, av.open(str(DTS)) as sound, av.open(str(path), "w") as out:
        copies = {s.type: out.add_stream_from_template(s) for s in (picture.streams.video[0], sound.streams.audio[0])}
        copies["audio"].metadata["language"] = "eng"
        for packet in picture.demux():
            if packet.size:
                packet.stream = copies["video"]
                out.mux(packet)
        given = [bytes(packet) for packet in sound.demux() if packet.size]
        for number in range(SECONDS * len(given)):
            packet = av.Packet(given[number % len(given)])
            packet.stream, packet.time_base, packet.duration = copies["audio"], Fraction(512, 48000), 1
            packet.pts = packet.dts = number
            out.mux(packet)
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("container", "audio", "codec"), [("mp4", "copy", "aac"), ("mkv", "copy", "dts"), ("mkv", "aac", "aac")]
)
def test_dts(container: str, audio: str, codec: str, tmp_path: Path) -> None:
    """As it is in Matroska, packet for packet; AAC in MP4, or where the preset says so."""
    path = with_dts(tmp_path)
    assert [track.codec for track in probe(path).audio] == ["dts"]
    report = chain(path, tmp_path, container=container, audio=audio)
    (track,) = probe(report.result).audio
    assert (track.codec, track.language, track.channels) == (codec, "eng", 2)
    said = ["audio track 1 (dts) encoded as AAC: mp4 players do not take dts"]
    assert report.warnings == (said if container == "mp4" else [])
    assert_in_sync(path, report.result, SECONDS)
    if codec == "dts":
        sounds = [[bytes(packet) for packet in av.open(str(p)).demux(audio=0)] for p in (path, report.result)]
        assert sounds[0] == sounds[1]


@pytest.mark.slow
@pytest.mark.parametrize("container", ["mp4", "mkv"])
@pytest.mark.parametrize(("source", "middle"), [("mkv", "flac"), ("mp4", "libmp3lame")], ids=["mkv", "mp4"])
def test_tracks_keep_their_order_language_title_and_place(
    source: str, middle: str, container: str, tmp_path: Path
) -> None:
    tags = [{"language": "eng", "title": "Original"}, {"language": "deu", "title": "Kommentar"}, {"language": "jpn"}]
    path = film(tmp_path / f"film.{source}", ["aac", middle, "ac3"], [tone(2)] * 3, tags, 2)
    back = probe(chain(path, tmp_path, container=container).result)
    assert [track.language for track in back.audio] == ["eng", "deu", "jpn"]
    assert [track.title for track in back.audio] == ["Original", "Kommentar", None]


@pytest.mark.slow
@pytest.mark.parametrize("audio", ["copy", "aac"])
@pytest.mark.parametrize("seconds", [2.0, 6.0], ids=["shorter", "longer"])
def test_sound_that_ends_elsewhere_is_kept_whole(seconds: float, audio: str, tmp_path: Path) -> None:
    path = film(tmp_path / "film.mkv", ["aac"], [tone(seconds)], seconds=4)
    report = chain(path, tmp_path, audio=audio)
    assert report.frames == 100
    before, after = sound_of(path, Fraction(0), 7), sound_of(report.result, Fraction(0), 7)
    ends = [np.flatnonzero(np.abs(sound) > 1e-3)[-1] / RATE for sound in (before, after)]
    assert abs(ends[0] - ends[1]) < 0.02
    assert ends[0] > seconds - 0.4  # the last burst


def test_no_sound_and_sound_left_out_by_wish(tmp_path: Path) -> None:
    silent = chain(film(tmp_path / "silent.mkv", [], []), tmp_path)
    assert (silent.audio_tracks, silent.warnings) == (0, [])
    unwanted = chain(film(tmp_path / "film.mkv", ["aac"], [tone(2)], seconds=2), tmp_path, audio="none")
    assert (unwanted.audio_tracks, unwanted.warnings) == (0, [])


def test_a_gap_in_the_sound_is_silence(tmp_path: Path) -> None:
    """Damage or a muted stretch: what comes after it does not move up."""
    whole = film(tmp_path / "whole.mkv", ["pcm_s16le"], [tone(SECONDS)])
    path = tmp_path / "gap.mkv"
    with av.open(str(whole)) as source, av.open(str(path), "w") as out:
        copies = {stream.index: out.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.size and not (packet.stream.type == "audio" and 2.0 < packet.pts * packet.time_base < 2.5):
                packet.stream = copies[packet.stream.index]
                out.mux(packet)
    report = chain(path, tmp_path)
    assert_in_sync(path, report.result, SECONDS, least=0.6)  # Matroska's milliseconds differ before and after


def delayed(whole: Path, path: Path, gap: float) -> Path:
    """The same film, but what is shown and heard after its second second comes `gap` seconds later."""
    with av.open(str(whole)) as source, av.open(str(path), "w") as out:
        copies = {stream.index: out.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.size:
                late = packet.pts * packet.time_base >= 2
                packet.pts = packet.dts = packet.pts + (round(gap / packet.time_base) if late else 0)
                packet.stream = copies[packet.stream.index]
                out.mux(packet)
    return path


def most_memory() -> int:
    """MiB at the worst moment since `forget_memory`."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) // 1024


def forget_memory() -> None:
    Path("/proc/self/clear_refs").write_text("5")


@pytest.mark.slow
@pytest.mark.parametrize(("codec", "gap"), [("pcm_f32le", 400.0), ("pcm_u8", 30.0)])
def test_a_long_gap_is_silence_and_takes_no_memory(codec: str, gap: float, tmp_path: Path) -> None:
    """Cameras that record when something moves; the silence between is encoded as it is made."""
    path = delayed(film(tmp_path / "whole.mkv", [codec], [tone(4)], seconds=4, bf="0"), tmp_path / "gap.mkv", gap)
    forget_memory()
    before = most_memory()
    report = chain(path, tmp_path)
    assert most_memory() - before < 60  # the silence alone would be 77, in floats of one channel
    assert report.duration == pytest.approx(4 + gap, abs=0.05)
    heard, there = sound_of(path, Fraction(0), gap + 5), sound_of(report.result, Fraction(0), gap + 5)
    for at in (0.0, gap + 2.2):
        part = slice(int(at * RATE), int((at + 1.5) * RATE))
        lag, likeness = lag_ms(heard[part], there[part])
        assert abs(lag) < 20
        assert likeness > 0.6
    assert np.abs(there[int(3 * RATE) : int(gap * RATE)]).max() < 0.01


def test_a_leap_of_hours_is_closed_up_in_picture_and_sound(tmp_path: Path) -> None:
    """No MP4 holds a frame of nine hours; this is a clock gone wrong."""
    whole = film(tmp_path / "whole.mkv", ["pcm_s16le"], [tone(4)], seconds=4, bf="0")
    report = chain(delayed(whole, tmp_path / "gap.mkv", 9 * 3600.0), tmp_path)
    assert report.frames == 100
    assert report.duration == pytest.approx(4, abs=0.05)
    assert any("timestamps jump 1 times" in warning for warning in report.warnings)
    assert_in_sync(whole, report.result, 4, least=0.6)


def recording(path: Path, seconds: float, sound: np.ndarray, offset: float) -> Path:
    """A transport stream whose clock starts at `offset` seconds."""
    plain = film(path.with_name(f"plain-{path.name}"), ["mp2"], [sound], seconds=seconds)
    with av.open(str(plain)) as source, av.open(str(path), "w", format="mpegts") as out:
        copies = {stream.index: out.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.size:
                shift = round(offset / packet.time_base)
                packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                packet.stream = copies[packet.stream.index]
                out.mux(packet)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("container", ["mp4", "mkv"])
@pytest.mark.parametrize("second", [0.0, 30000.0], ids=["back", "ahead"])
@pytest.mark.parametrize("spare", [-0.4, 0.4], ids=["sound-ends-first", "picture-ends-first"])
def test_joined_recordings_stay_in_sync_after_the_joint(
    spare: float, second: float, container: str, tmp_path: Path
) -> None:
    """Two recordings in one file: sound and picture of the first end at different places, its clock is another's."""
    sound = tone(7)
    parts = [
        recording(tmp_path / "a.ts", 3, sound[:, : int((3 + spare) * 48000)], 4000),
        recording(tmp_path / "b.ts", 3, sound[:, 3 * 48000 : 6 * 48000], second),
    ]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    report = chain(path, tmp_path, container=container)
    assert report.frames == 150
    assert abs(report.duration - 6) < 0.05
    after = sound_of(report.result, Fraction(0), 7)
    for part, at in ((parts[0], 0), (parts[1], 3)):
        before = sound_of(part, probe(part).start, 3)
        stretch = slice(int(0.5 * RATE), int(2.4 * RATE))
        lag, likeness = lag_ms(before[stretch], after[at * RATE :][stretch])
        assert abs(lag) < 20
        assert likeness > 0.8
    assert any("joined" in warning for warning in report.warnings)
