from __future__ import annotations

import pytest

from flashvsr.system.spans import length_text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0.0 s"), (0.04, "0.0 s"), (8.26, "8.3 s"), (9.96, "10 s"), (59.4, "59 s"), (59.6, "1 min"),
        (200, "3 min 20 s"), (3599.6, "1 h"), (7500, "2 h 5 min"), (86_399, "24 h"), (86_400 * 3 + 14_400, "3 d 4 h"),
    ],
)  # fmt: skip
def test_two_units_at_most(seconds: float, text: str) -> None:
    assert length_text(seconds) == text
