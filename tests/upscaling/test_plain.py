"""Facts cross between processes as JSON; what does not fit the declaration does not come in."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from flashvsr.upscaling.plain import from_plain, to_plain
from flashvsr.video.mastering import Display, Light, Mastering
from flashvsr.video.probe import SourceInfo
from flashvsr.video.timeline import Joint
from kits.videos import clip_info

THIRD = Fraction(1, 3)
DISPLAY = Display((THIRD, THIRD), (THIRD, THIRD), (THIRD, THIRD), (THIRD, THIRD), Fraction(0), Fraction(1000))


def full() -> SourceInfo:
    """Facts that use every field."""
    return replace(
        clip_info("face_noface.mov"),
        joints=(Joint(188, Fraction(-7, 90000)), Joint(376, Fraction(1))),
        mastering=Mastering(DISPLAY, Light(1000, 400)),
        identity=(1, 2, 3, 4),
    )


def test_facts_come_back_as_they_were() -> None:
    info = full()
    assert from_plain(SourceInfo, json.loads(json.dumps(to_plain(info)))) == info
    plainer = replace(info, duration=None, frame_count=None, mastering=None, audio=())
    assert from_plain(SourceInfo, json.loads(json.dumps(to_plain(plainer)))) == plainer


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("width", "1920"),
        ("width", True),
        ("width", None),
        ("width", 1.5),
        ("frame_rate", 25),
        ("frame_rate", "25/0"),
        ("frame_rate", "1" * 1000),
        ("frame_rate", "x"),
        ("audio", {}),
        ("audio", [{}]),
        ("audio", ["track"]),
        ("mastering", []),
        ("joints", [{"position": 1}]),
        ("path", 7),
        ("identity", [1, 2, 3]),
        ("mirrored", 1),
        ("unknown", 1),
    ],
)
def test_what_does_not_fit_is_refused(field: str, value: Any) -> None:
    plain = {**to_plain(full()), field: value}
    with pytest.raises((ValueError, ZeroDivisionError)):
        from_plain(SourceInfo, plain)


@pytest.mark.parametrize("missing", ["path", "width", "mastering"])
def test_what_is_missing_is_refused(missing: str) -> None:
    plain = to_plain(full())
    del plain[missing]
    with pytest.raises(ValueError, match="SourceInfo"):
        from_plain(SourceInfo, plain)


def test_only_plain_facts_are_told() -> None:
    with pytest.raises(TypeError, match="object"):
        to_plain(object())
    assert to_plain(Path("/a")) == "/a"
