"""What a media file holds, read with PyAV alone: packets, times, decoded frames."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av


@dataclass(frozen=True)
class Facts:
    size: tuple[int, int]
    video_times: list[Fraction]  # presentation times of the decoded frames, from the first picture or sound on
    rate: Fraction | None
    audio: list[tuple[str, float, float]]  # codec, start, end of each track, on the same clock
    matrix: int
    color_range: int


def facts(path: Path) -> Facts:
    with av.open(str(path)) as container:
        video = next(s for s in container.streams.video if not int(s.disposition) & 0x400)
        times: list[Fraction] = []
        spans: dict[int, list[Fraction]] = {audio.index: [] for audio in container.streams.audio}
        matrix = color_range = 0
        for packet in container.demux():
            if packet.stream.index in spans and packet.pts is not None and packet.size:
                start = packet.pts * packet.time_base
                spans[packet.stream.index] += [start, start + (packet.duration or 0) * packet.time_base]
            if packet.stream is video:
                for frame in packet.decode():
                    ticks = frame.pts if frame.pts is not None else frame.dts
                    times.append(ticks * video.time_base)
                    matrix, color_range = int(frame.colorspace), int(frame.color_range)
        starts = [min(span) for span in spans.values() if span]
        origin = min([min(times), *starts])
        return Facts(
            (video.width, video.height),
            [time - origin for time in sorted(times)],
            video.average_rate,
            [
                (audio.codec_context.name, float(min(spans[audio.index]) - origin), float(max(spans[audio.index]) - origin))
                for audio in container.streams.audio
                if spans[audio.index]
            ],
            matrix,
            color_range,
        )
