"""Compare the model with golden files: `python tests/golden.py [--device cuda] FILE...`.

Prints, per tensor, the largest error relative to the tensor's standard deviation (for masks: the share of
blocks that differ). Exits with 1 when one is above 1e-4 (masks: 0.1 %).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
from kits.golden_cases import compare


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.backends.cudnn.allow_tf32 = False
    failed = False
    for file in arguments.files:
        print(file)
        for result in compare(file, arguments.device):
            print(f"  {result.name:24} {result.error:9.2e}  {'ok' if result.ok else 'TOO FAR'}")
            failed |= not result.ok
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
