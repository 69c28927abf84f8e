from __future__ import annotations

import pytest

from flashvsr.status.snapshot import Problem


@pytest.mark.parametrize(
    ("subject", "text", "said"),
    [
        ("cpu", "the worker ended; cpu rests", "cpu: the worker ended; cpu rests"),
        ("job 3", "job 3: its source stays", "job 3: its source stays"),
        ("/srv/in", "Cannot read /srv/in/a.mp4", "Cannot read /srv/in/a.mp4"),
        ("/srv/in", "no preset", "/srv/in: no preset"),
        ("disk", "no room", "no room"),
    ],
)
def test_what_has_a_problem_is_said_once(subject: str, text: str, said: str) -> None:
    assert str(Problem(subject, text)) == said
