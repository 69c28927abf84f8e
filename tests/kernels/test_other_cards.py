"""Kernels compiled for cards that are not here, by NVIDIA's own assembler: they fit, and keep to their registers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from kits.paths import TESTS, python_environment

# Bytes of shared memory that a program may have: CUDA C++ Programming Guide, technical specifications.
KB = 1024
SHARED = {"8.0": 163 * KB, "8.6": 99 * KB, "8.9": 99 * KB, "9.0": 227 * KB, "10.0": 227 * KB, "12.0": 99 * KB}
MOST_SPILLED = 128  # bytes of a thread, which a loop of hundreds of instructions does not feel
# The largest of each kind. All of them take a minute and a half of a processor: ALL_KERNELS=1, where kernels change.
LARGEST = "attention,convolve 512 memory,int8_product 1536 4608"
ALL = bool(os.environ.get("ALL_KERNELS"))


@pytest.fixture(scope="module")
def kernels() -> list[dict[str, Any]]:
    """What each kernel takes on each card."""
    only = () if ALL else ("--only", LARGEST)
    program = TESTS / "programs" / "compile_kernels.py"
    environment = python_environment()
    environment.pop("TRITON_INTERPRET", None)
    done = subprocess.run(
        [sys.executable, program, *only, *SHARED], capture_output=True, text=True, env=environment, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("capability", SHARED)
def test_kernels_fit(kernels: list[dict[str, Any]], capability: str) -> None:
    found = [kernel for kernel in kernels if kernel["capability"] == capability]
    assert len(found) >= (33 if ALL else 3)
    assert [kernel for kernel in found if kernel["shared"] > SHARED[capability]] == []
    assert [kernel for kernel in found if kernel["spilled"] > MOST_SPILLED] == []
    names = {kernel["kernel"] for kernel in found}
    assert ("fp8_attention" in names) == (capability == "9.0"), "attention in 8 bits is Hopper's alone"
