"""Closed captions inside the picture: each byte of them at its frame, whatever codecs they come from and go into."""

from __future__ import annotations

import shutil
from dataclasses import replace
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import av
import pytest
from av.packet import Packet

from flashvsr.errors import Interrupted
from flashvsr.settings.config import Config
from flashvsr.video.captions import Captions, with_captions
from kits.chain import Watching, chain
from kits.paths import CARRIED
from kits.videos import numbered


def captions_of(path: Path) -> list[bytes]:
    """Of each frame, in the order of time."""
    with av.open(str(path)) as container:
        return [bytes(cast(Any, frame.side_data.get("A53_CC")) or b"") for frame in container.decode(video=0)]


def spoken(number: int, most: int = 40) -> bytes:
    """Captions unlike those of other frames: zeros that look like start codes, now and then a great many, or none."""
    if number % 7 == 3:
        return b""
    return b"".join(b"\xfc" + bytes([0, n]) for n in range(most if number % 11 == 5 else 1 + number % 3)) + bytes(
        [0xFD, 0, number]
    )


def film(path: Path, codec: str, most: int = 30, frames: int = 40) -> Path:
    """A film with such captions, in two B-frames out of three where the codec has them."""
    name = {"h264": "libx264", "hevc": "libx265", "mpeg2video": "mpeg2video", "av1": "libsvtav1"}[codec]
    quiet = {"x265-params": "log-level=none"} if codec == "hevc" else {}
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream(
            name, rate=25, options={"bf": "2", **quiet} if codec != "av1" else {"preset": "12"}
        )
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        packets: list[Packet[Any]] = []
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(numbered(index, 128, 96), format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            packets += stream.encode(frame)
        for packet in [*packets, *stream.encode(None)]:
            said = spoken(packet.pts, most)
            if codec == "mpeg2video":
                out.mux(in_mpeg2(packet, said))
            else:
                out.mux(with_captions(packet, codec, said) if said else packet)
    return path


def in_mpeg2(packet: Packet[Any], said: bytes) -> Packet[Any]:
    """User data before the first slice."""
    data, said = bytes(packet), said[: 3 * 31]
    at = data.index(b"\x00\x00\x01\x01")
    user = b"\x00\x00\x01\xb2GA94\x03" + bytes([0x40 | len(said) // 3, 0xFF]) + said + b"\xff" if said else b""
    fuller = Packet(data[:at] + user + data[at:])
    fuller.stream, fuller.time_base, fuller.pts, fuller.dts = packet.stream, packet.time_base, packet.pts, packet.dts
    fuller.is_keyframe = packet.is_keyframe
    return fuller


@pytest.mark.slow
@pytest.mark.parametrize("container", ["mp4", "mkv"])
@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
def test_captions_stay(codec: str, container: str, tmp_path: Path) -> None:
    most = 30 if codec == "av1" else 40  # more than 31 are two messages, of which dav1d keeps one
    path = film(tmp_path / "film.mkv", "h264", most=most)
    expected = [spoken(number, most) for number in range(40)]
    assert captions_of(path) == expected
    report = chain(path, tmp_path, codec=codec, container=container)
    assert captions_of(report.result) == expected
    assert report.warnings == []


@pytest.mark.slow
@pytest.mark.parametrize(("codec", "kind"), [("hevc", "mp4"), ("mpeg2video", "ts"), ("av1", "mkv"), ("h264", "ts")])
def test_from_other_codecs(codec: str, kind: str, tmp_path: Path) -> None:
    path = film(tmp_path / f"film.{kind}", codec)
    given = captions_of(path)
    assert sum(map(bool, given)) > 30
    assert captions_of(chain(path, tmp_path).result) == given


def test_a_clip_of_somebody_s(tmp_path: Path) -> None:
    path = Path(shutil.copy(CARRIED / "cc.mp4", tmp_path))
    given = captions_of(path)
    assert sum(map(bool, given)) == 90
    assert captions_of(chain(path, tmp_path).result) == given


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["stream", "file"])
def test_after_an_interruption(mode: str, tmp_path: Path) -> None:
    """Frames that were made before it are decoded again; their captions belong to the chunks that are there."""
    frames = 160  # more than the threads ahead of the encoder hold
    path, config = film(tmp_path / "film.mkv", "h264", frames=frames), Config()
    config = replace(
        config, preprocess=replace(config.preprocess, mode=mode), chunks=replace(config.chunks, min_frames=0, size=8)
    )
    with pytest.raises(Interrupted):
        chain(path, tmp_path, config, Watching(16, Interrupted("stop")))
    report = chain(path, tmp_path, config)
    assert 0 < report.resumed_at < frames
    assert captions_of(report.result) == [spoken(number, 30) for number in range(frames)]


def test_those_of_frames_that_are_not_wanted_are_forgotten() -> None:
    captions = Captions()
    captions._waiting.extend([(1, b"a"), (2, b"b"), (5, b"c")])
    assert captions.take(2) == b"b"
    assert captions.take(4) == b""
    assert captions.take(5) == b"c"
    assert captions.take(6) == b""


def test_a_packet_keeps_all_else_that_it_says() -> None:
    """Players seek by key frames, and muxers go by lengths."""
    with av.open(BytesIO(), "w", format="mp4") as out:
        stream: Any = out.add_stream("libx264", rate=25, options={"bf": "1", "g": "4"})
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        packets: list[Packet[Any]] = []
        for index in range(8):
            frame = av.VideoFrame.from_ndarray(numbered(index, 128, 96), format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            packets += stream.encode(frame)
        packets += stream.encode(None)
        assert len({packet.is_keyframe for packet in packets}) == 2
        for number, packet in enumerate(packets):
            packet.duration = number + 1
            fuller = with_captions(packet, "h264", spoken(1))
            assert len(bytes(fuller)) > len(bytes(packet))
            assert fuller.stream is packet.stream
            facts = [(p.pts, p.dts, p.duration, p.time_base, p.is_keyframe) for p in (packet, fuller)]
            assert facts[0] == facts[1]
            sides = [[(d.data_type, bytes(d)) for d in p.iter_sidedata()] for p in (packet, fuller)]
            assert sides[0] == sides[1] != []
