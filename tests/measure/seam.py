"""How many frames of warm-up make the seam of a resumed job invisible: PSNR of each frame after it.

    python tests/measure/seam.py --result tests/bench/results/seam.json

The frames of an uninterrupted stream against those of one that starts some frames earlier, as a resumed job does.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import sys
from pathlib import Path
from typing import Any

import av
import torch
from torch import Tensor

TESTS = Path(__file__).resolve().parents[1]
SIDE = 128
RESUMED_AT = 240
FRAMES_AFTER = 17  # two windows and the beginning of a third
WARM_UPS = (16, 32, 40, 48, 56, 64, 80, 96, 128, 192)
# Of the architecture of the 1.3B weights, narrower; the reach into the past grows with the layers.
SHAPES = {layers: {"dim": 128, "ffn": 256, "layers": layers} for layers in (2, 8, 30)}
COMMON = {"text_dim": 16, "ctx": 4, "lq": [16, 24], "tc": [16, 12, 8, 8]}


def film(frames: int) -> Tensor:
    """(3, frames, 128, 128) in [-1, 1]: the middle of a real film, repeated."""
    pictures = []
    with av.open(str(TESTS / "data" / "validation" / "bbb_384x256.mkv")) as container:
        for frame in container.decode(video=0):
            pictures.append(torch.from_numpy(frame.to_ndarray(format="rgb24")[64 : 64 + SIDE, 128 : 128 + SIDE]))
    pictures += pictures[-2:0:-1]  # there and back again, so that it has no cut at its end
    pictures = [pictures[number % len(pictures)] for number in range(frames)]
    return torch.stack(pictures).permute(3, 0, 1, 2).float() / 127.5 - 1


def measure(model: Any, video: Tensor, warm_up: int, complete: Tensor, at: int) -> list[float]:
    """PSNR in dB of each frame from `at` on."""
    origin = max(0, at - warm_up) // FRAMES_PER_WINDOW
    resumed = upscale(model, video[:, origin * FRAMES_PER_WINDOW :], origin)[:, at - origin * FRAMES_PER_WINDOW :]
    errors = (resumed - complete[:, at:]).square().mean(dim=(0, 2, 3))
    return [round(10 * math.log10(4 / error), 1) if error else math.inf for error in errors.tolist()]


def upscale(model: Any, video: Tensor, origin: int = 0) -> Tensor:
    stream = Stream(plain_stages(model, StreamSpec(SIDE, SIDE, origin=origin)))
    with torch.inference_mode():
        return torch.cat(list(stream.run(video.unbind(1))), dim=1).clamp(-1, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--result", type=Path)
    options = parser.parse_args()
    video = film(RESUMED_AT + FRAMES_AFTER)
    models = {"nano": load_engine(Config(model=Model(weights="nano")), print).model}
    models |= {f"random, {layers} layers": formula_model(COMMON | shape) for layers, shape in SHAPES.items()}
    rows: dict[str, dict[str, list[float | str]]] = {}
    for name, model in models.items():
        complete = upscale(model, video)
        rows[name] = {}
        for warm_up in WARM_UPS:
            found = measure(model, video, warm_up, complete, RESUMED_AT)
            rows[name][str(warm_up)] = ["same" if math.isinf(value) else value for value in found]
            first = found[:8]
            print(
                f"{name:20} warm-up {warm_up:3}: first {found[0]}, least of 8 {min(first)}, least {min(found)}",
                flush=True,
            )
    facts = {
        "what": f"PSNR in dB of frames {RESUMED_AT} and on, resumed against uninterrupted, by warm-up frames",
        "picture": f"{SIDE}x{SIDE}, colours held as by default, float32 on a CPU",
        "torch": torch.__version__,
        "python": platform.python_version(),
        "psnr": rows,
    }
    if options.result is not None:
        options.result.write_text(json.dumps(facts) + "\n")


if __name__ == "__main__":
    sys.path[1:1] = [str(TESTS)]
    from flashvsr.model.stages import plain_stages
    from flashvsr.model.stream import Stream, StreamSpec
    from flashvsr.model.windows import FRAMES_PER_WINDOW
    from flashvsr.settings.config import Config
    from flashvsr.settings.processing_tables import Model
    from flashvsr.upscaling.engine import load_engine
    from kits.golden_cases import formula_model

    main()
