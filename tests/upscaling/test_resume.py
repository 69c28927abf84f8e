"""The seam of a resumed job: with the frames of warm-up that jobs get it cannot be seen, with few it can."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from flashvsr.model.stages import plain_stages
from flashvsr.model.stream import Stream, StreamSpec
from flashvsr.model.windows import FRAMES_PER_WINDOW
from flashvsr.upscaling.plan import WARM_UP_FRAMES
from kits.golden_cases import formula_model, lq_video
from kits.models import TINY

SIDE = 128
RESUMED_AT = WARM_UP_FRAMES + FRAMES_PER_WINDOW + 3  # in the middle of a window, as after a stop


@pytest.fixture(scope="module")
def upscaled() -> dict[int, Tensor]:
    """The frames from RESUMED_AT on, by warm-up; 0 is without an interruption."""
    model = formula_model(TINY)
    video = lq_video(RESUMED_AT + 12, SIDE, SIDE)
    found = {}
    for warm_up in (0, WARM_UP_FRAMES, 16):
        origin = (RESUMED_AT - warm_up) // FRAMES_PER_WINDOW if warm_up else 0
        first = origin * FRAMES_PER_WINDOW
        with torch.inference_mode():
            stream = Stream(plain_stages(model, StreamSpec(SIDE, SIDE, origin=origin)))
            frames = torch.cat(list(stream.run(video[:, first:].unbind(1))), dim=1)
        found[warm_up] = frames[:, RESUMED_AT - first :].clamp(-1, 1)
    return found


def least_psnr(frames: Tensor, others: Tensor) -> float:
    """Of the worst frame, in dB; the range is 2."""
    assert frames.shape == others.shape
    worst = (frames - others).square().mean(dim=(0, 2, 3)).max()
    return float(10 * torch.log10(4 / worst.clamp_min(1e-20)))


@pytest.mark.slow
def test_the_seam_is_invisible(upscaled: dict[int, Tensor]) -> None:
    assert least_psnr(upscaled[WARM_UP_FRAMES], upscaled[0]) > 60


@pytest.mark.slow
def test_it_is_the_warm_up_that_hides_it(upscaled: dict[int, Tensor]) -> None:
    assert least_psnr(upscaled[16], upscaled[0]) < 40
