"""A last picture that stands, as slides and recordings of a screen end, through the whole chain."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from flashvsr.errors import Interrupted
from flashvsr.settings.config import Config
from flashvsr.settings.processing_tables import Chunks, Preprocess
from flashvsr.video.probe import probe
from flashvsr.video.standing import _seconds, is_whole
from kits.chain import Watching, chain, played
from kits.made_once import made_once
from kits.mp4 import edit_lists
from kits.paths import CASES
from kits.videos import numbered, tone, write_sound

SIZE = (128, 64)


def length(path: Path) -> float:
    """Seconds that players show the picture: from the track in MP4, from the tags in Matroska."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        if path.suffix == ".mp4":
            assert stream.duration is not None
            return float(stream.duration * stream.time_base)
        hours, minutes, seconds = stream.metadata["DURATION"].split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


@made_once
def written(
    path: Path, stands: int, *, times: Sequence[int] = range(0, 1000, 40), bf: int = 0, sound: float = 0,
    form: str | None = None, told: bool = True, **options: str,
) -> Path:  # fmt: skip
    """Pictures at these milliseconds, the last of which stands for `stands` of them. `told`: by the packets."""
    with av.open(str(path), "w", format=form, options=options) as out:
        codec = {".webm": "libvpx", ".apng": "apng"}.get(path.suffix, "libx264")
        stream: Any = out.add_stream(codec, rate=25, options={"bf": str(bf)} if codec == "libx264" else {})
        stream.width, stream.height = SIZE
        stream.pix_fmt = "rgb24" if codec == "apng" else "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        heard: Any = out.add_stream("aac", rate=48000) if sound else None
        packets = []
        for index, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(numbered(index, *SIZE), format="rgb24").reformat(format=stream.pix_fmt)
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            packets += stream.encode(frame)
        packets += stream.encode(None)
        for packet in packets:
            packet.duration = 40
        last = max(packets, key=lambda p: p.pts)
        for packet in (last, packets[-1]) if told else ():  # the one shown last, and the one an MP4's track ends with
            packet.duration = stands
        out.mux(packets)
        if heard is not None:
            write_sound(out, heard, tone(sound))
    return path


@pytest.mark.parametrize("container", ["mp4", "mkv"])
@pytest.mark.parametrize(("name", "frames", "seconds"), [("g01_stand.gif", 4, 3.6), ("g01_screen.mp4", 25, 4.96)])
def test_the_last_picture_stands(name: str, frames: int, seconds: float, container: str, tmp_path: Path) -> None:
    report = chain(CASES / name, tmp_path, container=container)
    assert (report.frames, report.warnings) == (frames, [])
    assert report.duration == pytest.approx(seconds, abs=0.001)
    assert length(report.result) == pytest.approx(seconds, abs=0.002)


KINDS: dict[str, dict[str, Any]] = {
    "a.webm": {},
    "a.mov": {},
    "b-frames.mp4": {"bf": 3},
    "b-frames.mkv": {"bf": 3},
    "phone.mp4": {"times": [0, 33, 71, 99, 140, 171, 215, 240, 400, 433]},
    "fragments.mp4": {"bf": 2, "movflags": "frag_keyframe+empty_moov"},
    "longer-sound.mp4": {"sound": 7.0},
    "longer-sound.mkv": {"sound": 7.0},
    "late.mp4": {"times": range(400, 1400, 40), "sound": 1.0},
}


@pytest.mark.slow
@pytest.mark.parametrize("container", ["mp4", "mkv"])
@pytest.mark.parametrize("name", KINDS)
def test_in_other_formats(name: str, container: str, tmp_path: Path) -> None:
    """Sound that is longer than the picture keeps its own length."""
    how = dict(KINDS[name])
    times = list(how.get("times", range(0, 1000, 40)))
    report = chain(written(tmp_path / name, 4000, **how), tmp_path, container=container)
    assert report.frames == len(times)
    assert report.duration == pytest.approx((times[-1] - times[0]) / 1000 + 4, abs=0.01)
    shown = played(report.result)
    assert float(shown.times[-1] - shown.times[0]) == pytest.approx((times[-1] - times[0]) / 1000, abs=0.002)
    with av.open(str(report.result)) as back:
        assert (back.duration or 0) / av.time_base == pytest.approx(
            max(float(shown.times[-1]) + 4, float(how.get("sound", 0))), abs=0.05
        )  # fmt: skip


def test_an_apng(tmp_path: Path) -> None:
    path = written(tmp_path / "a.apng", 40)
    data = bytearray(path.read_bytes())
    struct.pack_into(">HH", data, data.rindex(b"fcTL") + 4 + 20, 3, 1)  # the delay of the last frame
    path.write_bytes(data)
    report = chain(path, tmp_path)
    assert (report.frames, round(report.duration, 3)) == (25, 3.96)


def test_a_matroska_file_whose_packets_tell_another_length(tmp_path: Path) -> None:
    """FFmpeg copies a recording of a screen with the average rate as each frame's length; the track's is right."""
    path = tmp_path / "copy.mkv"
    with av.open(str(CASES / "g01_screen.mp4")) as source, av.open(str(path), "w") as out:
        copy = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux():
            if packet.size:
                packet.stream = copy
                out.mux(packet)
    assert chain(path, tmp_path).duration == pytest.approx(4.96, abs=0.01)


