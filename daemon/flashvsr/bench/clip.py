"""A clip for measuring the whole way of a video: H.264 with AAC sound, made by code."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from flashvsr.bench.pictures import drifting

RATE = 25  # frames per second
SOUND_RATE = 48000  # samples per second
_SAMPLES = 1024  # of an AAC frame
_TONE = 440.0  # Hz


def write_clip(path: Path, width: int, height: int, frames: int) -> None:
    """Write a drifting texture with a tone of the same length."""
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=RATE, options={"preset": "veryfast", "crf": "20"})
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        sound = out.add_stream("aac", rate=SOUND_RATE, layout="stereo")
        for picture in drifting(width, height, frames):
            out.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(video.encode(None))
        for frame in _tone(Fraction(frames, RATE)):
            out.mux(sound.encode(frame))
        out.mux(sound.encode(None))


def _tone(seconds: Fraction) -> Iterator[av.AudioFrame]:
    samples = int(seconds * SOUND_RATE)
    wave = (0.2 * np.sin(2 * np.pi * _TONE / SOUND_RATE * np.arange(samples))).astype(np.float32)
    for start in range(0, samples, _SAMPLES):
        frame = av.AudioFrame.from_ndarray(np.stack([wave[start : start + _SAMPLES]] * 2), "fltp", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, start, Fraction(1, SOUND_RATE)
        yield frame
