"""Inputs of the golden files, made from their formulas, and what our model computes from them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import pi, prod, sqrt
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from flashvsr.kernels.select_blocks import BlockLists, select_blocks
from flashvsr.model import attention
from flashvsr.model.blocks import BLOCK_SIDE, from_blocks
from flashvsr.model.color_correction import correct_color
from flashvsr.model.decoder import Decoder, DecoderParams
from flashvsr.model.dit import Dit, DitParams
from flashvsr.model.loading import assemble
from flashvsr.model.lq_projection import LqProjection, LqProjectionParams
from flashvsr.model.network import FlashVSR
from flashvsr.model.stages import PlainProject, plain_stages
from flashvsr.model.stream import Stream, StreamOptions, StreamSpec
from flashvsr.model.windows import window
from kits.windows import window_count


def uniform(name: str, shape: tuple[int, ...]) -> Tensor:
    """u(name, shape) of the golden formula: float64 in [0, 1). PyTorch's sine takes a third of what NumPy's does."""
    phase = 78.233 * (crc32(name.encode("ascii")) % 1000)
    values = torch.arange(prod(shape), dtype=torch.float64).mul_(12.9898).add_(phase).sin_().mul_(43758.5453)
    return values.sub_(values.floor()).view(shape)


def weight(prefix: str, key: str, shape: tuple[int, ...]) -> Tensor:
    u = uniform(prefix + key, shape)
    if len(shape) == 1 or key.endswith("gamma"):
        values = (1.0 if key.endswith(("weight", "gamma")) else 0.0) + 0.2 * (u - 0.5)
    elif "modulation" in key:
        values = u - 0.5
    else:
        values = (u - 0.5) * 2 * sqrt(3 / prod(shape[1:]))
    return values.float()


def noise(index: int, shape: tuple[int, ...]) -> Tensor:
    a, b = uniform(f"noise.{index}.a", (1, *shape)), uniform(f"noise.{index}.b", (1, *shape))
    values = torch.sqrt(-2 * torch.log(1 - a + 1e-12)) * torch.cos(2 * pi * b)
    return values[0].float()


def lq_video(frames: int, height: int, width: int) -> Tensor:
    t, y, x = (
        torch.arange(length, dtype=torch.float64).view([-1 if axis == place else 1 for axis in range(3)])
        for place, length in enumerate((frames, height, width))
    )
    waves = (
        torch.sin(0.031 * x + 0.017 * y + 0.21 * t),
        torch.cos(0.023 * x - 0.029 * y + 0.13 * t),
        torch.sin(0.041 * x * torch.cos(0.1 * t) + 0.011 * y),
    )
    video = uniform("lq", (3, frames, height, width)).sub_(0.5).mul_(0.3)
    for channel, wave in zip(video, waves, strict=True):
        channel.add_(wave, alpha=0.6)
    return video.clamp_(-1, 1).float()


def formula_model(case: Mapping[str, Any], device: str = "cpu", dtype: torch.dtype = torch.float32) -> FlashVSR:
    """The model of a case, its weights made from the formula and loaded by the project's own checks."""
    prompt_shape = (1, int(case["ctx"]), int(case["text_dim"]))
    prompt = (uniform("prompt", prompt_shape) - 0.5).float()
    with torch.device("meta"):
        dit = Dit(DitParams(case["dim"], case["ffn"], case["layers"], case["text_dim"]))
        lq = LqProjection(LqProjectionParams(tuple(case["lq"]), case["dim"]))
        decoder = Decoder(DecoderParams(tuple(case["tc"])))
    dit_state, lq_state, decoder_state = (
        {key: weight(prefix, key, tuple(t.shape)) for key, t in module.state_dict().items()}
        for prefix, module in (("dit.", dit), ("lq.", lq), ("tc.", decoder))
    )
    return assemble("formula", dit_state, lq_state, decoder_state, prompt, device, dtype).model


