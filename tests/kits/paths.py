"""Where things lie: the tests' data and programs, and what the repository has beside the package."""

from __future__ import annotations

import os
from pathlib import Path

import flashvsr

PACKAGE = Path(flashvsr.__file__).parent
SOURCES = PACKAGE.parent  # what a program needs on its path to import the package

TESTS = Path(__file__).parents[1]
REPOSITORY = TESTS.parent
PROGRAMS = TESTS / "programs"

DATA = TESTS / "data"
CARRIED = DATA / "carried"
CASES = DATA / "cases"
CLIPS = DATA / "clips"
GOLDEN = DATA / "golden"
SEEDS = DATA / "seeds"
DTS = DATA / "sound" / "noise.dts"
VALIDATION_CLIP = DATA / "validation" / "bbb_384x256.mkv"


def python_environment(**more: str) -> dict[str, str]:
    """The environment of a Python process that imports the package, the kits and the programs."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (SOURCES, TESTS))), **more}
