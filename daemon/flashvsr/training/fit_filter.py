"""Fit the enlargement filter of the starting weights: `python -m flashvsr.training.fit_filter VIDEO...`.

Prints `SHARPEN` and `TOP_LEFT` of `initial_decoder`: a 3x3 filter out of a few, and for it the 5x5 filter that makes
the top left pixel of each 2x2 cell with the least squared error. The other three pixels are its mirror images.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import av
import torch
import torch.nn.functional as F
from torch import Tensor

from flashvsr.training.data import enlarge, halve
from flashvsr.training.luma import LUMA

# (beside, diagonal) taps of the sharpening filters tried; the middle makes the sum 1. Multiples of 1/512.
SHARPENERS = ((0, 0), (-102, 15), (-169, 44), (-230, 77))
MIRRORS: tuple[tuple[int, ...], ...] = ((), (-1,), (-2,), (-1, -2))  # of the pixels in row order
MARGIN = 40  # pixels of the averaged picture left out at its edges: films have black borders
UNIT = 1024  # taps are rounded to multiples of 1/UNIT


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
                low = (enlarge(halve(picture, bicubic)) * share).sum(1, keepdim=True) / 255
                weight = (low - luma).square().mean().rsqrt()
                inside = slice(MARGIN, -MARGIN)
                pairs.append(
                    (
                        (F.avg_pool2d(low, 2) * weight)[..., inside, inside],
                        (F.pixel_unshuffle(luma, 2) * weight)[..., inside, inside],
                    )
                )
    return pairs


def fit(pairs: list[tuple[Tensor, Tensor]], sharpen: Tensor) -> tuple[float, Tensor]:
    """Squared error and taps (5, 5) of the best filter behind `sharpen` (3, 3), symmetric, with sum 1."""
    normal, right, total = torch.zeros(24, 24).double(), torch.zeros(24).double(), 0.0
    for low, pixels in pairs:
        for index, mirror in enumerate(MIRRORS):
            sharp = F.conv2d(low.flip(mirror), sharpen[None, None])
            window = F.unfold(sharp, 5)[0].double()
            middle = window[12:13]
            others = torch.cat([window[:12], window[13:]]) - middle
            wanted = pixels[:, index].flip(mirror)[0, 3:-3, 3:-3].flatten().double() - middle[0]
            normal += others @ others.T
            right += others @ wanted
            total += wanted.square().sum().item()
    taps = torch.linalg.solve(normal, right)
    kernel = torch.cat([taps[:12], (1 - taps.sum())[None], taps[12:]]).view(5, 5)
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
    results = []
    for beside, diagonal in SHARPENERS:
        sharpen = torch.full((3, 3), diagonal / 512)
        sharpen[1, :] = sharpen[:, 1] = beside / 512
        sharpen[1, 1] = 1 - 4 * (beside + diagonal) / 512
        error, kernel = fit(pairs, sharpen)
        print(f"beside {beside}/512, diagonal {diagonal}/512: squared error {error:.3f}", flush=True)
        results.append((error, sharpen, kernel))
    _, sharpen, kernel = min(results, key=lambda result: result[0])
    print("SHARPEN in 1/512:", (sharpen * 512).round().int().tolist())
    rounded = (kernel * UNIT).round()
    print(f"TOP_LEFT in 1/{UNIT}, rounded: sum {int(rounded.sum())}", rounded.int().tolist())


if __name__ == "__main__":
    main()
