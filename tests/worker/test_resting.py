"""A worker that rests stays small: it may do so for days, on a machine that was asked to leave its memory alone."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
import flashvsr.worker.__main__
from flashvsr.upscaling import entry
entry.load_for_ended_jobs()
print("torch" in sys.modules)
"""


def test_it_loads_no_torch() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