def compute(case: Mapping[str, Any], device: str = "cpu") -> dict[str, Tensor]:
    """All tensors of a golden file, from our model in float32."""
    height, width, frames = int(case["height"]), int(case["width"]), int(case["lq_frames"])
    model = formula_model(case, device)
    options = StreamOptions(
        local_range=case["local_range"],
        color_fix=case["color_fix"],
        kv_ratio=int(case["kv_ratio"]),
    )
    spec = StreamSpec(height, width, options)
    stages = plain_stages(model, spec)
    # The files give the top-k ratio itself; through sparse_ratio it could come out one block off.
    budget = int((height // 128 * (width // 128)) ** 2 * case["topk_ratio"])
    layers: Any = stages.layers[0]
    layers.sparsity = replace(layers.sparsity, budget=budget)
    project = KeepingProject(model)
    stream = Stream(replace(stages, project=project))
    video = lq_video(frames, height, width).to(device)
    latents, outputs = [], []
    with torch.no_grad(), MaskRecorder() as recorder:
        for index in range(window_count(frames)):
            step = window(index)
            recorder.window = index
            clean = stream.denoise(step, video[:, slice(*step.lq)], noise(index, spec.noise_shape(step)))
            latents.append(clean)
            outputs.append(stream.decode(clean, video[:, slice(*step.output)]))
    output = torch.cat(outputs, dim=1).cpu()
    grid = (height // 128, width // 128)
    tokens = torch.cat([_frame_order(t[0].cpu(), grid) for t in project.tokens])
    return {
        "latents": torch.cat(latents, dim=1).transpose(0, 1).cpu(),
        "frames_sub": output[:, ::3, ::4, ::4],
        "frame_mean": output.mean(dim=(-2, -1)),
        "frame_std": output.std(dim=(-2, -1)),
        "lq_tokens_sub": tokens[::7],
        **{f"mask_layer0_window{i}": mask.cpu().to(torch.uint8) for i, mask in recorder.masks.items()},
    }


def _frame_order(tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    """Tokens in block order -> (frame, row, column) order, as the golden files list them."""
    return from_blocks(tokens, grid[0] * BLOCK_SIDE, grid[1] * BLOCK_SIDE).flatten(0, 2)


class KeepingProject(PlainProject):
    """The first stage, which keeps the tokens that it makes."""

    def __init__(self, model: FlashVSR) -> None:
        super().__init__(model)
        self.tokens: list[list[Tensor]] = []

    def __call__(self, frames: Tensor) -> list[Tensor]:
        self.tokens.append(super().__call__(frames))
        return self.tokens[-1]


class MaskRecorder:
    """Keeps what `select_blocks` chose in layer 0 of each window."""

    def __enter__(self) -> MaskRecorder:
        self.window = 0
        self.masks: dict[int, Tensor] = {}
        self._patch = pytest.MonkeyPatch()

        def select(q_means: Tensor, k_means: Tensor, slots: Tensor, allowed: Tensor, budget: int) -> BlockLists:
            chosen = select_blocks(q_means, k_means, slots, allowed, budget)
            columns = slots[:, None] * len(allowed) + torch.arange(len(allowed), device=slots.device)
            self.masks.setdefault(self.window, chosen.mask(len(k_means))[..., columns.flatten()])
            return chosen

        self._patch.setattr(attention, "select_blocks", select)
        return self

    def __exit__(self, *_: object) -> None:
        self._patch.undo()


@dataclass(frozen=True)
class Comparison:
    """One tensor held against its golden value; `error` is relative (masks: share of differing blocks)."""

    name: str
    error: float
    limit: float

    @property
    def ok(self) -> bool:
        return self.error <= self.limit


def compare(file: Path, device: str = "cpu") -> list[Comparison]:
    """Compare the model with one golden file, tensor by tensor."""
    with safe_open(file, "pt") as stored:
        case = json.loads(stored.metadata()["case"])
        golden = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118
    ours = compute_color(tuple(case["shape"])) if "shape" in case else compute(case, device)
    return [_compare(name, expected, ours[name]) for name, expected in sorted(golden.items())]


def compute_color(shape: tuple[int, ...]) -> dict[str, Tensor]:
    frames = (2.4 * uniform("color.frames", shape) - 1.2).float()
    condition = (1.6 * uniform("color.condition", shape) - 0.9).float()
    return {method: correct_color(frames, condition, method) for method in ("adain", "wavelet")}


def _compare(name: str, expected: Tensor, ours: Tensor) -> Comparison:
    if expected.shape != ours.shape:
        return Comparison(name, float("inf"), 0.0)
    if name.startswith("mask"):
        return Comparison(name, (expected != ours).double().mean().item(), 1e-3)
    error = (expected.double() - ours.double()).abs().max() / expected.double().std()
    return Comparison(name, error.nan_to_num(float("inf")).item(), 1e-4)
