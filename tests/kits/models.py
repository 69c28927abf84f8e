"""The published 1.3B weights as names and shapes, written from the model's description; and small folders."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from flashvsr.errors import BadConfig
from flashvsr.model.loading import Loaded, check_files, load_model
from flashvsr.model.weight_files import DECODER_FILE, DIT_FILE, LQ_FILE, PROMPT_FILE
from kits.golden_cases import formula_model

# One head, two layers.
TINY: dict[str, Any] = {
    **{"dim": 128, "ffn": 64, "layers": 2, "text_dim": 16, "ctx": 4},
    **{"lq": [8, 12], "tc": [16, 12, 8, 8]},
}

Shapes = dict[str, tuple[int, ...]]
PROMPT_SHAPE = (1, 512, 4096)


def linear(name: str, inputs: int, outputs: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def dit_shapes(dim: int = 1536, ffn: int = 8960, layers: int = 30, text_dim: int = 4096) -> Shapes:
    shapes: Shapes = {"patch_embedding.weight": (dim, 16, 1, 2, 2), "patch_embedding.bias": (dim,)}
    shapes |= linear("text_embedding.0", text_dim, dim) | linear("text_embedding.2", dim, dim)
    shapes |= linear("time_embedding.0", 256, dim) | linear("time_embedding.2", dim, dim)
    shapes |= linear("time_projection.1", dim, 6 * dim)
    for i in range(layers):
        block = f"blocks.{i}"
        shapes[f"{block}.modulation"] = (1, 6, dim)
        for attention in ("self_attn", "cross_attn"):
            for name in "qkvo":
                shapes |= linear(f"{block}.{attention}.{name}", dim, dim)
            for name in ("norm_q", "norm_k"):
                shapes[f"{block}.{attention}.{name}.weight"] = (dim,)
        shapes |= {f"{block}.norm3.weight": (dim,), f"{block}.norm3.bias": (dim,)}
        shapes |= linear(f"{block}.ffn.0", dim, ffn) | linear(f"{block}.ffn.2", ffn, dim)
    shapes["head.modulation"] = (1, 2, dim)
    return shapes | linear("head.head", dim, 64)


def lq_shapes(first: int = 2048, second: int = 3072, dim: int = 1536) -> Shapes:
    return {
        "conv1.weight": (first, 768, 4, 3, 3),
        "conv1.bias": (first,),
        "norm1.gamma": (first, 1, 1, 1),
        "conv2.weight": (second, first, 4, 3, 3),
        "conv2.bias": (second,),
        "norm2.gamma": (second, 1, 1, 1),
        **linear("linear_layers.0", second, dim),
    }


def decoder_shapes(c8: int = 512, c4: int = 256, c2: int = 128, c1: int = 128) -> Shapes:
    shapes: Shapes = {
        "decoder.1.weight": (c8, 784, 3, 3),
        "decoder.1.bias": (c8,),
        "decoder.3.weight": (c8, c8, 3, 3),
        "decoder.9.conv.weight": (c8, c8, 1, 1),
        "decoder.10.weight": (c4, c8, 3, 3),
        "decoder.15.conv.weight": (2 * c4, c4, 1, 1),
        "decoder.16.weight": (c2, c4, 3, 3),
        "decoder.21.conv.weight": (2 * c2, c2, 1, 1),
        "decoder.22.weight": (c1, c2, 3, 3),
        "decoder.24.weight": (c1, c1, 3, 3),
        "decoder.26.weight": (3, c1, 3, 3),
        "decoder.26.bias": (3,),
    }
    for numbers, c in (((5, 6, 7), c8), ((11, 12, 13), c4), ((17, 18, 19), c2)):
        for n in numbers:
            for conv, inputs in ((0, 2 * c), (2, c), (4, c)):
                shapes |= {
                    f"decoder.{n}.conv.{conv}.weight": (c, inputs, 3, 3),
                    f"decoder.{n}.conv.{conv}.bias": (c,),
                }
    return shapes


def on_meta(shapes: Mapping[str, tuple[int, ...]], dtype: torch.dtype = torch.bfloat16) -> dict[str, Tensor]:
    return {key: torch.empty(shape, dtype=dtype, device="meta") for key, shape in shapes.items()}


def write_sparse_safetensors(file: Path, shapes: Shapes) -> int:
    """A safetensors file whose data is a hole: its full length costs no disk. Returns the length."""
    header, offset = {}, 0
    for key, shape in shapes.items():
        size = 4 * int(torch.Size(shape).numel())
        header[key] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # as usual; unaligned tensors would be copied
    with file.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        stream.truncate(8 + len(text) + offset)
    return 8 + len(text) + offset


def write_folder(folder: Path, case: Mapping[str, object], dtype: torch.dtype = torch.float32) -> Path:
    """A whole weights folder of a small model."""
    folder.mkdir(parents=True, exist_ok=True)
    model = formula_model(case, dtype=dtype)
    save_file({key: value.contiguous() for key, value in model.dit.state_dict().items()}, folder / DIT_FILE)
    torch.save(dict(model.lq_projection.state_dict()), folder / LQ_FILE)
    torch.save(dict(model.decoder.state_dict()), folder / DECODER_FILE)
    torch.save(model.prompt.clone(), folder / PROMPT_FILE)
    return folder


def load(folder: Path) -> Loaded:
    return load_model(folder, "cpu", torch.float32)


def refusal(folder: Path, *parts: str) -> str:
    """The message with which loading and checking refuse a folder; it holds all the parts, on one line."""
    messages = []
    for action in (load, check_files):
        with pytest.raises(BadConfig) as caught:
            action(folder)
        messages.append(str(caught.value))
    for message in messages:
        assert "\n" not in message
        assert [part for part in parts if part not in message] == [], message
    return messages[0]
