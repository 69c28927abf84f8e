"""What is added to the message about a wrong key or value: what the person meant, where that is all but certain."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from flashvsr.settings.kinds import ByteSize, Flag, Kind, Number, Refused, Whole, shown, toml_value
from flashvsr.settings.nearness import folded, nearest
from flashvsr.settings.synonyms import PRESET_ADVICE, PRESET_KEYS, VALUES

_TRUE, _FALSE = frozenset({"true", "yes", "on", "1", "ja"}), frozenset({"false", "no", "off", "0", "nein"})
# "2x", "x2", "640 px", "1,5": a number, and what people write around it.
_ALMOST_NUMBER = re.compile(
    r"\s*(?:[x\u00d7]\s*)?([+-]?[0-9]{1,30})(?:[.,]([0-9]{1,30}))?\s*(?:x|\u00d7|px|pixels?)?\s*", re.I
)
_ALMOST_SIZE = re.compile(r"\s*([0-9]{1,9})[.,]([0-9]{1,3})\s*([KMGT])(?:i?B)?\s*", re.I)
_NAMED_SIZE = re.compile(r"[0-9]{3,4}[pi]|[248]k|(full|ultra)?hd|uhd|[0-9]{3,5}[x\u00d7][0-9]{3,5}", re.I)
_LONGEST = 100  # characters of a value that is still looked at


def did_you_mean(word: str, known: Sequence[str], prefix: str = "") -> str:
    """Return `did you mean "x"?` for the known word that this is a slip of, or an empty text."""
    near = nearest(word, known, prefix)
    return f"did you mean {toml_value(near)}?" if near else ""


def for_preset_key(key: str) -> str:
    """What a preset has instead of a key of another name; an empty text if that is not known."""
    word = folded(key)
    if word in PRESET_KEYS:
        return f"it is called {toml_value(PRESET_KEYS[word])} here"
    return PRESET_ADVICE.get(word, "")


def for_value(key: str, kind: Kind, value: object) -> str:
    """What may be written for `key` instead of a refused value; an empty text if that is not known."""
    if isinstance(kind, Flag):
        return _for_flag(value)
    text = _as_written(value)
    if text is None:
        return ""
    if isinstance(kind, Whole | Number):
        return _for_number(key, kind, text)
    if isinstance(kind, ByteSize):
        return _for_size(text)
    words: tuple[str, ...] = getattr(kind, "words", ())
    meant = VALUES.get(key, {}).get(folded(text))
    if meant in words:
        return f"{shown(value)} is called {toml_value(meant)} here"
    if "" in words and folded(text) in _FALSE | {"none"}:
        return 'for none of them write ""'
    return did_you_mean(text, words)


def _as_written(value: object) -> str | None:
    """Text, and true or false where a word is wanted."""
    if isinstance(value, bool):
        return toml_value(value)
    return value if isinstance(value, str) and len(value) <= _LONGEST else None


def _for_flag(value: object) -> str:
    word = folded(value) if isinstance(value, str) else str(value) if isinstance(value, int) else ""
    if word in _TRUE | _FALSE:
        return f"write {'true' if word in _TRUE else 'false'}, without quotes"
    return ""


def _for_number(key: str, kind: Whole | Number, text: str) -> str:
    match = _ALMOST_NUMBER.fullmatch(text)
    if match is not None:
        whole, fraction = match.groups()
        number = int(whole) if fraction is None else float(f"{whole}.{fraction}")
        if _accepts(kind, number):
            return f"write {toml_value(number)}, without quotes"
    elif key == "width" and _NAMED_SIZE.fullmatch(text.strip()):
        return 'a result is "width" times "scale" wide: width = 960 and scale = 2 make 1920'
    return ""


def _accepts(kind: Kind, value: object) -> bool:
    try:
        kind.accept(value, Path())
    except Refused:
        return False
    return True


def _for_size(text: str) -> str:
    match = _ALMOST_SIZE.fullmatch(text)
    if match is None:
        return ""
    whole, fraction, unit = match.groups()
    smaller = {"K": "", "M": "KB", "G": "MB", "T": "GB"}[unit.upper()]
    number = round((int(whole) + int(fraction) / 10 ** len(fraction)) * 1024)
    return f'write "{number}{smaller}"'
