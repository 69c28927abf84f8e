"""How much room is needed, and what is said when there is less."""

from __future__ import annotations

from pathlib import Path

import pytest

from flashvsr.errors import NoSpace
from flashvsr.files.space import bytes_at_crf, check_low_water, check_room, expected_bytes, free_bytes
from flashvsr.files.trees import NO_LINKS

GIB = 1 << 30


def test_directories_on_one_disk_share_its_room(tmp_path: Path) -> None:
    free = free_bytes(tmp_path)
    most = int(free * 0.6)
    check_room(NO_LINKS, [(tmp_path / "not" / "made yet", most)], 0)
    with pytest.raises(NoSpace, match="are needed"):
        check_room(NO_LINKS, [(tmp_path / "a", most), (tmp_path / "b", most)], 0)
    with pytest.raises(NoSpace, match="are needed"):
        check_room(NO_LINKS, [(tmp_path, most)], most)
    assert not (tmp_path / "not").exists()


def test_low_water(tmp_path: Path) -> None:
    check_low_water(tmp_path, 0)
    with pytest.raises(NoSpace, match=r"queue\.min_free"):
        check_low_water(tmp_path, free_bytes(tmp_path) + GIB)


def test_the_expected_size_follows_pixels_frames_and_quality() -> None:
    film = expected_bytes(3840, 2160, 2 * 3600 * 24, 6)
    assert 10 * GIB < film < 30 * GIB
    assert expected_bytes(1920, 1080, 2 * 3600 * 24, 6) == pytest.approx(film / 4, rel=0.01)
    assert expected_bytes(3840, 2160, 2 * 3600 * 24, 8) > 2 * film
    assert bytes_at_crf(3840, 2160, 2 * 3600 * 24, 20) == film
    assert expected_bytes(3840, 2160, 0, 6) == 0  # a length that nobody knows stops nothing
