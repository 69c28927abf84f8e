"""Kinds of values that name GPUs or weights, and the forms these take in environment variables."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flashvsr.settings.kinds import Kind, Refused, Whole, absolute_path, one_of, shown, toml_value
from flashvsr.settings.nearness import folded, nearest
from flashvsr.settings.synonyms import VALUES


@dataclass(frozen=True)
class EnvForm:
    """How an environment variable writes a value, where that differs from TOML. `read` raises ValueError."""

    read: Callable[[str], object]
    allowed: str


@dataclass(frozen=True)
class GpuDevices(Kind):
    """Which GPUs get a worker: a word, or a list of indexes and UUIDs."""

    words = ("auto", "cpu", "cuda")

    @property
    def allowed(self) -> str:
        return '"auto", "cpu", "cuda", or a list of GPU numbers or UUIDs such as [0, 1] or ["GPU-5d1a…"]'

    def accept(self, value: object, base: Path) -> str | tuple[int | str, ...]:
        """Return the word, or the list as a tuple; `devices.discover` finds whether the GPUs exist."""
        if isinstance(value, str):
            if value in self.words:
                return value
            number = _cuda_number(value)
            raise Refused("" if number is None else f"write [{number}]")
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 1023:
            raise Refused(f"write [{value}]")
        if not isinstance(value, list) or not value:
            raise Refused
        for item in value:
            number = isinstance(item, int) and not isinstance(item, bool) and 0 <= item <= 1023
            uuid = isinstance(item, str) and re.fullmatch(r"(GPU|MIG)-[0-9A-Za-z/-]+", item) is not None
            if not number and not uuid:
                raise Refused
        if len(set(value)) != len(value):
            raise Refused("each GPU once")
        return tuple(value)


@dataclass(frozen=True)
class PipelineDevices(Kind):
    """The GPUs one video is split over, in the order of the stages; empty: off."""

    @property
    def allowed(self) -> str:
        """Off, or at least two."""
        return "[] for off, or a list of two or more different GPU numbers such as [0, 1]"

    def accept(self, value: object, base: Path) -> tuple[int, ...]:
        """Return GPU numbers; `"cuda:1"` is read as 1."""
        if not isinstance(value, list):
            raise Refused
        numbers: list[Any] = [_cuda_number(item) if isinstance(item, str) else item for item in value]
        if not all(isinstance(n, int) and not isinstance(n, bool) and 0 <= n <= 1023 for n in numbers):
            raise Refused
        if len(numbers) == 1 or len(set(numbers)) != len(numbers):
            raise Refused
        return tuple(numbers)


@dataclass(frozen=True)
class SplitBlock(Kind):
    """`"auto"`, or the number of transformer blocks in the first stage."""

    @property
    def allowed(self) -> str:
        """The word or a number."""
        return '"auto" or a whole number of at least 1'

    def accept(self, value: object, base: Path) -> str | int:
        """Return the word or the number; the model knows how many blocks it has."""
        return value if value == "auto" and isinstance(value, str) else Whole(1).accept(value, base)

    def from_text(self, text: str) -> object:
        """Read digits as a number."""
        return Whole(1).from_text(text)


@dataclass(frozen=True)
class Weights(Kind):
    """The name of a known model, or a folder with weights."""

    names: tuple[str, ...]

    @property
    def allowed(self) -> str:
        """Names and folders."""
        return f'{one_of(self.names)}, or a folder such as "/path/to/weights"'

    def accept(self, value: object, base: Path) -> str:
        """Return the name, or the folder as an absolute path.

        A word without a slash that is no known name is far more likely a slip than a folder.
        """
        if isinstance(value, str) and value in self.names:
            return value
        if isinstance(value, str) and value and "/" not in value and not value.startswith("~"):
            raise Refused(_weights_hint(value, self.names))
        return str(absolute_path(value, base))


def _weights_hint(value: str, names: tuple[str, ...]) -> str:
    meant = VALUES["weights"].get(folded(value)) or nearest(value, names)
    if meant:
        return f"did you mean {toml_value(meant)}?"
    return f"for a folder beside the settings write {shown('./' + value)}"


def _cuda_number(text: str) -> int | None:
    match = re.fullmatch(r"(?:cuda:)?([0-9]{1,4})", text.strip())
    return int(match[1]) if match else None


def _read_device(text: str) -> object:
    if text in ("auto", "cpu", "cuda"):
        return text
    number = _cuda_number(text) if text.startswith("cuda:") else None
    if number is None:
        raise ValueError
    return [number]


def _read_pipeline(text: str) -> object:
    if text.strip().lower() in ("", "off", "none"):
        return []
    numbers = [_cuda_number(part) for part in text.split(",")]
    if None in numbers:
        raise ValueError
    return numbers


def _read_folder(text: str) -> object:
    if not text:
        raise ValueError
    return text if "/" in text or text.startswith("~") else f"./{text}"


DEVICE_FORM = EnvForm(_read_device, "auto, cpu, cuda or cuda:N, N being the number of a GPU as nvidia-smi counts")
PIPELINE_FORM = EnvForm(_read_pipeline, "off, or two or more different GPUs such as 0,1 or cuda:0,cuda:1")
FOLDER_FORM = EnvForm(_read_folder, "a folder with weights")
