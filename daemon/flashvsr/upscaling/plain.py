"""Facts as JSON and back: what crosses from a process that may have been taken over is looked at field by field."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from fractions import Fraction
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")
_LONGEST_NUMBER = 100  # digits of a fraction


def to_plain(value: object) -> Any:
    """A dataclass, or what one may hold, as what JSON has. Raises TypeError for anything else."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (Fraction, Path)):
        return str(value)
    if isinstance(value, (tuple, list)):
        return [to_plain(item) for item in value]
    if is_dataclass(value):
        return {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
    raise TypeError(f"{type(value).__name__} cannot be told to another process")


def from_plain(kind: type[T], plain: object) -> T:
    """The opposite of `to_plain`: `kind` is a type as it is declared. Raises ValueError where `plain` does not fit."""
    return cast("T", _made(kind, plain))


def _made(kind: Any, plain: Any) -> Any:
    if is_dataclass(kind):
        return _dataclass_of(cast("type[Any]", kind), plain)
    if get_origin(kind) is tuple:
        return _tuple_of(get_args(kind), plain)
    if get_origin(kind) in (Union, UnionType):
        if plain is None and NoneType in get_args(kind):
            return None
        (inner,) = (choice for choice in get_args(kind) if choice is not NoneType)
        return _made(inner, plain)
    if kind is Fraction and isinstance(plain, str) and len(plain) <= _LONGEST_NUMBER:
        return Fraction(plain)
    if kind is Path and isinstance(plain, str):
        return Path(plain)
    if kind is float and type(plain) is int:
        return float(plain)
    if kind in (bool, int, float, str) and type(plain) is kind:
        return plain
    raise ValueError(f"{str(plain)[:50]!r} is no {kind}")


def _dataclass_of(kind: type[Any], plain: Any) -> Any:
    hints = get_type_hints(kind)
    if not isinstance(plain, dict) or plain.keys() != {field.name for field in fields(kind)}:
        raise ValueError(f"that is no {kind.__name__}")
    return kind(**{name: _made(hints[name], value) for name, value in plain.items()})


def _tuple_of(kinds: tuple[Any, ...], plain: Any) -> tuple[Any, ...]:
    if not isinstance(plain, list):
        raise ValueError("that is no list")
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        return tuple(_made(kinds[0], item) for item in plain)
    return tuple(_made(kind, item) for kind, item in zip(kinds, plain, strict=True))
