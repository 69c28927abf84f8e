"""What recording windows as CUDA graphs brings: `python tests/measure/recording.py [--result FILE]`, on a GPU.

Random weights of the published shapes, pictures of several sizes, each with windows launched kernel by kernel and with
windows recorded where the stream finds that the host holds the GPU up.
"""

from __future__ import annotations

import argparse
import gc
import json
from dataclasses import replace
from pathlib import Path

import torch

from flashvsr.bench.random_model import random_model
from flashvsr.bench.speed import measure_rate
from flashvsr.settings.config import Config
from flashvsr.upscaling.engine import engine_for

SIZES = ((256, 256), (640, 384), (896, 512), (1408, 768))
FRAMES = 149


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--result", type=Path)
    arguments = parser.parse_args()
    engine = engine_for(random_model("cuda:0", torch.bfloat16), "random", Config())
    rows = []
    for width, height in SIZES:
        row: dict[str, object] = {"size": f"{width}x{height}"}
        for name, records in (("launched", False), ("recorded", True)):
            gc.collect()
            rate, memory = measure_rate(replace(engine, records=records), (width, height), FRAMES, lambda _done: None)
            assert memory.reserved is not None
            row[name] = {
                "ms_per_window": round(1000 * rate.median, 2),
                "reserved_gib": round(memory.reserved / 2**30, 2),
            }
        rows.append(row)
        print(json.dumps(row), flush=True)
    if arguments.result:
        found = {"card": engine.label, "torch": torch.__version__, "frames": FRAMES, "sizes": rows}
        arguments.result.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