@pytest.mark.parametrize("mode", ["stream", "file"])
def test_it_stands_after_an_interruption(mode: str, tmp_path: Path) -> None:
    settings = Config(chunks=Chunks(size=8), preprocess=Preprocess(mode=mode))
    with pytest.raises(Interrupted):
        chain(CASES / "g01_screen.mp4", tmp_path, settings, Watching(16, Interrupted("stop")))
    report = chain(CASES / "g01_screen.mp4", tmp_path, settings)
    assert report.resumed_at > 0
    assert length(report.result) == pytest.approx(4.96, abs=0.002)


@pytest.mark.parametrize("seconds", [9 * 86400, 1900])
def test_a_length_of_days_is_not_believed(seconds: int, tmp_path: Path) -> None:
    report = chain(written(tmp_path / "lie.mp4", seconds * 1000, video_track_timescale="1000"), tmp_path)
    assert report.duration == pytest.approx(1)
    assert any("not believed" in warning for warning in report.warnings)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_what_a_file_cut_short_would_have_is_not_stood_in_for(suffix: str, tmp_path: Path) -> None:
    """Its header tells of two minutes, and most of them did not arrive."""
    path = written(tmp_path / f"whole.{suffix}", 40, times=range(0, 120_000, 400), movflags="faststart")
    cut = tmp_path / f"cut.{suffix}"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    report = chain(cut, tmp_path)
    assert 100 < report.frames < 290
    last = played(report.result).times[-1]
    assert report.duration == pytest.approx(float(last), abs=0.5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm", "a.mov"])
@pytest.mark.parametrize("stands", [20, 40, 50])
def test_a_constant_rate_stays_constant(stands: int, name: str, tmp_path: Path) -> None:
    report = chain(written(tmp_path / name, stands, bf=0 if "webm" in name else 3), tmp_path)
    assert report.duration == pytest.approx(1, abs=1e-9)
    with av.open(str(report.result)) as back:
        assert back.streams.video[0].average_rate == 25


def test_facts_of_a_file_that_stands_are_those_of_any_other(tmp_path: Path) -> None:
    assert probe(CASES / "g01_screen.mp4").frame_rate == 25


@pytest.mark.parametrize("exact", [True, False], ids=["beside the right one", "alone"])
def test_a_tag_of_the_film_that_a_sample_was_cut_from_counts_for_nothing(exact: bool, tmp_path: Path) -> None:
    """FFmpeg copies the tags that mkvmerge wrote into whatever is cut from its files."""
    path = tmp_path / "sample.mkv"
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("libx264", rate=25, options={"bf": "0"})
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        stream.metadata["DURATION-eng"] = "00:00:20.000000000"
        for index in range(25):
            picture = av.VideoFrame.from_ndarray(numbered(index, *SIZE), format="rgb24")
            out.mux(stream.encode(picture.reformat(format="yuv420p")))
        out.mux(stream.encode(None))
    if not exact:  # FFmpeg's own tag, which it cannot be told to leave out
        data = path.read_bytes()
        assert b"DURATION\x44" in data
        path.write_bytes(data.replace(b"DURATION\x44", b"DURATIOM\x44"))
    assert chain(path, tmp_path).duration == pytest.approx(1.0, abs=0.001)


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_an_empty_edit_at_the_front_does_not_make_the_last_picture_stand(container: str, tmp_path: Path) -> None:
    """Of 25 frames the first 15 are shown, 2 s late."""
    path = edit_lists(written(tmp_path / "late.mp4", 40), [[(2.0, None), (0.6, 0.0)]])
    report = chain(path, tmp_path, container=container)
    assert report.frames == 15
    assert report.duration == pytest.approx(0.6, abs=0.001)


HEAD = b"\x1a\x45\xdf\xa3\x84head"
SEGMENT = b"\x18\x53\x80\x67"
TEN, UNKNOWN = b"\x8a", b"\x01" + 7 * b"\xff"


@pytest.mark.parametrize(
    ("data", "whole"),
    [
        (HEAD + SEGMENT + TEN + bytes(10), True),
        (HEAD + SEGMENT + TEN + bytes(11), True),
        (HEAD + SEGMENT + TEN + bytes(9), False),
        (HEAD + SEGMENT + b"\x40\x0a" + bytes(10), True),
        (HEAD + SEGMENT + b"\x40\x0a" + bytes(9), False),
        (HEAD + SEGMENT + b"\x01\0\0\0\0\0\0\x0a" + bytes(10), True),
        (HEAD + SEGMENT + UNKNOWN + bytes(10), False),
        (HEAD + SEGMENT + b"\xff" + bytes(200), False),
        (HEAD + SEGMENT + b"\0" + bytes(10), False),
        (HEAD + SEGMENT, False),
        (HEAD, False),
        (HEAD[:4] + UNKNOWN + SEGMENT + TEN + bytes(10), False),
        (SEGMENT + TEN + bytes(10), False),
    ],
)
def test_which_matroska_files_are_as_long_as_they_say(data: bytes, whole: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    path.write_bytes(data)
    assert is_whole(path) is whole


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("00:00:04.960000000", Fraction(496, 100)), ("01:02:03.5", Fraction(37235, 10)), ("4.96", None), ("a:b:c", None)],
)
def test_lengths_as_tags_write_them(text: str, seconds: Fraction | None) -> None:
    assert _seconds(text) == seconds
