"""The 1.3B shapes on a GPU: `python tests/measure/full_size.py [--size WxH] [--windows N] [--out FILE]`.

Measures the plain model with random weights, input and output frames on the device, in bfloat16, and compares its
frames with float32. Prints the numbers and writes them as JSON, with the card's name.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch
from torch import Tensor

from flashvsr.bench.random_model import random_model
from flashvsr.model.network import FlashVSR
from flashvsr.model.stages import plain_stages
from flashvsr.model.stream import Stream, StreamSpec

FRAMES_PER_WINDOW = 8


def frames_of(model: FlashVSR, width: int, height: int, windows: int) -> tuple[Tensor, list[float]]:
    """All frames, and the seconds of each window after the first."""
    generator = torch.Generator("cuda").manual_seed(1)
    still = torch.rand(3, height, width, generator=generator, device="cuda") * 2 - 1
    source = (still.roll((2 * i, i), (1, 2)) for i in range(17 + FRAMES_PER_WINDOW * windows))
    outputs: list[Tensor] = []
    seconds: list[float] = []
    before = 0.0
    with torch.inference_mode():
        for frames in Stream(plain_stages(model, StreamSpec(height, width))).run(source):
            torch.cuda.synchronize()
            now = time.perf_counter()
            if outputs and frames.shape[1] == FRAMES_PER_WINDOW:
                seconds.append(now - before)
            before = now
            outputs.append(frames.cpu())
    return torch.cat(outputs, dim=1), seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="1408x768")
    parser.add_argument("--windows", type=int, default=5)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    width, height = map(int, arguments.size.split("x"))
    torch.backends.cudnn.allow_tf32 = False

    model = random_model("cuda", torch.float32)
    exact, _ = frames_of(model, width, height, arguments.windows)
    model.to(torch.bfloat16)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    frames, seconds = frames_of(model, width, height, arguments.windows)
    psnr = -10 * torch.log10(((frames - exact) / 2).square().mean(dim=(0, 2, 3)))
    result = {
        "card": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "size": arguments.size,
        "seconds_per_8_frames": sorted(seconds)[len(seconds) // 2],
        "peak_gib": torch.cuda.max_memory_allocated() / 2**30,
        "psnr_bf16_against_float32": {"worst": psnr.min().item(), "first": psnr[0].item(), "last": psnr[-1].item()},
        "all_finite": bool(frames.isfinite().all()),
    }
    print(json.dumps(result, indent=2))
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
