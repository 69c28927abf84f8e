"""Facts in rows: what each is called, and its text wrapped behind that."""

from __future__ import annotations

from flashvsr.status.named_rows import LEAST_WIDTH, row_lines

ROWS = [("size", "640x360"), ("reason", "one two three four five six\nseven"), ("note", "")]


def test_texts_stand_below_each_other() -> None:
    assert row_lines(ROWS) == ["size    640x360", "reason  one two three four five six", "        seven"]
    assert row_lines([]) == []


def test_long_texts_are_wrapped_at_blanks() -> None:
    assert row_lines(ROWS, 30, indent="  ") == [
        "  size    640x360",
        "  reason  one two three four",
        "          five six",
        "          seven",
    ]
    assert row_lines([("path", "/a/" + "x" * 50)], 30) == ["path  /a/" + "x" * 50]  # never within a word


def test_a_narrow_terminal_leaves_some_room_for_texts() -> None:
    assert row_lines([("reason", "x " * LEAST_WIDTH)], 1)[0] == "reason  " + " ".join("x" * (LEAST_WIDTH // 2))
