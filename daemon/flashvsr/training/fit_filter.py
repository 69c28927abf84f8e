"""Fit the enlargement filter of `initial_decoder`: `python -m flashvsr.training.fit_filter VIDEO...`.

Prints `TOP_LEFT`, the 3x3 filter that makes the top left pixel of each 2x2 cell with the least squared error. The
other three pixels are its mirror images.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import av
import torch
import torch.nn.functional as F
from torch import Tensor

from flashvsr.bench.luma import LUMA
from flashvsr.training.data import enlarge, halve

MIRRORS: tuple[tuple[int, ...], ...] = ((), (-1,), (-2,), (-1, -2))  # of the pixels in row order
MARGIN = 40  # pixels of the averaged picture left out at its edges: films have black borders
UNIT = 128  # taps are rounded to multiples of 1/UNIT, which bfloat16 holds below 2


def read_pairs(video: Path, first: int, every: int, count: int) -> list[tuple[Tensor, Tensor]]:
    """(averaged input (1, 1, h, w), its four original pixels (1, 4, h, w)), scaled so that frames count alike."""
    share = torch.tensor(LUMA)[:, None, None]
    pairs = []
    with av.open(str(video)) as container:
        frames = itertools.islice(container.decode(video=0), first, first + every * count, every)
        for frame in frames:
            picture = torch.from_numpy(frame.to_ndarray(format="rgb24")).permute(2, 0, 1)[None].float()
            luma = (picture * share).sum(1, keepdim=True) / 255
            for bicubic in (False, True):
                low = (enlarge(halve(picture, bicubic), 2) * share).sum(1, keepdim=True) / 255
                weight = (low - luma).square().mean().rsqrt()
                inside = slice(MARGIN, -MARGIN)
                pairs.append(
                    (
                        (F.avg_pool2d(low, 2) * weight)[..., inside, inside],
                        (F.pixel_unshuffle(luma, 2) * weight)[..., inside, inside],
                    )
                )
    return pairs


def fit(pairs: list[tuple[Tensor, Tensor]]) -> tuple[float, Tensor]:
    """Squared error and taps (3, 3) of the best filter, symmetric, with sum 1."""
    normal, right, total = torch.zeros(8, 8).double(), torch.zeros(8).double(), 0.0
    for low, pixels in pairs:
        for index, mirror in enumerate(MIRRORS):
            window = F.unfold(low.flip(mirror), 3)[0].double()
            middle = window[4:5]
            others = torch.cat([window[:4], window[5:]]) - middle
            wanted = pixels[:, index].flip(mirror)[0, 1:-1, 1:-1].flatten().double() - middle[0]
            normal += others @ others.T
            right += others @ wanted
            total += wanted.square().sum().item()
    taps = torch.linalg.solve(normal, right)
    kernel = torch.cat([taps[:4], (1 - taps.sum())[None], taps[4:]]).view(3, 3)
    return total - (taps @ right).item(), (kernel + kernel.T) / 2


def main() -> None:
    """Command line of the fit."""
    parser = argparse.ArgumentParser(prog="python -m flashvsr.training.fit_filter", description=__doc__)
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--first", type=int, default=100, help="first frame looked at")
    parser.add_argument("--every", type=int, default=200, help="frames from one to the next")
    parser.add_argument("--count", type=int, default=15, help="frames per video")
    arguments = parser.parse_args()
    pairs = [
        pair
        for video in arguments.videos
        for pair in read_pairs(video, arguments.first, arguments.every, arguments.count)
    ]
    error, kernel = fit(pairs)
    rounded = (kernel * UNIT).round()
    print(f"squared error {error:.3f}, taps {kernel.tolist()}")
    print(f"TOP_LEFT in 1/{UNIT}, rounded: sum {int(rounded.sum())}", rounded.int().tolist())


if __name__ == "__main__":
    main()
