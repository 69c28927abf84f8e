"""Weights folders: five files (the VAE may be absent), checked by keys and shapes before use.

Every width is read off the tensors' shapes, so a small model is the same code with smaller files. Pickles are
opened with `weights_only=True`: code in them is refused, never run.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from flashvsr.errors import BadConfig
from flashvsr.model.decoder import DecoderParams
from flashvsr.model.dit import DitParams
from flashvsr.model.lq_projection import LqProjectionParams
from flashvsr.model.network import FlashVSR
from flashvsr.model.rope import HEAD_DIM

DIT_FILE = "diffusion_pytorch_model_streaming_dmd.safetensors"
LQ_FILE = "LQ_proj_in.ckpt"
DECODER_FILE = "TCDecoder.ckpt"
PROMPT_FILE = "posi_prompt.pth"
VAE_FILE = "Wan2.1_VAE.pth"  # part of the distribution, not used by Tiny Long
REQUIRED_FILES = (DIT_FILE, LQ_FILE, DECODER_FILE, PROMPT_FILE)

State = Mapping[str, Tensor]


@dataclass(frozen=True)
class Loaded:
    """A model and what was odd about its files (surplus tensors that are not used)."""

    model: FlashVSR
    notes: tuple[str, ...]


def load_model(
    folder: Path, device: torch.device | str, dtype: torch.dtype, prompt_file: Path | None = None
) -> Loaded:
    """Load and check a weights folder.

    Args:
        folder: directory with the files named above.
        device: where the model goes.
        dtype: number format of the model.
        prompt_file: the prompt's embedding, when it does not lie in the folder.

    Raises:
        BadConfig: a file is missing, damaged, foreign or does not fit the others; the message names the file,
            the key, the shape found and the shape expected.
    """
    files = locate(folder, prompt_file)
    return assemble(
        folder_name=str(folder),
        dit=_read_safetensors(files[DIT_FILE]),
        lq=_read_pickled_state(files[LQ_FILE]),
        decoder=_read_pickled_state(files[DECODER_FILE]),
        prompt=_read_prompt(files[PROMPT_FILE]),
        device=device,
        dtype=dtype,
    )


def locate(folder: Path, prompt_file: Path | None = None) -> dict[str, Path]:
    """Paths of the required files.

    Raises:
        BadConfig: the folder or a file is not there; the message lists all that are missing.
    """
    if not folder.is_dir():
        raise BadConfig(f"{folder}: the weights folder does not exist; run `flashvsr weights fetch`")
    files = {name: folder / name for name in REQUIRED_FILES}
    if prompt_file is not None:
        files[PROMPT_FILE] = prompt_file
    missing = [str(path) for path in files.values() if not path.is_file()]
    if missing:
        raise BadConfig(f"missing from the weights: {', '.join(missing)}; run `flashvsr weights fetch`")
    return files


def assemble(
    folder_name: str,
    dit: State,
    lq: State,
    decoder: State,
    prompt: Tensor,
    device: torch.device | str,
    dtype: torch.dtype,
) -> Loaded:
    """Build a model from state dicts and check every key and shape.

    Raises:
        BadConfig: as `load_model`.
    """
    where = Path(folder_name)
    dit_params = infer_dit(dit, where / DIT_FILE)
    lq_params = infer_lq(lq, where / LQ_FILE)
    decoder_params = infer_decoder(decoder, where / DECODER_FILE)
    if prompt.ndim != 3 or prompt.shape[0] != 1 or prompt.shape[2] != dit_params.text_dim:
        raise BadConfig(
            f"{where / PROMPT_FILE}: the prompt has shape {_shape(prompt)}, "
            f"expected (1, ctx, {dit_params.text_dim}) to fit {DIT_FILE}"
        )
    with torch.device("meta"):
        model = FlashVSR(dit_params, lq_params, decoder_params, prompt.to("meta"))
    notes = [
        *_fill(model.dit, dit, where / DIT_FILE, device, dtype, surplus_is_error=True),
        *_fill(model.lq_projection, lq, where / LQ_FILE, device, dtype),
        *_fill(model.decoder, decoder, where / DECODER_FILE, device, dtype),
    ]
    model.prompt = prompt.to(device, dtype)
    return Loaded(model.eval().requires_grad_(False), tuple(notes))


def infer_dit(state: State, file: Path) -> DitParams:
    """Read the transformer's widths off its tensors."""
    dim = _dimension(state, "patch_embedding.weight", 0, 5, file)
    if dim % HEAD_DIM:
        raise BadConfig(f"{file}: patch_embedding.weight makes {dim} channels, not a multiple of {HEAD_DIM}")
    return DitParams(
        dim=dim,
        ffn=_dimension(state, "blocks.0.ffn.0.weight", 0, 2, file),
        layers=_count(state, r"blocks\.(\d+)\.", file),
        text_dim=_dimension(state, "text_embedding.0.weight", 1, 2, file),
        freq_dim=_dimension(state, "time_embedding.0.weight", 1, 2, file),
    )


