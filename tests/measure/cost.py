"""What a model costs on this machine: `python tests/measure/cost.py [--weights FOLDER] [--size WxH] [--out FILE]`.

Tokens, parameters and FLOPs per frame, where the time goes in a window of 8 frames, and then the product itself:
`flashvsr upscale` on the demo's clip (320x180 doubled and extended: the model computes 640x384), its speed and its
peak memory. Prints JSON. FLOPs are PyTorch's count: two for a multiplication with an addition, none for other work.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from flashvsr.bench.quality_report import machine
from flashvsr.bench.stage_watch import watched
from flashvsr.commands.demo import CLIP
from flashvsr.model.decoder import Decoder
from flashvsr.model.stages import plain_stages
from flashvsr.model.stream import Stream, StreamSpec
from flashvsr.model.windows import FRAMES_PER_WINDOW, window
from flashvsr.settings.config import Config
from flashvsr.settings.preset import Preset
from flashvsr.upscaling.engine import Engine, load_engine
from flashvsr.upscaling.frames import from_model, to_model
from flashvsr.video.geometry import plan
from flashvsr.weights.choice import NANO, nano_folder

WINDOWS = 6  # timed, after the first one
DECODER_LEVELS = {1: "1/8", 10: "1/4", 16: "1/2", 22: "full"}  # first layer of each size
LAST_LAYER = 26
STAGES = {
    "project": "LQ projection",
    "layers": "transformer",
    "head": "patches and head",
    "decode": "decoder and colour",
    "colour": "decoder and colour",
}


class Counting:
    """Adds up seconds and FLOPs per stage; `counter` is None while time is taken."""

    counter: FlopCounterMode | None = None

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.reset()

    def reset(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.flops: dict[str, int] = defaultdict(int)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        counted, started = self.counted(), self.now()
        yield
        self.seconds[name] += self.now() - started
        self.flops[name] += self.counted() - counted

    def counted(self) -> int:
        return self.counter.get_total_flops() if self.counter else 0

    def now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()


def watch_levels(count: Counting, decoder: Decoder) -> None:
    """Within the decoder, time and FLOPs for each size of its pictures."""
    started: list[tuple[float, int]] = []

    def before(_layer: nn.Module, _inputs: object) -> None:
        started.append((count.now(), count.counted()))

    def after(level: str) -> Any:
        def note(_layer: nn.Module, _inputs: object, _output: object) -> None:
            moment, counted = started.pop()
            count.seconds[level] += count.now() - moment
            count.flops[level] += count.counted() - counted

        return note

    for name, layer in decoder.decoder.items():
        number = int(name)
        if 1 <= number <= LAST_LAYER:
            level = DECODER_LEVELS[max(first for first in DECODER_LEVELS if first <= number)]
            layer.register_forward_pre_hook(before)
            layer.register_forward_hook(after(f"  decoder at {level} size"))


@torch.inference_mode()
def per_window(engine: Engine, width: int, height: int) -> dict[str, Any]:
    """FLOPs and milliseconds per frame, by stage, of windows after the first."""
    geometry = plan(width // 2, height // 2, Preset(width=0, fit="pad"))
    random = np.random.default_rng(0)
    still = random.integers(0, 256, (height // 2, width // 2, 3), dtype=np.uint8)
    spec = StreamSpec(geometry.model[1], geometry.model[0])
    count = Counting(engine.device)
    stream = Stream(watched(plain_stages(engine.model, spec), lambda name: count.stage(STAGES[name])))
    watch_levels(count, engine.model.decoder)

    def inputs() -> Iterator[Tensor]:
        for i in range(window(WINDOWS + 1).lq[1]):
            moved = np.ascontiguousarray(np.roll(still, i, 1))
            with count.stage("enlarging"):
                frame = to_model(moved, geometry, engine.model.device)
            yield frame

    seconds: list[float] = []
    outputs = stream.run(inputs())
    next(outputs)
    with FlopCounterMode(display=False) as counter:
        count.counter = counter
        count.reset()
        next(outputs)
        count.counter = None
    flops = dict(count.flops)
    count.reset()
    for _ in range(WINDOWS):
        started = count.now()
        frames = next(outputs)
        with count.stage("to 8 bits"):
            from_model(frames, geometry)
        seconds.append(count.now() - started)
    frames_timed = WINDOWS * FRAMES_PER_WINDOW
    names = sorted(count.seconds, key=lambda name: (name.startswith(" "), -count.seconds[name]))
    total = sum(value for name, value in flops.items() if not name.startswith(" "))
    return {
        "model_size": f"{geometry.model[0]}x{geometry.model[1]}",
        "tokens_per_window": spec.rows * spec.columns * window(1).latent_count,
        "frames_per_window": FRAMES_PER_WINDOW,
        "gflops_per_frame": round(total / FRAMES_PER_WINDOW / 1e9, 3),
        "frames_per_second": {
            "median_window": round(FRAMES_PER_WINDOW / float(np.median(seconds)), 2),
            "best_window": round(FRAMES_PER_WINDOW / min(seconds), 2),
        },
        "stages": {
            name.strip(): {
                "ms_per_frame": round(1000 * count.seconds[name] / frames_timed, 2),
                "gflops_per_frame": round(flops.get(name, 0) / FRAMES_PER_WINDOW / 1e9, 4),
            }
            for name in names
        },
    }


def product(weights: str) -> dict[str, Any]:
    """`flashvsr upscale` as a process of its own: frames per second from opening to publishing, peak memory."""
    load = os.getloadavg()
    with tempfile.TemporaryDirectory() as name:
        command = [sys.executable, "-m", "flashvsr", "upscale", str(CLIP), str(Path(name) / "result.mp4")]
        options = ["--set", "width=0", "--set", "fit=pad"]
        environment = {**os.environ, "FLASHVSR_MODEL_PATH": weights}
        done = subprocess.run([*command, *options], env=environment, capture_output=True, text=True, check=True)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = re.search(r"(\d+) frames, ([0-9.]+) frames/s", done.stderr)
    assert found is not None, done.stderr
    return {
        "clip": CLIP.name,
        "frames": int(found[1]),
        "frames_per_second": float(found[2]),
        "processor_seconds": round(usage.ru_utime + usage.ru_stime, 1),  # of all cores, with starting up
        "peak_memory_mib": usage.ru_maxrss // 1024,
        "load_average_before": [round(value, 2) for value in load],
    }


def parameters(engine: Engine) -> dict[str, int]:
    parts = {
        "transformer": engine.model.dit,
        "LQ projection": engine.model.lq_projection,
        "decoder": engine.model.decoder,
    }
    return {name: sum(parameter.numel() for parameter in part.parameters()) for name, part in parts.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", default=NANO, help="folder, or nano")
    parser.add_argument("--size", default="640x384")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    width, height = map(int, arguments.size.split("x"))
    # First, while nothing of this process takes memory and time.
    weights = str(nano_folder() if arguments.weights == NANO else Path(arguments.weights).absolute())
    upscaled = product(weights)
    config = Config()
    engine = load_engine(replace(config, model=replace(config.model, weights=weights)), print)
    load = os.getloadavg()
    result = {
        "measured": "cost",
        "machine": machine(engine),
        "model": arguments.weights if arguments.weights == NANO else engine.name,
        "parameters": parameters(engine),
        "window": per_window(engine, width, height) | {"load_average_before": [round(value, 2) for value in load]},
        "upscale": upscaled,
    }
    print(json.dumps(result, indent=2))
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
