"""What surrounds the model costs: `python tests/measure/ends.py VIDEO [--rate R]… [--threads N]… [--out FILE]`.

Each step on its own, for the product's defaults on this machine: reading and scaling, conversion for the encoder,
software H.264 with several numbers of threads, and what happens once per job. Then whole jobs with a model that is
played: it takes frames and gives frames of the right size on the right device, `rate` a second (0: at once). With a
GPU, the frames go there and back. The model's frames are the source's, enlarged: once as they are, once with noise as
strong as that of a model with random weights, which costs an encoder many times as much. Prints JSON.

CPU time is of the whole process, all threads together; on a busy machine it is the number to trust.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count, islice
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from flashvsr.bench.quality_report import machine
from flashvsr.files.trees import NO_LINKS
from flashvsr.model.resize import to_whole
from flashvsr.model.stream import StreamOptions
from flashvsr.model.windows import FRAMES_PER_WINDOW, window
from flashvsr.settings.config import Config
from flashvsr.settings.preset import Preset
from flashvsr.settings.service_tables import Paths
from flashvsr.upscaling import budgets
from flashvsr.upscaling.budgets import encoder_threads
from flashvsr.upscaling.control import Control
from flashvsr.upscaling.file import upscale_file
from flashvsr.upscaling.frames import to_model
from flashvsr.upscaling.task import Task
from flashvsr.video.chunks import ChunkStore
from flashvsr.video.decode import DecodeOptions, Rgb, decode
from flashvsr.video.encode import EncoderSettings, VideoEncoder, open_encoder, output_format
from flashvsr.video.geometry import Geometry, plan
from flashvsr.video.interlacing import examine
from flashvsr.video.mux import assemble
from flashvsr.video.probe import SourceInfo, probe
from flashvsr.video.verify import verify

T = TypeVar("T")

PRESET = Preset(width=960, fit="crop", encoder="software")
KEPT = 3 * FRAMES_PER_WINDOW  # frames of the played model, that come again and again
ENCODED = 120  # frames of which encoding is timed; the encoder holds back some 50
NOISE = 0.25  # of the played model's noisy frames, in units of [-1, 1]
SPIN = 10_000_000  # cycles, to find out how fast the GPU counts them


def timed(work: Callable[[], T], frames: int = 1) -> tuple[dict[str, float], T]:
    """Milliseconds per frame."""
    cpu, wall = time.process_time(), time.perf_counter()
    found = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"wall_ms": round(1000 * wall / frames, 2), "cpu_ms": round(1000 * cpu / frames, 2)}, found


def played_frames(info: SourceInfo, geometry: Geometry, noise: float) -> Tensor:
    """The model's frames: (3, n, H, W) in [-1, 1] on the CPU."""
    generator = torch.Generator().manual_seed(0)
    sources = islice(decode(info, geometry.scaled), KEPT)
    frames = torch.stack([to_model(frame.rgb, geometry, torch.device("cpu")) for frame in sources], dim=1)
    return (frames + noise * torch.randn(frames.shape, generator=generator)).clamp_(-1, 1)


def steps(info: SourceInfo, geometry: Geometry, threads: Sequence[int]) -> dict[str, Any]:
    """Each step alone."""
    found: dict[str, Any] = {}
    video_format = output_format(info, geometry.output)
    for reading in (1, 2):
        options = DecodeOptions(threads=reading)
        number, seconds = info.frame_count or 1, lambda: sum(1 for _ in decode(info, geometry.scaled, options))  # noqa: B023
        found[f"decode and scale, {reading} threads"] = timed(seconds, number)[0]
    for kind, noise in (("plain", 0.0), ("noisy", NOISE)):
        pixels = to_whole(played_frames(info, geometry, noise), deep=False).numpy()
        for number in threads:
            encoder = VideoEncoder("libx264", EncoderSettings(threads=number), video_format)
            converting = timed(lambda: [encoder.frame(rgb, 0) for rgb in pixels], len(pixels))[0]  # noqa: B023
            found[f"to yuv420p, {number} threads"] = converting
            found[f"encode {kind}, {number} threads"] = encode(encoder, pixels)
    return found


def encode(encoder: VideoEncoder, pixels: Rgb) -> dict[str, float]:
    """Convert and encode as the worker does, into a chunk; `end_ms`: closing it, with the frames held back."""
    with tempfile.TemporaryDirectory() as name:
        writer = ChunkStore(Path(name), "x").writer(0, encoder)

        def feed() -> None:
            for index in range(ENCODED):
                writer.write(pixels[index % len(pixels)], index * encoder.format.step)

        def both() -> dict[str, float]:
            feed()
            end, chunk = timed(writer.close)
            megabits = chunk.path.stat().st_size * 8 * float(encoder.format.frame_rate) / ENCODED / 1e6
            return {"end_ms": end["wall_ms"], "mbit_s": round(megabits, 1)}

        whole, rest = timed(both, ENCODED)
    return whole | rest


