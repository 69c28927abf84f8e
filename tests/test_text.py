from __future__ import annotations

from pathlib import Path

import pytest

from flashvsr.text import one_line, printable


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plain ünïcode 東京.mp4", "plain ünïcode 東京.mp4"),
        ("a\nERROR forged line", "a\\nERROR forged line"),
        ("tab\tbell\x07esc\x1b[31m", "tab\\tbell\\x07esc\\x1b[31m"),
        ("line\u2028sep, turned\u202egpj", "line\\u2028sep, turned\\u202egpj"),
        ("no utf-8 \udce9", "no utf-8 \\xe9"),
        ("back\\slash", "back\\\\slash"),
    ],
)
def test_one_visible_line(name: str, shown: str) -> None:
    assert printable(name) == shown
    assert printable(Path(name)) == shown


def test_different_names_never_look_the_same() -> None:
    assert printable("a\n") != printable("a\\n")


def test_a_message_with_a_printable_name_is_not_escaped_twice() -> None:
    name = printable("a\\b\n")
    assert one_line(f"bad file {name}\t!") == "bad file a\\\\b\\n\\t!"
