"""Strings and names as they come from shares and videos: what a text has to get through every door with."""

from __future__ import annotations

import os
import unicodedata

LONG = "x" * 200_000

TEXTS = {
    "latin-1": os.fsdecode(b"caf\xe9"),
    "every odd byte": os.fsdecode(bytes(range(0x80, 0x100))),
    "lone surrogates": "\ud800 \udfff \udc00",
    "controls": "".join(map(chr, (*range(1, 32), *range(127, 160)))),
    "erases the screen": "\x1b[2J\x1b[31mred\x9b2J",
    "sets the title": "\x1b]0;owned\x07",
    "forges a line": "x\nOK    weights: fine\r\nflashvsr: done\u2028READY=1\u2029\x85end",
    "turns the direction": "\u202egpj.\u2066exe\u2069\u200f",
    "invisible": "a\u200bb\u00adc\ufeffd\u2060",
    "markup": "[red]x[/red] [bold :smile: [/] {0} {task} %s",
    "emoji": "😀👨\u200d👩\u200d👧 ❤️ 🏳️‍🌈",
    "combining": "e\u0301" + "\u0336" * 40,
    "scripts": "東京　物語 سلام Größe",
    "backslashes": "C:\\new\\x41 \\\\ \\",
    "nul": "a\0b",
    "long": LONG,
    "long and odd": "\udce9\x1b" * 25_000,
    "long line ends": "\n" * 50_000,
}  # fmt: skip

# As names of files: Linux allows all but these two, in 255 bytes.
NAMES = {
    kind: os.fsdecode(os.fsencode(text.replace("/", "-").replace("\0", ""))[:200])
    for kind, text in TEXTS.items()
    if kind != "lone surrogates"
}


def is_safe(text: str) -> bool:
    """Whether a text, of lines perhaps, can be stored as UTF-8 and shown on any terminal."""
    return text.encode("utf-8", "replace").decode() == text and all(
        unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
        for character in text.replace("\n", "")
    )
