"""Files that tests make again and again from the same facts: made once in a process, and copied from then on."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

Write = TypeVar("Write", bound=Callable[..., Path])
_MOST = 64  # files that are kept
_LARGEST = 1 << 20  # bytes of one

_made: dict[bytes, bytes] = {}


def made_once(write: Write) -> Write:
    """For functions whose file, their first argument, is a matter of the other ones and of the ending of its name."""

    @wraps(write)
    def written(path: Path, *given: Any, **named: Any) -> Path:
        key = blake2b(f"{write.__module__}.{write.__qualname__} {path.suffix}".encode())
        for part in (*given, *sorted(named.items())):
            _add(key, part)
        found = _made.get(key.digest())
        if found is not None:
            path.write_bytes(found)
            return path
        write(path, *given, **named)
        if path.stat().st_size <= _LARGEST:
            _made[key.digest()] = path.read_bytes()
            if len(_made) > _MOST:
                del _made[next(iter(_made))]
        return path

    return cast(Write, written)


def _add(key: blake2b, value: object) -> None:
    if isinstance(value, np.ndarray):
        key.update(f"{value.dtype} {value.shape}".encode())
        key.update(value.tobytes())
    elif isinstance(value, list | tuple):
        key.update(b"(")
        for part in value:
            _add(key, part)
        key.update(b")")
    elif callable(value):
        raise TypeError(f"{value}: what a function does is not known by its name")
    else:
        key.update(f"{value!r},".encode())
