from __future__ import annotations

import pickle

import pytest

from flashvsr.errors import BadConfig, BadInput, FlashVSRError
from flashvsr.system.text import MESSAGE, MOST_LINES
from kits.nasty import TEXTS, is_safe


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("times", [1, 200])
def test_whatever_a_message_quotes_it_can_be_shown_and_stored(text: str, times: int) -> None:
    error = BadInput(*[f"{text} is no video"] * times)
    assert is_safe(str(error))
    assert len(error.lines) == min(times, MOST_LINES) or "more lines" in error.lines[-1]
    assert len(str(error)) <= MESSAGE + 3 * MOST_LINES
    assert str(error).count("\n") == len(error.lines) - 1


def test_lines_after_the_first_are_indented() -> None:
    error = BadConfig("2 problems:", "one", "two")
    assert str(error) == "2 problems:\n  one\n  two"
    assert error.lines == ("2 problems:", "one", "two")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_an_error_without_words_has_none() -> None:
    assert str(FlashVSRError()) == ""
