"""The packets of one stream: how long the last picture stands."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from flashvsr.video.stream_writer import stand


@pytest.mark.parametrize(
    ("shown", "standing"),
    [([0, 1, 2], [2]), ([0, 3, 1, 2], [1, 3]), ([4, 2, 3], [0, 2]), ([7], [0]), ([None, 1], [1])],
)
def test_the_last_one_shown_and_the_last_one_decoded_stand(shown: list[int | None], standing: list[int]) -> None:
    """Muxers of MP4 tell by the first where the edit ends, and by the second where the track does."""
    packets: Any = [SimpleNamespace(pts=pts, duration=1) for pts in shown]
    stand(packets, 50)
    assert [number for number, packet in enumerate(packets) if packet.duration == 50] == standing
    assert all(packet.duration in (1, 50) for packet in packets)