def once(info: SourceInfo, geometry: Geometry) -> dict[str, Any]:
    """What happens once in a job, at its beginning and its end."""
    pixels = to_whole(played_frames(info, geometry, 0.0), deep=False).numpy()
    found = {"probe": timed(lambda: probe(info.path))[0], "scan": timed(lambda: examine(info))[0]}
    video_format = output_format(info, geometry.output)
    cores = len(os.sched_getaffinity(0))
    opening, encoder = timed(
        lambda: open_encoder(EncoderSettings(encoder="auto", threads=encoder_threads(cores, 1)), video_format)
    )
    with tempfile.TemporaryDirectory() as name:
        result = Path(name) / "result.mp4"
        writer = ChunkStore(Path(name), "x").writer(0, encoder)
        for index in range(info.frame_count or ENCODED):
            writer.write(pixels[index % len(pixels)], index * video_format.step)
        chunks = [writer.close()]
        joining, made = timed(lambda: assemble(chunks, info, result, "copy", "mp4"))
        checking = timed(lambda: verify(result, made.frames, geometry.output, made.duration, made.audio_tracks))[0]
    return found | {"open encoder": opening, "join": joining, "verify": checking}


class Played:
    """An engine without a model. `done`: when its last frame was given, by `time.perf_counter`."""

    name = identity = "played"
    note = None
    largest = 3840, 2160
    done = 0.0

    def __init__(self, device: torch.device, frames: Tensor, rate: float) -> None:
        self.device = device
        self.label = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
        self._frames = frames.to(device, torch.bfloat16 if device.type == "cuda" else torch.float32)
        self._rate = rate
        self._cycles = cycles_per_second() if device.type == "cuda" else 0.0

    def save_memory(self) -> str | None:
        return None

    def stream(self, _size: tuple[int, int], _options: StreamOptions, _origin: int) -> Played:
        return self

    def run(self, frames: Iterable[Tensor]) -> Iterator[Tensor]:
        source, taken, ended = iter(frames), 0, False
        for index in count():
            step = window(index)
            while not ended and taken < step.lq[1]:
                frame = next(source, None)
                ended = frame is None
                taken += frame is not None
            wanted = min(step.output[1], taken) - step.output[0]
            if wanted <= 0:
                self.done = time.perf_counter()
                return
            if self._rate:
                self._compute((step.output[1] - step.output[0]) / self._rate)
            yield self._frames[:, torch.arange(wanted, device=self.device) % self._frames.shape[1]]

    def _compute(self, seconds: float) -> None:
        if self.device.type == "cuda":
            torch.cuda._sleep(int(seconds * self._cycles))
        else:
            time.sleep(seconds)


def cycles_per_second() -> float:
    """How fast `torch.cuda._sleep` counts."""
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    for event in (start, end):
        torch.cuda._sleep(SPIN)
        event.record()
    torch.cuda.synchronize()
    return SPIN / (start.elapsed_time(end) / 1000)


def job(info: SourceInfo, engine: Played, rate: float) -> dict[str, float]:
    """The worker's own code from the opened source to the published result."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("work", "out"):
            (folder / part).mkdir()
        task = Task(info.path, folder / "out" / "result.mp4", PRESET, folder / "work", 0, NO_LINKS)
        config = Config(paths=Paths(folder, folder / "out", folder, folder))
        cost, report = timed(lambda: upscale_file(task, engine, config, Control()))
        after = time.perf_counter() - engine.done
    seconds = cost["wall_ms"] / 1000
    found = {
        "frames": report.frames,
        "seconds": round(seconds, 2),
        "frames_per_second": round(report.frames / seconds, 1),
        "cpu_seconds": round(cost["cpu_ms"] / 1000, 1),
        "seconds_after_the_model": round(after, 2),
    }
    return found | ({"share_of_rate": round(report.frames / seconds / rate, 3)} if rate else {})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--rate", type=float, action="append", help="frames per second of the played model")
    parser.add_argument("--threads", type=int, action="append", help="of the encoder")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    info = probe(arguments.video)
    geometry = plan(info.width, info.height, PRESET)
    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    own = encoder_threads(len(os.sched_getaffinity(0)), 1)
    found: dict[str, Any] = {"model_size": f"{geometry.model[0]}x{geometry.model[1]}", "once": once(info, geometry)}
    found["steps"] = steps(info, geometry, arguments.threads or [own])
    found["jobs"] = {}
    for kind, noise in (("plain", 0.0), ("noisy", NOISE)):
        frames = played_frames(info, geometry, noise)
        for rate in arguments.rate or [0.0]:
            for number in arguments.threads or [own]:
                setattr(budgets, "encoder_threads", lambda _cores, _workers: number)  # noqa: B010, B023
                engine = Played(device, frames, rate)
                found["machine"] = machine(cast(Any, engine))
                found["jobs"][f"{kind}, {rate:g}/s, {number} threads"] = job(info, engine, rate)
    text = json.dumps(found, indent=2)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
