from __future__ import annotations

from pathlib import Path

import pytest

from flashvsr.system.text import (
    MOST_LINES,
    MOST_WARNINGS,
    STORED,
    WARNING,
    bounded,
    bounded_warnings,
    from_printable,
    one_line,
    printable,
    sentence_of,
    storable,
    visible,
    visible_lines,
)
from kits.nasty import TEXTS, is_safe


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


KINDS = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)


@KINDS
def test_every_name_has_a_way_back(text: str) -> None:
    shown = printable(text)
    assert is_safe(shown)
    assert "\n" not in shown
    assert from_printable(shown) == text


def test_a_byte_and_the_character_of_its_number_look_different() -> None:
    shown = {printable(name) for name in ("\udc85", "\x85", "\udca0", "\xa0", "\\x85")}
    assert len(shown) == 5


@pytest.mark.parametrize("text", ["a\\", "\\q", "\\x4", "\\u12", "\\\\\\"])
def test_what_printable_did_not_write_is_no_path(text: str) -> None:
    with pytest.raises(ValueError, match="backslash"):
        from_printable(text)


@KINDS
@pytest.mark.parametrize("most", [40, 200, 4000])
def test_a_visible_text_is_one_short_line_of_whole_escapes(text: str, most: int) -> None:
    shown = visible(text, most)
    assert len(shown) <= most
    assert is_safe(shown)
    assert "\n" not in shown
    assert visible(shown, most) == shown
    if len(text) > most:
        assert f"… ({len(text)} characters) …" in shown
        head, tail = one_line(text), shown.partition(" characters) …")[2]
        assert head.startswith(shown.partition("… (")[0])
        assert head.endswith(tail)


@pytest.mark.parametrize("most", range(40, 60))
@pytest.mark.parametrize("piece", ["\udce9", "\u202e", "\U000e0001", "\n", "\\"])
def test_no_escape_is_cut_apart(piece: str, most: int) -> None:
    head, _, tail = bounded(printable(piece * 50), most).partition("… (")
    _, _, tail = tail.partition(" characters) …")
    assert set(from_printable(head)) <= {piece}
    assert set(from_printable(tail)) <= {piece}


def test_what_is_short_stays() -> None:
    assert bounded("a" * 40, 40) == "a" * 40
    assert bounded("a" * 41, 40) == "a" * 15 + "… (41 characters) …" + "a" * 6


@KINDS
@pytest.mark.parametrize("times", [1, 3, 5000])
def test_lines_are_bounded_in_number_and_length(text: str, times: int) -> None:
    lines = visible_lines([text] * times, 5000)
    assert len(lines) <= MOST_LINES
    assert sum(map(len, lines)) <= 5000
    assert all(is_safe(line) and "\n" not in line for line in lines)
    assert visible_lines(lines, 5000) == lines
    if len(lines) < times:
        assert lines[-1] == f"and {times - len(lines) + 1} more lines"


@KINDS
def test_a_stored_message_is_safe_and_stays_what_it_is(text: str) -> None:
    stored = storable(text)
    assert is_safe(stored)
    assert len(stored) <= STORED + MOST_LINES  # and line ends
    assert storable(stored) == stored


def test_a_message_keeps_its_lines() -> None:
    assert storable("2 problems:\n  one\x07\n  two") == "2 problems:\n  one\\x07\n  two"


@KINDS
@pytest.mark.parametrize("times", [0, 1, 50, 51, 5000])
def test_warnings_are_bounded_in_number_and_length(text: str, times: int) -> None:
    warnings = bounded_warnings([text] * times)
    assert len(warnings) == min(times, MOST_WARNINGS)
    assert all(len(warning) <= WARNING and is_safe(warning) for warning in warnings)
    assert bounded_warnings(warnings) == warnings
    if times > MOST_WARNINGS:
        assert warnings[-1] == f"and {times - MOST_WARNINGS + 1} more warnings"
        assert (
            bounded_warnings([*warnings, "one", *warnings])[-1] == f"and {2 * times - MOST_WARNINGS + 2} more warnings"
        )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("one", "one"),
        ("2 problems:\n  a.toml:1: x\n\n  a.toml:2:  y\n", "2 problems: a.toml:1: x; a.toml:2: y"),
        ("first;\nsecond", "first; second"),
        ("", ""),
    ],
)
def test_lines_become_one_sentence(text: str, sentence: str) -> None:
    assert sentence_of(text) == sentence
