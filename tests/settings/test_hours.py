"""Hours of the week: what is understood, and what is said of the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from flashvsr.errors import BadConfig
from flashvsr.settings.config import load_config
from flashvsr.settings.hours import Hours, Span, parse_hours
from flashvsr.settings.kinds import Refused

EVERY = frozenset(range(7))
WORK = frozenset(range(5))
END = frozenset({5, 6})


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("", ()),
        ("  ", ()),
        ("22:00-07:00", ((EVERY, 1320, 420),)),
        ("7:05 - 24:00", ((EVERY, 425, 1440),)),
        ("22:00\u201307:00", ((EVERY, 1320, 420),)),
        ("mon-fri 22:00-07:00", ((WORK, 1320, 420),)),
        ("Mon-Fri 22:00-07:00,Sat,Sun 00:00-24:00", ((WORK, 1320, 420), (END, 0, 1440))),
        ("sat, sun 00:00-24:00", ((END, 0, 1440),)),
        ("fri-mon, wed 10:00-11:00", ((frozenset({4, 5, 6, 0, 2}), 600, 660),)),
        ("Sunday 10:00-11:00", ((frozenset({6}), 600, 660),)),
        ("12:00-13:00, 22:00-07:00", ((EVERY, 720, 780), (EVERY, 1320, 420))),
    ],
)
def test_what_is_understood(text: str, spans: tuple[tuple[frozenset[int], int, int], ...]) -> None:
    assert parse_hours(text) == Hours(tuple(Span(*span) for span in spans))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("22-7", '"22-7" is not understood'),
        ("22:00", '"22:00" is not understood'),
        ("22:00-07:00 mon", "is not understood"),
        ("22:00-07:00,", "is not understood"),
        (",", "is not understood"),
        ("24:00-07:00", "24:00 in .* is no time of the day"),
        ("22:00-24:01", "24:01 in .* is no time of the day"),
        ("22:60-23:00", "22:60 in .* is no time of the day"),
        ("08:00-08:00", 'the whole day is "00:00-24:00"'),
        ("montag 08:00-09:00", '"montag" in .* is no day; days are mon tue wed thu fri sat sun'),
        ("mon-tue-wed 08:00-09:00", "is not understood"),
        ("mon fri 08:00-09:00", '"mon fri" in .* is no day'),
        ("sat,sun", 'the whole day is "sat,sun 00:00-24:00"'),
        ("sat,sun,10:00-11:00", 'without a comma between, such as "sat,sun 10:00-11:00"'),
        ("night", '"night" in .* is no day'),
        ("\u0661\u0662:00-13:00", "is no"),
    ],
)
def test_what_is_said_of_the_rest(text: str, said: str) -> None:
    with pytest.raises(Refused, match=said):
        parse_hours(text)


def test_the_key_is_checked_with_the_others(tmp_path: Path) -> None:
    config = tmp_path / "flashvsr.toml"
    config.write_text('[schedule]\nrun = "mon-fri 22:00-07:00"\n')
    assert load_config(config, {}).schedule.run == "mon-fri 22:00-07:00"
    config.write_text('[schedule]\nrun = "22-7"\n')
    with pytest.raises(BadConfig, match=r'flashvsr.toml:2.*run = "22-7".*expected "" for always.*not understood'):
        load_config(config, {})
    config.write_text("[schedule]\nrun = 22\n")
    with pytest.raises(BadConfig, match="expected"):
        load_config(config, {})
