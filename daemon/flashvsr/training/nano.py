"""Make the embedded nano model: `python -m flashvsr.training.nano --out FOLDER [--steps N DATA...]`.

Without steps it writes the starting weights, a decoder laid by hand around a filter fitted to training footage
(`initial_decoder`, `fit_filter`). These are the shipped ones, because training has not yet improved on them. With
steps it trains on from there: halved clips are enlarged again and restored, several side by side as one picture, by
the very stages that the service runs. What was tried, and what it gave, is in LOG.md beside this file.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import torch
from einops import rearrange
from safetensors.torch import save_file
from torch import Tensor

from flashvsr.model.decoder import DecoderParams
from flashvsr.model.dit import DitParams
from flashvsr.model.files import DECODER_FILE, DIT_FILE, LQ_FILE, PROMPT_FILE
from flashvsr.model.lq_projection import LqProjectionParams
from flashvsr.model.network import FlashVSR
from flashvsr.training.data import ClipSampler, Footage, enlarge, halve
from flashvsr.training.initialise import initialise
from flashvsr.training.loop import Plan, train

DIT = DitParams(dim=128, ffn=256, layers=1, text_dim=32, freq_dim=256)
LQ = LqProjectionParams(hidden=(4, 8), dim=128)
DECODER = DecoderParams(channels=(104, 104, 32, 16))
PROMPT_SHAPE = (1, 4, 32)


@dataclass(frozen=True)
class Material:
    """What a training picture is made of: rows x columns clips of `tile` pixels and `frames` frames."""

    tile: int = 256
    grid: tuple[int, int] = (2, 2)
    frames: int = 33
    photo_share: float = 0.4


class MosaicSampler:
    """Pictures of rows x columns independent clips: one forward pass trains on many."""

    def __init__(self, footage: Footage, material: Material, seed: int) -> None:
        self.clips = ClipSampler(footage, material.tile, material.frames, material.photo_share, seed)
        self.grid = material.grid

    def draw(self) -> tuple[Tensor, Tensor]:
        """(degraded, original), each (3, frames, H, W) in [-1, 1]."""
        rows, columns = self.grid
        originals = [self.clips.clip() for _ in range(rows * columns)]
        degraded = [enlarge(halve(clip, bool(self.clips.random.random() < 0.5))) for clip in originals]
        return self._join(degraded), self._join(originals)

    def _join(self, clips: list[Tensor]) -> Tensor:
        joined = rearrange(torch.stack(clips), "(r q) f c h w -> c f (r h) (q w)", r=self.grid[0])
        return joined / 127.5 - 1


def build(seed: int, device: torch.device) -> FlashVSR:
    """A new model with its starting weights."""
    torch.manual_seed(seed)
    model = FlashVSR(DIT, LQ, DECODER, torch.randn(PROMPT_SHAPE))
    initialise(model)
    with torch.no_grad():
        for parameter in model.parameters():  # most will stay as they are: let training see what will be saved
            parameter.copy_(parameter.to(torch.bfloat16))
    return model.to(device)


def save(model: FlashVSR, folder: Path) -> None:
    """Write the model as a weights folder in bfloat16."""
    folder.mkdir(parents=True, exist_ok=True)

    def state(module: torch.nn.Module) -> dict[str, Tensor]:
        return {key: value.detach().cpu().to(torch.bfloat16).contiguous() for key, value in module.state_dict().items()}

    save_file(state(model.dit), folder / DIT_FILE)
    torch.save(state(model.lq_projection), folder / LQ_FILE)
    torch.save(state(model.decoder), folder / DECODER_FILE)
    torch.save(model.prompt.detach().cpu().to(torch.bfloat16), folder / PROMPT_FILE)
    (folder / DIT_FILE).chmod(0o644)  # safetensors makes it private


def main() -> None:
    """Command line of the training."""
    parser = argparse.ArgumentParser(prog="python -m flashvsr.training.nano", description=__doc__)
    parser.add_argument("data", nargs="*", type=Path, help="folders with videos and photos, or such files")
    parser.add_argument("--out", required=True, type=Path, help="weights folder to write")
    parser.add_argument("--minutes", type=float, help="stop after this time instead of a number of steps")
    parser.add_argument(
        "--steps", type=int, default=0, help=f"0: the starting weights; {Plan.steps} take 3 minutes on an H100"
    )
    parser.add_argument("--rate", type=float, default=Plan.rate, help="peak step")
    parser.add_argument("--flat-share", type=float, default=Plan.flat_share)
    parser.add_argument("--seed", type=int, default=Plan.seed)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--frames-per-video", type=int, default=1920)
    parser.add_argument("--tile", type=int, default=Material.tile)
    parser.add_argument("--grid", type=int, nargs=2, default=Material.grid, metavar=("ROWS", "COLUMNS"))
    parser.add_argument("--photo-share", type=float, default=Material.photo_share)
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    torch.backends.cudnn.benchmark = True

    model = build(arguments.seed, device)
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters", flush=True)
    if not arguments.steps and arguments.minutes is None:
        save(model, arguments.out)
        return
    if not arguments.data:
        parser.error("training needs data: name folders with videos and photos")
    rows, columns = arguments.grid
    material = Material(arguments.tile, (rows, columns), photo_share=arguments.photo_share)
    plan = Plan(arguments.steps, arguments.minutes, arguments.rate, arguments.flat_share, seed=arguments.seed)
    footage = Footage.read(arguments.data, device, arguments.frames_per_video)
    print(f"{len(footage.videos)} videos, {len(footage.photos)} photos", flush=True)
    sampler = MosaicSampler(footage, material, plan.seed)
    save(train(model, sampler, plan), arguments.out)


if __name__ == "__main__":
    main()
