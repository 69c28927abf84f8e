"""Films that carry something beside the picture, made track by track, and the texts that a result shows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np

from kits.made_once import made_once
from kits.videos import numbered

SECONDS = 4
FONT = bytes(range(256)) * 20


def jpeg() -> bytes:
    context = av.CodecContext.create("mjpeg", "w")
    context.width, context.height, context.pix_fmt, context.time_base = 64, 64, "yuvj420p", Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(numbered(3, 64, 64), format="rgb24").reformat(format="yuvj420p")
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])


def picture_track(out: av.container.OutputContainer) -> av.VideoStream:
    stream = out.add_stream("libx264", rate=25)
    stream.width, stream.height, stream.pix_fmt = 128, 64, "yuv420p"
    return stream


def fill_picture(out: av.container.OutputContainer, stream: av.VideoStream, frames: int = 50) -> None:
    for index in range(frames):
        frame = av.VideoFrame.from_ndarray(numbered(index, 128, 64), format="rgb24").reformat(format="yuv420p")
        frame.pts, frame.time_base = index, Fraction(1, 25)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


def subtitles_of(path: Path) -> list[tuple[float, float, str]]:
    found: list[tuple[float, float, str]] = []
    with av.open(str(path)) as container:
        stream = container.streams.subtitles[0]
        for packet in container.demux(stream):
            decoded = stream.codec_context.decode2(packet) if packet.size else None
            lines = (
                [re.sub(r"\{.*?\}", "", cast(Any, rect).dialogue.decode()).strip() for rect in decoded.rects]
                if decoded
                else []
            )
            if any(lines):
                begins, lasts = (round(float(ticks * packet.time_base), 2) for ticks in (packet.pts, packet.duration))
                found.append((begins, lasts, "\n".join(lines)))
    return found


@made_once
def film(
    path: Path, codecs: Sequence[str], sounds: Sequence[np.ndarray], tags: Sequence[dict[str, str]] = (),
    seconds: float = SECONDS, **video_options: str,
) -> Path:  # fmt: skip
    """A film of 25 pictures a second with one audio track for each codec; `sounds`: (1, samples) at 48 kHz."""
    with av.open(str(path), "w") as out:
        codec = "mpeg4" if path.suffix in (".avi", ".wmv") else "libx264"
        video: Any = out.add_stream(codec, rate=25, options=video_options)
        video.width, video.height, video.pix_fmt = 128, 64, "yuv420p"
        tracks = []
        for number, codec in enumerate(codecs):
            options = {"strict": "experimental"} if codec == "vorbis" else {}
            track: Any = out.add_stream(codec, rate=48000, options=options)
            track.codec_context.layout = "stereo" if codec == "vorbis" else "mono"
            track.metadata.update(tags[number] if tags else {})
            tracks.append(track)
        for index in range(round(seconds * 25)):
            frame = av.VideoFrame.from_ndarray(numbered(index % 256, 128, 64), format="rgb24").reformat(
                format="yuv420p"
            )
            frame.pts, frame.time_base = index, Fraction(1, 25)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        for track, sound in zip(tracks, sounds, strict=True):
            context = track.codec_context
            size = context.frame_size or 1024
            to = av.AudioResampler(context.format, context.layout, 48000, frame_size=size)
            block = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound), format="fltp", layout="mono")
            block.sample_rate, block.pts, block.time_base = 48000, 0, Fraction(1, 48000)
            for part in [*to.resample(block), *to.resample(None)]:
                out.mux(track.encode(part))
            out.mux(track.encode(None))
    return path