def infer_lq(state: State, file: Path) -> LqProjectionParams:
    """Read the LQ projection's widths off its tensors."""
    return LqProjectionParams(
        hidden=(
            _dimension(state, "conv1.weight", 0, 5, file),
            _dimension(state, "conv2.weight", 0, 5, file),
        ),
        dim=_dimension(state, "linear_layers.0.weight", 0, 2, file),
        outputs=_count(state, r"linear_layers\.(\d+)\.", file),
    )


def infer_decoder(state: State, file: Path) -> DecoderParams:
    """Read the decoder's channels off its tensors."""
    c8, c4, c2, c1 = (_dimension(state, f"decoder.{n}.weight", 0, 4, file) for n in (1, 10, 16, 22))
    return DecoderParams((c8, c4, c2, c1))


def _dimension(state: State, key: str, axis: int, ndim: int, file: Path) -> int:
    tensor = state.get(key)
    if tensor is None:
        raise BadConfig(f"{file}: the tensor {key} is missing; this is not the expected file, or it is damaged")
    if tensor.ndim != ndim:
        raise BadConfig(f"{file}: {key} has shape {_shape(tensor)}, expected {ndim} dimensions")
    return tensor.shape[axis]


def _count(state: State, pattern: str, file: Path) -> int:
    numbers = {int(match[1]) for key in state if (match := re.match(pattern, key))}
    if not numbers:
        raise BadConfig(f"{file}: no tensor matches {pattern}; this is not the expected file")
    return max(numbers) + 1


def _fill(
    module: nn.Module,
    state: State,
    file: Path,
    device: torch.device | str,
    dtype: torch.dtype,
    *,
    surplus_is_error: bool = False,
) -> list[str]:
    """Put the tensors into a module made on the meta device. Returns notes on surplus tensors."""
    expected = module.state_dict()
    problems = [f"{key} is missing, expected {_shape(tensor)}" for key, tensor in expected.items() if key not in state]
    problems += [
        f"{key} has shape {_shape(state[key])}, expected {_shape(tensor)}"
        for key, tensor in expected.items()
        if key in state and state[key].shape != tensor.shape
    ]
    surplus = sorted(set(state) - set(expected))
    if surplus and surplus_is_error:
        problems += [f"{key} {_shape(state[key])} does not belong to this model" for key in surplus]
    if problems:
        shown = "; ".join(problems[:5]) + (f"; and {len(problems) - 5} more" if len(problems) > 5 else "")
        raise BadConfig(f"{file}: {shown}")
    wanted = {key: state[key].to(device, dtype) for key in expected}
    module.load_state_dict(wanted, strict=True, assign=True)
    return [f"{file.name}: {len(surplus)} tensors are not used, the first is {surplus[0]}"] if surplus else []


def _read_safetensors(file: Path) -> State:
    try:
        return load_file(file)
    except (SafetensorError, OSError, ValueError) as error:
        raise BadConfig(f"{file}: not a complete safetensors file ({error}); fetch it again") from error


def _read_pickle(file: Path) -> object:
    with file.open("rb") as stream:
        if stream.read(64).lstrip()[:1] == b"<":
            raise BadConfig(f"{file}: this is a web page, not weights; fetch it again")
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise BadConfig(
            f"{file}: refused: not a plain file of tensors, it is damaged or would run code; fetch it again"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise BadConfig(f"{file}: cannot be read ({error}); it is damaged, fetch it again") from error


def _read_pickled_state(file: Path) -> State:
    loaded = _read_pickle(file)
    if not isinstance(loaded, dict) or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise BadConfig(f"{file}: expected a dictionary of tensors, found {type(loaded).__name__}")
    return loaded


def _read_prompt(file: Path) -> Tensor:
    loaded = _read_pickle(file)
    if not isinstance(loaded, Tensor):
        raise BadConfig(f"{file}: expected one tensor, found {type(loaded).__name__}")
    return loaded


def _shape(tensor: Tensor) -> tuple[int, ...]:
    return tuple(tensor.shape)
