"""Lines of TOML keys, in texts that a simpler search would misread."""

from __future__ import annotations

import tomllib

import pytest

from flashvsr.settings.toml_lines import key_lines

AWKWARD = r'''a = """
x = 1 # no key
""" # comment [z]
"b c" = [ # [q]
  "]", '[',
  {d = 1},
]
[t.'u v'] # [w]
  x.y = { z = '}' }
[[arr]]
k = """
[n]"""
[[arr]]
[arr.sub]
k = "\"\n"
l=1'''


def test_every_key_of_an_awkward_text() -> None:
    tomllib.loads(AWKWARD)
    assert key_lines(AWKWARD) == {
        ("a",): 1,
        ("b c",): 4,
        ("t",): 8,
        ("t", "u v"): 8,
        ("t", "u v", "x"): 9,
        ("t", "u v", "x", "y"): 9,
        ("arr",): 10,
        ("arr", 0): 10,
        ("arr", 0, "k"): 11,
        ("arr", 1): 13,
        ("arr", 1, "sub"): 14,
        ("arr", 1, "sub", "k"): 15,
        ("arr", 1, "sub", "l"): 16,
    }
    assert key_lines(AWKWARD.replace("\n", "\r\n")) == key_lines(AWKWARD)


@pytest.mark.parametrize(
    ("text", "key", "line"),
    [
        ("", ("a",), None),
        ("\n\na=1", ("a",), 3),
        ("a=1\r\nb=2\r\n", ("b",), 2),
        ("a = [1, # ]\n2]\nb = 1", ("b",), 3),
        ('a = """x"""""\nb = 1', ("b",), 2),
        ("a = '''x'''''\nb = 1", ("b",), 2),
        ('a = ""\nb = \'\'\nc = """"""\nd = 1', ("d",), 4),
        ("a = '\\'\nb = 1", ("b",), 2),
        ("[ a . b ]\n c . d = 1", ("a", "b", "c", "d"), 2),
        ("[a]\nx = 1\n[a.b]\nx = 2", ("a", "b", "x"), 4),
        ("[[a.b]]\nx = 1\n[[a.b]]\nx = 2\n[[a.b.c]]\nx = 3", ("a", "b", 1, "c", 0, "x"), 6),
        ("x = 1979-05-27 07:32:00\ny = 1", ("y",), 2),
        ("a = 1 # é\u2028 [b]\nc = 1", ("c",), 2),
    ],
)
def test_the_line_of_a_key(text: str, key: tuple[str, ...], line: int | None) -> None:
    tomllib.loads(text)
    assert key_lines(text).get(key) == line
