"""Transport streams as receivers write them, with any clock, any numbers of tracks, and several programmes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from kits.made_once import made_once
from kits.videos import numbered

PACKET = 188
WRAP = Fraction(1 << 33, 90000)  # seconds after which the clock begins again


@made_once
def recording(
    path: Path, numbers: Sequence[int], sound: np.ndarray | None = None, *, at: Sequence[Fraction] | None = None,
    sound_at: Fraction = Fraction(0), clock: Fraction = Fraction(0), size: tuple[int, int] = (128, 64),
    codec: str = "libx264", aspect: Fraction = Fraction(1), kind: str = "mpegts", **options: str,
) -> Path:  # fmt: skip
    """Write a transport stream of numbered pictures at 25 a second, or `at` these seconds, and of mono sound.

    `sound`: (1, samples) at 48 kHz, heard from `sound_at` on. `clock`: what it shows at 0. `options`: FFmpeg's.
    """
    with av.open(str(path), "w", format=kind, options=options) as out:
        picture: Any = out.add_stream(codec, rate=25, options={"bf": "0", "g": "25"})
        picture.width, picture.height, picture.pix_fmt = *size, "yuv420p"
        picture.bit_rate = 2_000_000
        picture.codec_context.sample_aspect_ratio = aspect
        heard: Any = out.add_stream("mp2", rate=48000) if sound is not None else None
        found = []
        for place, number in enumerate(numbers):
            frame = av.VideoFrame.from_ndarray(numbered(number, *size), format="rgb24").reformat(format="yuv420p")
            time = at[place] if at is not None else Fraction(place, 25)
            frame.pts, frame.time_base = round(time * 25), Fraction(1, 25)
            found += picture.encode(frame)
        found += picture.encode(None)
        if heard is not None and sound is not None:
            context = heard.codec_context
            context.layout = "mono"
            to = av.AudioResampler(context.format, "mono", 48000, frame_size=context.frame_size or 1152)
            block = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound), format="fltp", layout="mono")
            block.sample_rate, block.pts, block.time_base = 48000, round(sound_at * 48000), Fraction(1, 48000)
            for part in [*to.resample(block), *to.resample(None)]:
                found += heard.encode(part)
            found += heard.encode(None)
        for packet in sorted(found, key=lambda p: p.dts * p.time_base):
            shift = round(clock / packet.time_base)
            packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
            out.mux(packet)
    return path


def joined(path: Path, parts: Iterable[Path]) -> Path:
    """The parts as `cat` joins them."""
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def multiplex(path: Path, parts: Sequence[Path], tables: Sequence[int]) -> Path:
    """Several recordings as programmes 1, 2, … of one stream. `tables`: the PIDs of their tables."""
    programmes = b"".join(n.to_bytes(2, "big") + (0xE000 | pid).to_bytes(2, "big") for n, pid in enumerate(tables, 1))
    section = b"\0" + (0xB000 | 9 + len(programmes)).to_bytes(2, "big") + b"\0\1\xc1\0\0" + programmes
    listing = b"\x47\x40\0\x10\0" + section + _checksum(section)
    streams = [_packets(part.read_bytes()) for part in parts]
    with path.open("wb") as out:
        for place in range(0, max(map(len, streams)), 10):
            out.write(listing.ljust(PACKET, b"\xff"))
            for packets in streams:
                out.write(b"".join(p for p in packets[place : place + 10] if p[1] & 0x1F or p[2]))
    return path


def _packets(data: bytes) -> list[bytes]:
    return [data[at : at + PACKET] for at in range(0, len(data), PACKET)]


def _checksum(data: bytes) -> bytes:
    """The checksum of MPEG's tables."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value >> 31 else 0)) & 0xFFFFFFFF
    return value.to_bytes(4, "big")
