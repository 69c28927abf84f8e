"""Reading tensors from files that may be anything: cut short, a web page, or a pickle made to run code."""

from __future__ import annotations

import errno
import os
import pickle
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from flashvsr.errors import BadConfig

# Number formats of weights, by their names in safetensors files. Eight-bit ones would need scales.
FORMATS = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
OTHER_FORMAT = torch.uint8  # stands for all others: they are refused

HEAD_BYTES = 512  # where a web page shows
AGAIN = "delete it and fetch or copy it again"


def read_safetensors(file: Path) -> Mapping[str, Tensor]:
    """Map a safetensors file into memory. Its data is read where and when a tensor is used.

    Raises:
        BadConfig: it cannot be read, or is not such a file, or is cut short.
    """
    _refuse_web_page(file)
    with _telling_safetensors_errors(file), _named_in_utf8(file) as name:
        state: Mapping[str, Tensor] = load_file(name)
    return state


def read_safetensors_header(file: Path) -> Mapping[str, Tensor]:
    """Names and shapes of a safetensors file, as tensors without data. Raises as `read_safetensors`."""
    _refuse_web_page(file)
    with _telling_safetensors_errors(file), _named_in_utf8(file) as name, safe_open(name, "pt") as opened:
        slices = {key: opened.get_slice(key) for key in opened.keys()}  # noqa: SIM118
        return {
            key: torch.empty(found.get_shape(), dtype=FORMATS.get(found.get_dtype(), OTHER_FORMAT), device="meta")
            for key, found in slices.items()
        }


@contextmanager
def _named_in_utf8(file: Path) -> Iterator[Path]:
    """A name for a file that safetensors takes: it wants UTF-8, which the name of a folder need not be."""
    if os.fsencode(file).decode("utf-8", "ignore") == str(file):
        yield file
        return
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


@contextmanager
def _telling_safetensors_errors(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _unreadable(file, error) from error
    except (SafetensorError, ValueError) as error:
        what = f"is no complete safetensors file ({_first_line(error)})"
        raise BadConfig(f"{file}: {what}; {AGAIN}") from error


def read_pickled_state(file: Path, device: str = "cpu") -> Mapping[str, Tensor]:
    """Read a pickled state dict onto a device ("meta": names and shapes only).

    Raises:
        BadConfig: it cannot be read, is damaged, is not a dictionary of tensors, or would run code.
    """
    loaded = _read_pickle(file, device)
    if not isinstance(loaded, dict):
        raise BadConfig(f"{file}: holds {_article(loaded)}, expected a dictionary of tensors; {AGAIN}")
    for key, value in loaded.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise BadConfig(f"{file}: {str(key)[:80]} is {_article(value)}, expected a named tensor; {AGAIN}")
    return loaded


def read_prompt(file: Path, device: str = "cpu") -> Tensor:
    """Read one pickled tensor. Raises as `read_pickled_state`."""
    loaded = _read_pickle(file, device)
    if not isinstance(loaded, Tensor):
        raise BadConfig(f"{file}: holds {_article(loaded)}, expected one tensor; {AGAIN}")
    return loaded


def _read_pickle(file: Path, device: str) -> object:
    _refuse_web_page(file)
    try:
        with warnings.catch_warnings():  # about foreign kinds of files, which end as errors here
            warnings.simplefilter("ignore")
            return torch.load(file, map_location=device, weights_only=True)
    except pickle.UnpicklingError as error:
        raise BadConfig(
            f"{file}: refused, because it holds more than tensors: it would run code, or it is damaged, or "
            f"something else; {AGAIN}, from a source you trust"
        ) from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise _unreadable(file, error) from error
        # A damaged file can break the unpickler in any way (EINVAL: it seeks to nowhere); all mean the same.
        raise BadConfig(
            f"{file}: cannot be read ({_first_line(error)}); it is cut short or damaged, {AGAIN}"
        ) from error


def _refuse_web_page(file: Path) -> None:
    """What a browser or a proxy saves under the name of a file that it could not get."""
    try:
        with file.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
    except OSError as error:
        raise _unreadable(file, error) from error
    if not head:
        raise BadConfig(f"{file}: is empty; {AGAIN}")
    if head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<"):
        raise BadConfig(f"{file}: is a web page, not weights; {AGAIN}")


def _unreadable(file: Path, error: OSError) -> BadConfig:
    return BadConfig(f"{file}: cannot be read ({error.strerror or error}); let the user of the service read it")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0] or type(error).__name__


def _article(value: object) -> str:
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
