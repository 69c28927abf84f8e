"""What a media file holds, decoded with PyAV alone: size, times, sound."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

# PyAV asks for made-up timestamps where a file has none, and makes them late in AVI files with B-frames.
GENERATE_PTS = 0x1


@dataclass(frozen=True)
class Facts:
    size: tuple[int, int]
    video_times: list[Fraction]  # presentation times of the decoded frames, from the first one on
    rate: Fraction | None
    audio: list[tuple[str, float, float]]  # codec, start, end of each track on that clock, as heard
    matrix: int
    color_range: int


def facts(path: Path) -> Facts:
    container: Any  # PyAV says of all times that they may be missing
    with av.open(str(path)) as container:
        container.flags &= ~GENERATE_PTS
        video = next(s for s in container.streams.video if not int(s.disposition) & 0x400)
        times: list[Fraction] = []
        spans: dict[int, list[Fraction]] = {audio.index: [] for audio in container.streams.audio}
        matrix = color_range = 0
        for packet in container.demux():
            if packet.stream.index in spans and packet.size:
                for heard in packet.decode():  # decoded: what an encoder put in front to warm up is cut off by now
                    start = heard.pts * heard.time_base
                    if start < packet.stream.start_time * packet.stream.time_base:
                        continue  # Ogg cut at a page: packets of what came before it, without content
                    length = Fraction(heard.samples, heard.sample_rate)
                    if "mp4" in container.format.name:
                        # FFmpeg of PyAV 19 cuts off the end of a track as much as its edit list lets it begin late.
                        length = max(length, packet.duration * packet.time_base)
                    spans[packet.stream.index] += [start, start + length]
            if packet.stream is video:
                for frame in packet.decode():
                    ticks = frame.pts if frame.pts is not None else frame.dts
                    times.append(ticks * video.time_base)
                    matrix, color_range = int(frame.colorspace), int(frame.color_range)
        origin = min(times)
        return Facts(
            (video.width, video.height),
            [time - origin for time in sorted(times)],
            video.average_rate,
            [
                (
                    audio.codec_context.name,
                    float(min(spans[audio.index]) - origin),
                    float(max(spans[audio.index]) - origin),
                )
                for audio in container.streams.audio
                if spans[audio.index]
            ],
            matrix,
            color_range,
        )
