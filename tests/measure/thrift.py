"""How much of a GPU's memory a picture takes at least, with each saving: what `limit = "auto"` is reckoned from.

    python tests/measure/thrift.py --result tests/bench/results/thrift_h200.json

Random weights of the published shapes. For each size and saving: what was in tensors and what was taken at most; and
for the last saving the least memory, in steps of half a GiB, with which the windows still came out.
"""

from __future__ import annotations

import argparse
import gc
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from flashvsr.bench.random_model import random_model
from flashvsr.bench.speed import LEAST_FRAMES, measure_rate
from flashvsr.settings.config import Config
from flashvsr.upscaling.engine import Engine, engine_for
from flashvsr.upscaling.savings import PLENTY, SAVINGS

# 1920x1080, 2560x1440 and 3840x2160 in blocks of 128.
SIZES = ((1920, 1152), (2560, 1536), (3840, 2176))
STEP = 1 << 29


def clear() -> None:
    gc.collect()
    torch.cuda.empty_cache()


def measured(engine: Engine, size: tuple[int, int]) -> dict[str, Any]:
    clear()
    try:
        rate, memory = measure_rate(engine, size, LEAST_FRAMES, lambda _: None)
    except torch.OutOfMemoryError:
        return {"fits": False}
    assert memory.allocated is not None
    assert memory.reserved is not None
    return {
        "fits": True,
        "tensors_gib": round(memory.allocated / 2**30, 2),
        "taken_gib": round(memory.reserved / 2**30, 2),
        "ms_per_window": round(1000 * rate.median, 1),
    }


def least(engine: Engine, size: tuple[int, int], taken: float) -> float:
    """GiB of the smallest allowance with which it still works."""
    total = torch.cuda.get_device_properties(0).total_memory
    allowed = int(taken * 2**30)
    while True:
        torch.cuda.set_per_process_memory_fraction((allowed - STEP) / total)
        fits = measured(engine, size)["fits"]
        torch.cuda.set_per_process_memory_fraction(1.0)
        if not fits:
            return allowed / 2**30
        allowed -= STEP


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--result", type=Path, required=True)
    options = parser.parse_args()
    engine = engine_for(random_model("cuda:0", torch.bfloat16), "random 1.3B", Config())
    rows: list[dict[str, Any]] = []

    def write() -> None:
        facts = {
            "gpu": torch.cuda.get_device_name(),
            "torch": torch.__version__,
            "weights_gib": round(weights / 2**30, 2),
            "sizes": rows,
        }
        options.result.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")

    clear()
    weights = torch.cuda.memory_allocated()
    for size in SIZES:
        row: dict[str, Any] = {"size": "{}x{}".format(*size)}
        rows.append(row)
        for thrift, words in ((PLENTY, "plenty"), *SAVINGS):
            row[words] = measured(replace(engine, thrift=thrift, records=False), size)
            print(size, words, row[words], flush=True)
            write()
        last = SAVINGS[-1]
        if row[last[1]]["fits"]:
            row["least_gib"] = least(replace(engine, thrift=last[0], records=False), size, row[last[1]]["taken_gib"])
            print(size, "least", row["least_gib"], flush=True)
            write()


if __name__ == "__main__":
    main()
