"""Make the embedded nano model: `python -m flashvsr.training.nano --out FOLDER DATA...`.

A decoder laid by hand enlarges linearly (`initial_decoder`); what that leaves out is learned from footage, first at
half size and then, on top of it, at quarter size (`correction`, `cascade`, `loop`), and laid into it. On one H200
that took about eleven minutes and 74 GB of its memory. What was tried, what it gave, and how far a seed gives
the same weights again, is in LOG.md beside this file.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from flashvsr.model.decoder import DecoderParams
from flashvsr.model.dit import DitParams
from flashvsr.model.loading import load_model
from flashvsr.model.lq_projection import LqProjectionParams
from flashvsr.model.network import FlashVSR
from flashvsr.model.weight_files import DECODER_FILE, DIT_FILE, LQ_FILE, PROMPT_FILE
from flashvsr.training.cascade import Cascade, CascadeParams
from flashvsr.training.correction import CorrectionParams
from flashvsr.training.data import Footage, Proportions
from flashvsr.training.degrade import Degradation
from flashvsr.training.initialise import initialise
from flashvsr.training.lay_corrections import fix_half, lay_corrections
from flashvsr.training.optimise import Schedule, train

DIT = DitParams(dim=128, ffn=64, layers=1, text_dim=32, freq_dim=256)
LQ = LqProjectionParams(hidden=(2, 4), dim=128)
DECODER = DecoderParams(channels=(101, 101, 48, 16))
# As wide as the decoder has room for.
CASCADE = CascadeParams(
    at_quarter=CorrectionParams(lumas=4, early=(17, 13), features=18, late=(25, 25)),
    at_half=CorrectionParams(lumas=1, early=(24, 24), features=14, late=(15, 15)),
)
PROMPT_SHAPE = (1, 4, 32)

# At half size, clips with grain gained nothing: see LOG.md.
AT_HALF = Schedule(
    steps=15000,
    clips=16,
    frames=5,
    halves=1.0,
    shares=Proportions(grainy=0.0),
    grain_share=0.0,
    degradation=Degradation(four=0.2),
)
AT_QUARTER = Schedule(steps=4500, clips=12, frames=3, halves=0.1, degradation=Degradation(four=0.5))


def learn(footage: Footage, plans: tuple[Schedule, Schedule], half_of: Path | None, device: torch.device) -> Cascade:
    """Learn both corrections from random weights, by the plans for half and for quarter size.

    `half_of`: a weights folder whose correction at half size is taken as it is; the first plan is then left alone.
    """
    at_half, at_quarter = plans
    torch.manual_seed(at_half.seed)
    cascade = Cascade(CASCADE)
    if half_of is not None:
        fix_half(cascade, load_model(half_of, "cpu", torch.float32).model.decoder)
    else:
        # Beside one that learns as well, the correction at quarter size switches itself off: see LOG.md.
        cascade.at_quarter.requires_grad_(False)
        cascade = train(cascade, footage, at_half, device)
        cascade.at_half.fix()
        cascade.at_quarter.requires_grad_(True)
    return train(cascade, footage, at_quarter, device)


def build(seed: int, cascade: Cascade | None) -> FlashVSR:
    """The model, in float32 on the CPU; without corrections it enlarges linearly."""
    torch.manual_seed(seed)
    model = FlashVSR(DIT, LQ, DECODER, torch.randn(PROMPT_SHAPE))
    initialise(model)
    if cascade is not None:
        lay_corrections(cascade.cpu(), model.decoder)
    return model


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
    parser.add_argument("--half-of", type=Path, help="weights folder whose correction at half size is kept as it is")
    parser.add_argument("--steps", type=int, help="steps of either training instead of thousands; 0: learn nothing")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--frames-per-video", type=int, default=960)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    if arguments.steps != 0 and not arguments.data:
        parser.error("training needs data: name folders with videos and photos")
    # The same weights from the same seed.
    torch.backends.cudnn.deterministic = True

    cascade = None
    if arguments.steps != 0:
        footage = Footage.read(arguments.data, torch.device(arguments.device), arguments.frames_per_video)
        print(f"{len(footage.videos)} videos, {len(footage.photos)} photos", flush=True)
        at_half, at_quarter = (
            replace(plan, seed=arguments.seed, steps=arguments.steps or plan.steps) for plan in (AT_HALF, AT_QUARTER)
        )
        cascade = learn(footage, (at_half, at_quarter), arguments.half_of, torch.device(arguments.device))
    save(build(arguments.seed, cascade), arguments.out)


if __name__ == "__main__":
    main()
