"""Weights folders: four files (the published VAE is not used), checked by keys and shapes before use.

Every width is read off the tensors' shapes, so a small model is the same code with smaller files. How the
files are opened, and why no code in them ever runs, is in `reading`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from flashvsr.errors import BadConfig
from flashvsr.kernels.shapes import HEAD_DIM
from flashvsr.model.decoder import DecoderParams
from flashvsr.model.dit import DitParams
from flashvsr.model.lq_projection import LqProjectionParams
from flashvsr.model.network import FlashVSR
from flashvsr.model.reading import (
    FORMATS,
    read_pickled_state,
    read_prompt,
    read_safetensors,
    read_safetensors_header,
)
from flashvsr.model.weight_files import DECODER_FILE, DIT_FILE, LQ_FILE, PROMPT_FILE, REQUIRED_FILES

PROBLEMS_SHOWN = 5

State = Mapping[str, Tensor]


@dataclass(frozen=True)
class Loaded:
    """A model and what was odd about its files (surplus tensors that are not used)."""

    model: FlashVSR
    notes: tuple[str, ...]


def load_model(folder: Path, device: torch.device | str, dtype: torch.dtype, prompt_file: Path | None = None) -> Loaded:
    """Load and check a weights folder.

    For a GPU, host memory never holds the transformer: its tensors go from the mapped file to the device one
    by one. The two smaller networks are in host memory while they are loaded.

    Args:
        folder: directory with the files named in `files`.
        device: where the model goes.
        dtype: number format of the model.
        prompt_file: the prompt's embedding, when it does not lie in the folder.

    Raises:
        BadConfig: a file is missing, damaged, foreign or does not fit the others; the message names the file,
            the key, the shape found and the shape expected.
    """
    files = locate(folder, prompt_file)
    return assemble(
        str(folder),
        dit=read_safetensors(files[DIT_FILE]),
        lq=read_pickled_state(files[LQ_FILE]),
        decoder=read_pickled_state(files[DECODER_FILE]),
        prompt=read_prompt(files[PROMPT_FILE]),
        device=device,
        dtype=dtype,
        prompt_file=prompt_file,
    )


def check_files(folder: Path, prompt_file: Path | None = None) -> tuple[str, ...]:
    """Check a weights folder as `load_model` does, without holding its tensors. Returns notes.

    Of the transformer only the header is read, which also says how long the file has to be.

    Raises:
        BadConfig: as `load_model`.
    """
    files = locate(folder, prompt_file)
    return assemble(
        str(folder),
        dit=read_safetensors_header(files[DIT_FILE]),
        lq=read_pickled_state(files[LQ_FILE], device="meta"),
        decoder=read_pickled_state(files[DECODER_FILE], device="meta"),
        prompt=read_prompt(files[PROMPT_FILE], device="meta"),
        device="meta",
        dtype=torch.float32,
        prompt_file=prompt_file,
    ).notes


def locate(folder: Path, prompt_file: Path | None = None) -> dict[str, Path]:
    """Paths of the required files.

    Raises:
        BadConfig: the folder or a file is not there; the message lists all that are missing.
    """
    files = {name: folder / name for name in REQUIRED_FILES}
    try:
        if prompt_file is not None:
            files[PROMPT_FILE] = prompt_file
            if not prompt_file.is_file():
                raise BadConfig(
                    f"{prompt_file}: there is no such prompt file; correct model.prompt, or leave it out to "
                    f"use {PROMPT_FILE} of the weights folder"
                )
        if not folder.is_dir():
            raise BadConfig(f"{folder}: there is no such weights folder; {_WHENCE}")
        missing = [name for name, path in files.items() if not path.is_file()]
    except OSError as error:
        raise BadConfig(f"{error.filename}: {error.strerror}; let the user of the service read the weights") from error
    if missing:
        raise BadConfig(f"{folder}: no file {', no file '.join(missing)}; {_WHENCE}")
    return files


_WHENCE = "copy the weights there, or get the official ones with `flashvsr weights fetch`"


def assemble(
    folder_name: str,
    dit: State,
    lq: State,
    decoder: State,
    prompt: Tensor,
    device: torch.device | str,
    dtype: torch.dtype,
    prompt_file: Path | None = None,
) -> Loaded:
    """Build a model from state dicts and check every key and shape.

    Raises:
        BadConfig: as `load_model`.
    """
    where = Path(folder_name)
    dit_params = infer_dit(dit, where / DIT_FILE)
    lq_params = infer_lq(lq, where / LQ_FILE)
    decoder_params = infer_decoder(decoder, where / DECODER_FILE)
    _check_fit(dit_params, lq_params, prompt, where, prompt_file or where / PROMPT_FILE)
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
    if dim == 0 or dim % HEAD_DIM:
        raise BadConfig(
            f"{file}: patch_embedding.weight has shape {_shape(state['patch_embedding.weight'])}, expected a "
            f"multiple of {HEAD_DIM} in front, the width of a head; {_REPLACE}"
        )
    return DitParams(
        dim=dim,
        ffn=_dimension(state, "blocks.0.ffn.0.weight", 0, 2, file),
        layers=_count(state, "blocks", file),
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
        outputs=_count(state, "linear_layers", file),
    )


def infer_decoder(state: State, file: Path) -> DecoderParams:
    """Read the decoder's channels off its tensors."""
    c8, c4, c2, c1 = (_dimension(state, f"decoder.{n}.weight", 0, 4, file) for n in (1, 10, 16, 22))
    return DecoderParams((c8, c4, c2, c1))


