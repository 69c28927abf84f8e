"""The kinds of values a setting can have: what is accepted, how it reads in a message, how text becomes one.

A kind is given the value as TOML (or an environment variable) delivers it and returns the value the program
uses. It is strict: `true` is no number, `960.0` no whole number, `"960"` neither.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from flashvsr.settings import escaped
from flashvsr.system.text import visible

TOML_LARGEST = 2**63 - 1
SHOWN = 80  # characters of a found value, or of a name, in a message
LONGEST_PATH = 4095  # bytes; Linux takes no longer one


class Refused(ValueError):
    """The value is not allowed. The text, if any, is a hint to add to what is allowed."""


class Kind:
    """One kind of value. Subclasses say what is `allowed` and `accept` a value or raise `Refused`.

    `secret`: no message shows such a value.
    """

    secret: ClassVar[bool] = False

    @property
    def allowed(self) -> str:
        """What a person may write, to follow "expected"."""
        raise NotImplementedError

    def accept(self, value: object, base: Path) -> Any:
        """Return the value as the program uses it; `base` is the folder that relative paths start from."""
        raise NotImplementedError

    def from_text(self, text: str) -> object:
        """Turn the text of an environment variable into the value that TOML would have given."""
        return text


@dataclass(frozen=True)
class Whole(Kind):
    """A whole number from `low` to `high` (None: no limit of ours), or one of `also`."""

    low: int
    high: int | None = None
    also: tuple[int, ...] = ()
    odd: bool = False

    @property
    def allowed(self) -> str:
        """The range in words."""
        extra = "".join(f"{number} or " for number in self.also)
        noun = "an odd whole number" if self.odd else "a whole number"
        limits = f"from {self.low} to {self.high}" if self.high is not None else f"of at least {self.low}"
        return f"{extra}{noun} {limits}"

    def accept(self, value: object, base: Path) -> int:
        """Accept an int in range; a bool is not an int here."""
        if isinstance(value, str) and isinstance(self.from_text(value), int):
            raise Refused("write the number without quotes")
        if not isinstance(value, int) or isinstance(value, bool):
            raise Refused
        high = self.high if self.high is not None else TOML_LARGEST
        if value not in self.also and not (self.low <= value <= high and (value % 2 or not self.odd)):
            raise Refused
        return value

    def from_text(self, text: str) -> object:
        """Read decimal digits; any other text stays text and is refused later."""
        return int(text) if re.fullmatch(r"[+-]?[0-9]{1,30}", text) else text


@dataclass(frozen=True)
class Number(Kind):
    """A finite number, whole or not, from `low` to `high`; always delivered as float."""

    low: float
    high: float

    @property
    def allowed(self) -> str:
        """The range in words."""
        return f"a number from {self.low:g} to {self.high:g}"

    def accept(self, value: object, base: Path) -> float:
        """Accept int or float in range (nan and inf are in no range)."""
        if isinstance(value, str) and isinstance(self.from_text(value), float):
            raise Refused("write the number without quotes")
        if not isinstance(value, int | float) or isinstance(value, bool) or not self.low <= value <= self.high:
            raise Refused
        return float(value)

    def from_text(self, text: str) -> object:
        """Read a decimal number; any other text stays text and is refused later."""
        return float(text) if re.fullmatch(r"[+-]?[0-9]{1,30}(\.[0-9]+)?([eE][+-]?[0-9]+)?", text) else text


@dataclass(frozen=True)
class Flag(Kind):
    """true or false."""

    @property
    def allowed(self) -> str:
        """Both words; the digits are for environment variables."""
        return "true or false"

    def accept(self, value: object, base: Path) -> bool:
        """Accept a bool and nothing that merely looks true."""
        if not isinstance(value, bool):
            raise Refused
        return value

    def from_text(self, text: str) -> object:
        """Read the spellings that shells and container files use."""
        words = {
            "1": True,
            "true": True,
            "yes": True,
            "on": True,
            "0": False,
            "false": False,
            "no": False,
            "off": False,
        }
        return words.get(text.strip().lower(), text)


@dataclass(frozen=True)
class OneOf(Kind):
    """One of a few words."""

    words: tuple[str, ...]

    @property
    def allowed(self) -> str:
        """The words as a person writes them in TOML."""
        return one_of(self.words)

    def accept(self, value: object, base: Path) -> str:
        """Accept a listed word exactly."""
        if not isinstance(value, str) or value not in self.words:
            raise Refused
        return value


@dataclass(frozen=True)
class Text(Kind):
    """Any text, the empty one too."""

    @property
    def allowed(self) -> str:
        """Nothing but the type."""
        return "text in quotes"

    def accept(self, value: object, base: Path) -> str:
        """Accept a string without NUL, which no program argument can carry, and no longer than a path."""
        if not isinstance(value, str) or "\0" in value:
            raise Refused
        _refuse_long(value)
        return value


@dataclass(frozen=True)
class ByteSize(Kind):
    """A number of bytes, plain or with a unit; units are powers of 1024."""

    @property
    def allowed(self) -> str:
        """Both notations."""
        return 'a number of bytes such as 536870912, or text such as "512MB" or "32GB"'

    def accept(self, value: object, base: Path) -> int:
        if isinstance(value, str):
            match = re.fullmatch(r"([0-9]{1,19})\s*(?:([KMGT]?)(?:i?B)?)", value.strip(), re.IGNORECASE)
            if match is None:
                raise Refused
            value = int(match[1]) << (10 * " KMGT".index(match[2].upper() or " "))
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= TOML_LARGEST:
            raise Refused
        return value


@dataclass(frozen=True)
class Dimensions(Kind):
    """A size in pixels as text, "3840x2160", each side from `low` to `high`; or one of `words`."""

    low: int
    high: int
    words: tuple[str, ...] = ()

    @property
    def allowed(self) -> str:
        """The notation and the words."""
        words = "".join(f"{toml_value(word)} or " for word in self.words)
        return f'{words}a size such as "3840x2160", each side from {self.low} to {self.high}'

    def accept(self, value: object, base: Path) -> str:
        """Accept a listed word, or a size, which comes back without spaces and with an "x"."""
        if not isinstance(value, str):
            raise Refused("write it in quotes" if isinstance(value, int) else "")
        if value in self.words:
            return value
        match = re.fullmatch(r"\s*([0-9]{1,5})\s*[xX\u00d7]\s*([0-9]{1,5})\s*", value)
        if match is None:
            raise Refused
        width, height = int(match[1]), int(match[2])
        if not (self.low <= width <= self.high and self.low <= height <= self.high):
            raise Refused
        return f"{width}x{height}"


@dataclass(frozen=True)
class FilePath(Kind):
    """A path; `~` is the home directory, a relative one starts at the folder of the file that names it."""

    optional: bool = False  # the empty text stands for None
    empty: str = "for the default"  # what it means

    @property
    def allowed(self) -> str:
        """What a path may be."""
        return f'a path in quotes, or "" {self.empty}' if self.optional else "a path in quotes"

    def accept(self, value: object, base: Path) -> Path | None:
        """Return an absolute path; nothing is looked up on disk."""
        if self.optional and value == "":
            return None
        return absolute_path(value, base)


def absolute_path(value: object, base: Path) -> Path:
    """Expand `~`, start relative paths at `base`, remove `.` and `..` as written (links unseen)."""
    if not isinstance(value, str) or not value or "\0" in value:
        raise Refused
    _refuse_long(value)
    try:
        path = Path(value).expanduser()
    except RuntimeError as error:  # "~name" of a user who does not exist
        raise Refused(f"{visible(value.split('/')[0], SHOWN)} names no home directory") from error
    return Path(os.path.abspath(base / path))  # noqa: PTH100 - Path.absolute() keeps ".."


def _refuse_long(value: str) -> None:
    if len(value) > LONGEST_PATH or len(value.encode("utf-8", "surrogateescape")) > LONGEST_PATH:
        raise Refused(f"at most {LONGEST_PATH} bytes")


def one_of(words: tuple[str, ...]) -> str:
    """List quoted words for a message: `"a", "b" or "c"`."""
    quoted = [toml_value(word) for word in words]
    return quoted[0] if len(quoted) == 1 else ", ".join(quoted[:-1]) + " or " + quoted[-1]


def toml_value(value: object) -> str:
    """Write a value as TOML (None as the empty text), on one line."""
    if value is None:
        return '""'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | Path):
        if isinstance(text := escaped.written(str(value)), dict):
            return toml_value(text)
        return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")  # TOML allows no DEL, JSON does
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {toml_value(item)}" for key, item in value.items()) + "}"
    return str(value)


def shown(value: object, most: int = SHOWN) -> str:
    """Write a found value for a message: TOML, one visible line of at most `most` characters."""
    try:
        text = toml_value(value)
    except ValueError:  # a number beyond Python's limit of digits; the parser lets hexadecimal ones through
        text = "a very large number"
    except RecursionError:
        text = "brackets nested too deeply"
    return visible(text, most)
