"""How fast a model is: pictures in host memory to pictures in host memory, window by window."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from statistics import median

import torch

from flashvsr.bench.clocks import synchronize
from flashvsr.bench.pictures import repeated
from flashvsr.bench.round_trip import round_trip
from flashvsr.bench.stage_watch import StageWatch
from flashvsr.model.stream import StreamOptions
from flashvsr.model.windows import FRAMES_PER_WINDOW, LOOKAHEAD, window
from flashvsr.upscaling.engine import Engine

Size = tuple[int, int]
OnFrames = Callable[[int], None]  # hears how many frames are done

FIRST_FRAMES = window(0).output[1]
# The first window, the second, which is the first one of its shape, and two that are timed.
LEAST_FRAMES = FIRST_FRAMES + 3 * FRAMES_PER_WINDOW
STAGE_WINDOWS = 4


@dataclass(frozen=True)
class Rate:
    """How long the windows of one stream took.

    Attributes:
        first: seconds to the first window's frames, compilation and all.
        second: seconds to the second window's from there on, in which the third one has begun. The second is the
            first one of the shape that all others have.
        windows: seconds of each window after these.
    """

    size: Size
    first: float
    second: float
    windows: list[float]

    @property
    def median(self) -> float:
        """Seconds of a window."""
        return median(self.windows)

    @property
    def frames_per_second(self) -> float:
        """In the long run: of all windows after these two."""
        return FRAMES_PER_WINDOW * len(self.windows) / sum(self.windows)


@dataclass(frozen=True)
class Memory:
    """Most memory at any time, in bytes.

    `allocated`: of the device, in tensors. `reserved`: what the process took of it for them. Both None on a CPU.
    `host`: of the process in main memory, since it began.
    """

    allocated: int | None
    reserved: int | None
    host: int


@torch.inference_mode()
def measure_rate(engine: Engine, size: Size, frames: int, on_frames: OnFrames) -> tuple[Rate, Memory]:
    """Send pictures through the model until `frames` have come back, at least `LEAST_FRAMES`."""
    # And a window more: in the time of each one timed the next one begins.
    pictures = repeated(*size, frames + FRAMES_PER_WINDOW + LOOKAHEAD)
    _forget_peaks(engine.device)
    synchronize(engine.device)
    seconds: list[float] = []
    done = 0
    before = time.perf_counter()
    with closing(round_trip(engine, engine.stream(size, StreamOptions(), 0), size, pictures)) as windows:
        while done < frames:
            done += len(next(windows))
            now = time.perf_counter()
            seconds.append(now - before)
            before = now
            on_frames(min(done, frames))
    return Rate(size, seconds[0], seconds[1], seconds[2:]), _peaks(engine.device)


@torch.inference_mode()
def measure_stages(engine: Engine, size: Size) -> dict[str, float]:
    """Seconds of each stage in a window, as the mean over a few windows after the second.

    "rest" is what lies between the stages: noise, gathering the frames of a window. Streams that run a stage beside
    another add up to more than a window; then it is 0.
    """
    frames = FIRST_FRAMES + FRAMES_PER_WINDOW * (STAGE_WINDOWS + 2)
    watch = StageWatch(engine.device)
    stream = replace(engine, records=False).stream(size, StreamOptions(), 0)  # a recording has no stages
    windows = round_trip(engine, stream, size, repeated(*size, frames), watch.stage)
    # For each window that comes from here on, the one after it is computed: there must be one more than are taken.
    with watch.watching(stream), closing(windows):
        next(windows)
        next(windows)
        synchronize(engine.device)
        watch.reset()
        started = time.perf_counter()
        for _ in range(STAGE_WINDOWS):
            next(windows)
        synchronize(engine.device)
        whole = time.perf_counter() - started
        found = watch.seconds()
    found["rest"] = max(0.0, whole - sum(found.values()))
    return {name: seconds / STAGE_WINDOWS for name, seconds in found.items()}


def _forget_peaks(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()  # what was reserved for something else
        torch.cuda.reset_peak_memory_stats(device)


def _peaks(device: torch.device) -> Memory:
    host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if device.type != "cuda":
        return Memory(None, None, host)
    return Memory(torch.cuda.max_memory_allocated(device), torch.cuda.max_memory_reserved(device), host)