def _dimension(state: State, key: str, axis: int, ndim: int, file: Path) -> int:
    tensor = state.get(key)
    if tensor is None:
        raise BadConfig(f"{file}: {key} is missing; {_REPLACE}")
    if tensor.ndim != ndim:
        raise BadConfig(f"{file}: {key} has shape {_shape(tensor)}, expected {ndim} dimensions; {_REPLACE}")
    return tensor.shape[axis]


def _count(state: State, prefix: str, file: Path) -> int:
    """Layers called `prefix`.0, `prefix`.1 and so on. Gaps are reported here: a stray number may be huge."""
    numbers = {int(match[1]) for key in state if (match := re.match(rf"{prefix}\.(\d{{1,9}})\.", key))}
    gap = next((number for number in range(len(numbers)) if number not in numbers), None)
    if not numbers or gap is not None:
        raise BadConfig(f"{file}: {prefix}.{gap or 0} is missing; {_REPLACE}")
    return len(numbers)


def _check_fit(dit: DitParams, lq: LqProjectionParams, prompt: Tensor, where: Path, prompt_file: Path) -> None:
    """Check what the files say about each other."""
    if prompt.ndim != 3 or prompt.shape[0] != 1 or prompt.shape[1] == 0 or prompt.shape[2] != dit.text_dim:
        raise BadConfig(
            f"{prompt_file}: the prompt has shape {_shape(prompt)}, expected (1, n, {dit.text_dim}) to fit "
            f"text_embedding.0.weight of {DIT_FILE}; use files that belong together"
        )
    if prompt.dtype not in FORMATS.values():
        what = f"the prompt is in another number format, {_EXPECTED_FORMAT}"
        raise BadConfig(f"{prompt_file}: {what}; {_REPLACE}")
    if lq.dim != dit.dim:
        raise BadConfig(
            f"{where / LQ_FILE}: linear_layers.0.weight has shape ({lq.dim}, {lq.hidden[1]}), expected "
            f"({dit.dim}, {lq.hidden[1]}) to fit {DIT_FILE}; use files that belong together"
        )
    if lq.outputs > dit.layers:
        raise BadConfig(
            f"{where / LQ_FILE}: linear_layers has {lq.outputs} entries, expected at most {dit.layers}, as "
            f"many as {DIT_FILE} has layers; use files that belong together"
        )


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
    found = [_problem(key, state.get(key), tensor) for key, tensor in expected.items()]
    problems = [problem for problem in found if problem]
    surplus = sorted(set(state) - set(expected))
    if surplus_is_error:
        problems += [f"{key} {_shape(state[key])} does not belong to this model" for key in surplus]
    if problems:
        more = len(problems) - PROBLEMS_SHOWN
        shown = "; ".join(problems[:PROBLEMS_SHOWN]) + (f"; and {more} more" if more > 0 else "")
        raise BadConfig(f"{file}: {shown}; {_REPLACE}")
    # Copied even where nothing changes: a model must not live in a mapped file that somebody may replace.
    wanted = {key: state[key].to(device, dtype, copy=True) for key in expected}
    module.load_state_dict(wanted, strict=True, assign=True)
    return [f"{file.name}: {len(surplus)} tensors are not used, the first is {surplus[0]}"] if surplus else []


def _problem(key: str, found: Tensor | None, expected: Tensor) -> str | None:
    if found is None:
        return f"{key} is missing, expected {_shape(expected)}"
    if found.shape != expected.shape:
        return f"{key} has shape {_shape(found)}, expected {_shape(expected)}"
    if found.dtype not in FORMATS.values():
        return f"{key} is in another number format, {_EXPECTED_FORMAT}"
    return None


_EXPECTED_FORMAT = "expected floating point of 16, 32 or 64 bits"
_REPLACE = "this is another kind of file, or it is damaged: replace it"


def _shape(tensor: Tensor) -> tuple[int, ...]:
    return tuple(tensor.shape)
