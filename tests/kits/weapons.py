"""Texts of settings made to do harm, and texts made at random. `python weapons.py 600` tries random ones for 600 s."""

from __future__ import annotations

import random
import resource
import sys
import time
import tomllib
from collections.abc import Iterator

from flashvsr.errors import BadConfig
from flashvsr.settings.bounds import MOST_PARTS, PRESET_LIMITS, too_much
from flashvsr.settings.preset import parse_preset

ROOM = PRESET_LIMITS.bytes - 100


def _lines(line: str) -> str:
    return (line + "\n") * (ROOM // (len(line) + 1))


WEAPONS = {
    "one key of many parts": "a." * (ROOM // 2) + "a = 1",
    "the same in lines": _lines("a." * 4000 + "a = 1"),
    "with space between": _lines("a" + " . a" * 2000 + " = 1"),
    "with quotes": _lines('"a"' + ".''" * 2000 + " = 1"),
    "as a table": _lines("[" + "a." * 4000 + "a]"),
    "as an array of tables": _lines("[[" + "a." * 4000 + "a]]"),
    "inside an inline table": _lines("a = {" + "a." * 4000 + "a = 1}"),
    "many tables": "".join(f"[a.b.c.d.e.f.g.h{number}]\n" for number in range(ROOM // 24)),
    "many keys": "".join(f"k{number} = 1\n" for number in range(ROOM // 10)),
    "long keys": "".join(f"{'k' * 16000}{number} = 1\n" for number in range(4)),
    "long keys in quotes": "".join(f'"{"k " * 8000}{number}" = 1\n' for number in range(4)),
    "open brackets": "a = " + "[" * ROOM,
    "open brackets in lines": "a = " + _lines("[" * 4000),
    "closed brackets": "a = [" + _lines("[]," * 4000) + "]",
    "deep brackets": "a = " + "[" * 4000 + "]" * 4000,
    "open braces": "a = " + "{a=" * (ROOM // 3),
    "digits": "seed = " + "9" * 16000,
    "digits of base 16": "seed = 0x" + "f" * 16000,
    "digits after the point": "scale = 1." + "9" * 16000,
    "digits before the exponent": "scale = " + "9" * 16000 + "e999999",
    "a large exponent": "scale = 1e999999",
    "a long list": "width = [" + _lines("1," * 4000) + "]",
    "comments": _lines("#"),
    "empty lines": "\n" * ROOM,
    "escapes": 'fit = """' + _lines("\\u00e9" * 2000) + '"""',
    "strings without end": _lines('"""\n\\'),
    "other strings without end": _lines("'''") + "'",
    "quotes": "\"'" * (ROOM // 2),
    "dates": "width = [" + _lines("1979-05-27T07:32:00.999999Z," * 100) + "]",
    "zero bytes": "\0" * ROOM,
    "line ends of old Macs": "a = 1\r" * (ROOM // 6),
    "odd letters": '"\u202e\u2028\x85\x9b" = 1\nfit = "\u202e\\u001b[2J"\n',
}

_PIECES = (
    *(
        "a",
        "width",
        "b.c",
        '"q.r"',
        "'s.t'",
        '""',
        "''",
        ".",
        " . ",
        "=",
        "\n",
        "\r\n",
        "\r",
        "#",
        "# c.d.e\n",
        ",",
        "é",
    ),
    *(
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        '"',
        "'",
        '"""',
        "'''",
        "\\",
        '\\"',
        "\\\n",
        "\x01",
        "\u2028",
        "\t",
        "_",
        "-",
        "+",
    ),
)
_WORDS = ("a", "b", "c-d", '"e.f"', "'g.h'", "width", "seed", '"\\u0041"', "1")
_VALUES = (
    *("1", "1.5", "0x1f", "1e9", "true", "nan", "-inf", "1979-05-27", "07:32:00", "1979-05-27T07:32:00Z", "'i.j=k'"),
    *(
        '"""x""y"""',
        "'''x''y'''",
        '""""a""""',
        "'''''b'''''",
        '"\\""',
        '"""\n\\\n [x]\n a.b.c = 1"""',
        "[1, 2.5, # [\n 3]",
    ),
    *("{}", "[]", "{x.y = 1, z = [1]}", "[[1.5], [{q.r.s = 2}]]", '[\n"]",\n]'),
)


def random_texts(seed: int) -> Iterator[str]:
    """Texts of TOML's own statements, half of them with something wrong put in. Without end."""
    chance = random.Random(seed)
    while True:
        text = "".join(_statement(chance) for _ in range(chance.randint(1, 8)))
        for _ in range(chance.choice((0, 1, 3))):
            place = chance.randint(0, len(text))
            text = text[:place] + chance.choice(_PIECES) + text[place:]
        yield text


def _statement(chance: random.Random) -> str:
    parts = chance.choice((1, 1, 1, 2, 3, 7, 8, 9, 20))
    key = chance.choice((".", " . ", "\t.")).join(chance.choice(_WORDS) for _ in range(parts))
    form = chance.choice(
        ("{0} = {1}", "{0} = {1}", " {0}={1} # a.b", "[{0}]", "[[ {0} ]]", "# {0}", "{0} = {{ {0} = {1} }}")
    )
    return form.format(key, chance.choice(_VALUES)) + chance.choice(("\n", "\r\n"))


def bound(seconds: int, mebibytes: int) -> None:
    """Let the kernel end this process when it takes more: processor time, and memory beside what it has."""
    with open("/proc/self/statm", encoding="ascii") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + (mebibytes << 20),) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds,) * 2)


def told(text: str) -> str:
    """What is said about a text as a preset; an empty text if it is one."""
    try:
        parse_preset(text, "p.toml")
    except BadConfig as error:
        return str(error)
    return ""


def check_told(text: str) -> None:
    """Whatever a text is: a preset, or a short and printable message."""
    message = told(text)
    assert len(message) < 10_000, text
    assert all(character.isprintable() or character == "\n" for character in message), message


def check_seen(text: str) -> None:
    """The first look tells keys of too many parts from others, as far as the parser gets."""
    parser = tomllib._parser  # type: ignore[attr-defined]
    plain, longest = parser.parse_key, 0

    def noted(source: str, position: int) -> tuple[int, tuple[str, ...]]:
        nonlocal longest
        end, key = plain(source, position)
        longest = max(longest, len(key))
        return end, key

    parser.parse_key = noted
    try:
        tomllib.loads(text)
    except ValueError:
        valid = False
    else:
        valid = True
    finally:
        parser.parse_key = plain
    beyond = too_much(text, PRESET_LIMITS)
    assert longest <= MOST_PARTS or beyond is not None, text
    assert not valid or longest > MOST_PARTS or beyond is None, (text, beyond)


def _try_random(seconds: float) -> None:
    end, tried = time.monotonic() + seconds, 0
    for text in random_texts(time.time_ns()):
        check_told(text)
        check_seen(text)
        tried += 1
        if time.monotonic() > end:
            break
    print(f"{tried} texts")


if __name__ == "__main__":
    if sys.argv[1] == "weapons":
        bound(20, 64)
        for weapon in WEAPONS.values():
            check_told(weapon)
    else:
        _try_random(float(sys.argv[1]))
