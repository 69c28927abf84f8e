"""Sources over the limits are refused, and those at them are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from flashvsr.errors import BadInput
from flashvsr.video.limits import Limits, check_file, check_frames, check_side

ANY = Path("/in/clip.mp4")


def test_limits_are_edges_that_may_be_reached() -> None:
    limits = Limits(file_bytes=1000, frames=10, side=640)
    check_side(640, 640, ANY, limits)
    check_frames(10, ANY, limits)
    for width, height in ((641, 2), (2, 641)):
        with pytest.raises(BadInput, match=r"limits\.side"):
            check_side(width, height, ANY, limits)
    with pytest.raises(BadInput, match=r"limits\.frames"):
        check_frames(11, ANY, limits)
    check_frames(1 << 40, ANY, Limits())


@pytest.mark.parametrize(("size", "fits"), [(999, True), (1000, True), (1001, False)])
def test_a_file_may_be_so_large(size: int, fits: bool, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(size))
    check_file(path, Limits())
    if fits:
        check_file(path, Limits(file_bytes=1000))
        return
    with pytest.raises(BadInput, match=r"limits\.file_bytes"):
        check_file(path, Limits(file_bytes=1000))
