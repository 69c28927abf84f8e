"""What the model is compared with: ways to enlarge a single picture, each behind one call."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from typing import Any

import numpy as np
import torch
from av.video.frame import VideoFrame
from torch import Tensor

from flashvsr.errors import FlashVSRError
from flashvsr.model.resize import enlarge

Enlarger = Callable[[Tensor, int], Tensor]  # (3, h, w) uint8, factor -> (3, h * factor, w * factor) uint8

PYANIME4K = "pyanime4k"
PYANIME4K_MODEL = "arnet-hdn"  # of the models in pyanime4k 3.1.0 the one with the highest PSNR on real footage


def bicubic(low: Tensor, factor: int) -> Tensor:
    """The product's own bicubic filter, rounded to 8 bits once; the model is given the same, not rounded."""
    height, width = low.shape[1:]
    return enlarge(low, (width * factor, height * factor)).round_().to(torch.uint8)


def lanczos(low: Tensor, factor: int) -> Tensor:
    """FFmpeg's Lanczos filter, three lobes."""
    height, width = low.shape[1:]
    planes = []
    for plane in low.cpu().numpy():  # one by one as grey: of RGB, FFmpeg's scaler would make YUV and RGB again
        grey = VideoFrame.from_ndarray(np.ascontiguousarray(plane), format="gray")
        scaled = grey.reformat(width * factor, height * factor, interpolation="LANCZOS").to_ndarray()
        planes.append(torch.from_numpy(np.ascontiguousarray(scaled)))
    return torch.stack(planes).to(low.device)


def against(wanted: str) -> tuple[str, Enlarger]:
    """An upscaler that is no part of this package, by name: "pyanime4k", or "pyanime4k:MODEL". Returns its full name.

    Raises:
        FlashVSRError: it is not installed, or not known.
    """
    package, _, model = wanted.partition(":")
    if package != PYANIME4K:
        raise FlashVSRError(f"--against {wanted}: only {PYANIME4K} or {PYANIME4K}:MODEL can be compared with")
    try:
        import pyanime4k
    except ImportError as error:
        raise FlashVSRError(
            f"--against {wanted} needs the package {PYANIME4K}, which is not installed here ({error}); "
            f"install it with: pip install {PYANIME4K}"
        ) from error
    models = pyanime4k.pyac.specs.ModelNameList
    model = model or PYANIME4K_MODEL
    if model not in models:
        raise FlashVSRError(f"--against {wanted}: {PYANIME4K} has no such model; it has {', '.join(models)}")
    # An unknown model or processor is no error there: it silently takes another one.
    processor = pyanime4k.Processor("cpu", 0, model)
    if not processor.ok():
        raise FlashVSRError(f"{PYANIME4K} cannot use its model {model} on the CPU: {processor.error()}")
    return f"{PYANIME4K} {metadata.version(PYANIME4K)} {model}", _by_pixels(processor)


def _by_pixels(processor: Any) -> Enlarger:
    def run(low: Tensor, factor: int) -> Tensor:
        pixels = np.ascontiguousarray(low.permute(1, 2, 0).cpu().numpy())  # (h, w, 3)
        larger = processor(pixels, float(factor))
        return torch.from_numpy(np.ascontiguousarray(larger)).permute(2, 0, 1).to(low.device)

    return run
