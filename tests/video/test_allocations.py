"""No single piece of FFmpeg's memory is larger than it may be; what needs more fails, and the rest goes on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from flashvsr.video import allocations
from flashvsr.video.allocations import bound_allocations, largest_block
from kits.paths import python_environment

MIB = 1 << 20

ALLOCATE = """
import ctypes, sys
from flashvsr.video.allocations import _utilities, bound_allocations
bound_allocations(int(sys.argv[1]))
(library,) = _utilities()
library.av_malloc.restype = ctypes.c_void_p
print([library.av_malloc(ctypes.c_size_t(size << 20)) is not None for size in (1, 63, 65, 200)])
"""


def test_ffmpeg_keeps_the_bound() -> None:
    """In a process of its own, for it holds for the whole of one."""
    done = subprocess.run(
        [sys.executable, "-c", ALLOCATE, str(64 * MIB)],
        env=python_environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "[True, True, False, False]"


DECODE = """
import sys
from pathlib import Path
from kits.bombs import MIB, large_sample
from flashvsr.video.allocations import bound_allocations
from flashvsr.video.decode import decode
from flashvsr.video.probe import probe
bound_allocations(64 * MIB)
info = probe(large_sample(Path(sys.argv[1]), 400 * MIB))
decoder = decode(info, (64, 64))
frames = sum(1 for _ in decoder)
status = Path("/proc/self/status").read_text()
print(frames, int(status.partition("VmHWM:")[2].split()[0]) >> 10)
"""


def test_a_packet_of_hundreds_of_megabytes_is_left_out(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", DECODE, str(tmp_path / "a.mp4")],
        env=python_environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    frames, megabytes = map(int, done.stdout.split())
    assert frames >= 1
    assert megabytes < 400, "less than the packet alone"


def test_how_large_a_piece_may_be() -> None:
    assert largest_block(0) == largest_block(64 << 30) == 512 * MIB
    assert largest_block(256 * MIB) == 64 * MIB
    assert largest_block(256 * MIB, 8192 * 8192) > 8192 * 8192 * 8, "the pictures themselves go through"
    assert largest_block(0, 1 << 40) < 1 << 31


def test_without_the_library_it_is_said(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(allocations, "_MAPS", Path("/dev/null"))
    allocations._utilities.cache_clear()
    try:
        bound_allocations(64 * MIB)
        assert "not bounded" in caplog.text
    finally:
        allocations._utilities.cache_clear()
