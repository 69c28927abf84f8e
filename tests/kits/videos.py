"""Small videos for the tests, and the chain decode -> encode -> chunks with the identity as model."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from flashvsr.video.chunks import Chunk, ChunkStore, ChunkWriter
from flashvsr.video.decode import decode
from flashvsr.video.encode import EncoderSettings, open_encoder, output_format
from flashvsr.video.probe import SourceInfo, probe
from kits.made_once import made_once
from kits.paths import CLIPS

ALL_CLIPS = sorted(path for path in CLIPS.iterdir() if path.suffix != ".md")
CLIPS_WITH_SOUND = [path for path in ALL_CLIPS if path.stem != "carphone_pristine"]
# Frames that FFmpeg's own programs decode from each clip.
FRAME_COUNTS = {
    "bigbuckbunny.mp4": 35, "carphone_pristine.mp4": 37, "face_noface.mov": 39, "movie-hello.avi": 34,
    "movie-hello.mp4": 36, "movie-hello.mpeg": 37, "movie-hello.ogg": 37, "ocean.webm": 36,
}  # fmt: skip


def numbered(index: int, width: int = 128, height: int = 128) -> np.ndarray:
    """A picture whose brightness bars spell the frame's number, readable after lossy coding."""
    picture = np.full((height, width, 3), 40, np.uint8)
    for bit in range(8):
        if index >> bit & 1:
            picture[:, bit * width // 8 : (bit + 1) * width // 8] = 200
    return picture


def number_of(rgb: np.ndarray) -> int:
    """The number that `numbered` drew, from a picture of any size."""
    width = rgb.shape[1]
    columns = [rgb[:, (2 * bit + 1) * width // 16].mean() for bit in range(8)]
    return sum(1 << bit for bit, value in enumerate(columns) if value > 120)


@made_once
def write_video(
    path: Path, pictures: Sequence[np.ndarray], rate: Fraction | int = 25, *,
    times: Sequence[int] | None = None, time_base: Fraction | None = None, codec: str = "libx264",
    pixel_format: str = "yuv420p", options: dict[str, str] | None = None, audio: np.ndarray | None = None,
    audio_codec: str = "aac",
) -> Path:  # fmt: skip
    """Write RGB pictures to a file. `audio`: (channels, samples) float at 48 kHz."""
    time_base = time_base or 1 / Fraction(rate)
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream(codec, rate=Fraction(rate), options=options or {})
        stream.width, stream.height = pictures[0].shape[1], pictures[0].shape[0]
        stream.pix_fmt = pixel_format
        stream.time_base = stream.codec_context.time_base = time_base
        sound: Any = out.add_stream(audio_codec, rate=48000) if audio is not None else None
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            if pixel_format != "rgb24":
                frame = frame.reformat(format=pixel_format)
            frame.pts = times[index] if times is not None else index
            frame.time_base = time_base
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if sound is not None and audio is not None:
            write_sound(out, sound, audio)
    return path


def write_sound(out: av.container.OutputContainer, stream: av.AudioStream, audio: np.ndarray) -> None:
    """Encode (channels, samples) floats at 48 kHz into `stream`."""
    layout = "stereo" if audio.shape[0] == 2 else "mono"
    if not stream.codec_context.is_open:
        stream.codec_context.layout = layout
    size = 1024
    resampler = av.AudioResampler(stream.codec_context.format, layout, 48000)
    for start in range(0, audio.shape[1], size):
        block = np.ascontiguousarray(audio[:, start : start + size], dtype=np.float32)
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
        for resampled in resampler.resample(frame):
            out.mux(stream.encode(resampled))
    out.mux(stream.encode(None))


def tone(seconds: float, channels: int = 1) -> np.ndarray:
    """Noise bursts at irregular times: correlation finds their place to the sample."""
    rng = np.random.default_rng(7)
    signal = rng.normal(size=(channels, int(48000 * seconds))).astype(np.float32) * 0.2
    signal *= np.repeat(rng.random(signal.shape[1] // 2400 + 1) > 0.5, 2400)[: signal.shape[1]]
    return signal


def make_chunks(
    info: SourceInfo, size: tuple[int, int], workdir: Path, codec: str = "h264",
    lengths: Sequence[int] = (13,), quality: int = 6,
) -> tuple[list[Chunk], list[Fraction]]:  # fmt: skip
    """Decode and encode unchanged, in chunks of the given lengths (the last repeats); also all times."""
    encoder = open_encoder(EncoderSettings(codec, "software", quality, 2), output_format(info, size))
    store = ChunkStore(workdir, "test")
    writer: ChunkWriter | None = None
    chunks: list[Chunk] = []
    times: list[Fraction] = []
    for frame in decode(info, size):
        if writer is None:
            writer = store.writer(frame.index, encoder)
        writer.write(frame.rgb, frame.pts)
        times.append(frame.pts * encoder.format.time_base)
        if writer.frames == lengths[min(len(chunks), len(lengths) - 1)]:
            chunks.append(writer.close())
            writer = None
    if writer is not None:
        chunks.append(writer.close())
    return chunks, times


def frames_of(path: Path) -> list[tuple[Fraction, np.ndarray]]:
    """(time in seconds from the file's zero, RGB picture) of every frame, by plain PyAV."""
    container: Any  # PyAV says of all times that they may be missing
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return [(f.pts * stream.time_base, f.to_ndarray(format="rgb24")) for f in container.decode(stream)]


def sound_of(path: Path, start: Fraction, seconds: float, rate: int = 8000) -> np.ndarray:
    """The first audio track as mono samples placed by their timestamps, counted from `start`."""
    placed = np.zeros(int(rate * seconds), np.float32)
    expected: Fraction | None = None
    with av.open(str(path)) as container:
        container.flags &= ~1  # keep PyAV from inventing timestamps
        stream = container.streams.audio[0]
        counted = container.format.name == "ogg"  # its timestamps are not to be trusted, its sample count is
        resampler = av.AudioResampler("fltp", "mono", rate)
        for packet in container.demux(stream):
            for frame in packet.decode() if packet.size else ():
                time = frame.pts * stream.time_base - start if frame.pts is not None else expected
                if counted:
                    time = Fraction(0)
                if expected is not None and (counted or abs(time - expected) < Fraction(3, 1000)):
                    time = expected  # a container's rounding, no gap
                expected = time + Fraction(frame.samples, frame.sample_rate)
                frame.pts = None
                for block in resampler.resample(frame):
                    samples, at = block.to_ndarray()[0], round(time * rate)
                    samples, at = samples[max(0, -at) :], max(0, at)
                    samples = samples[: max(0, len(placed) - at)]
                    placed[at : at + len(samples)] = samples
    return placed


def lag_ms(first: np.ndarray, second: np.ndarray, rate: int = 8000) -> tuple[float, float]:
    """How much later `second` is, in milliseconds, and how alike they then are (1 is equal)."""
    n = len(first) + len(second)
    correlation = np.fft.irfft(np.fft.rfft(second, n) * np.conj(np.fft.rfft(first, n)), n)
    best = int(correlation.argmax())
    likeness = correlation[best] / np.sqrt((first**2).sum() * (second**2).sum())
    return (best if best < n // 2 else best - n) * 1000 / rate, float(likeness)


def set_matrix(path: Path, matrix: tuple[int, int, int, int]) -> None:
    """Overwrite the display matrix (a, b, c, d) of an MP4's first track, as phones do."""
    data = bytearray(path.read_bytes())
    header = data.index(b"tkhd")
    at = header + 4 + 40  # version 0: flags and version 4, times and ids 20, reserved 8, layer to volume 8
    values = [matrix[0] << 16, matrix[1] << 16, 0, matrix[2] << 16, matrix[3] << 16, 0, 0, 0, 1 << 30]
    for index, value in enumerate(values):
        data[at + 4 * index : at + 4 * index + 4] = value.to_bytes(4, "big", signed=True)
    path.write_bytes(data)


def clip_info(name: str) -> SourceInfo:
    """Probe one of the clips."""
    return probe(CLIPS / name)
