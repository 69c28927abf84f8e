"""Runs the soak; see soak.py."""

import sys
from pathlib import Path

if __name__ == "__main__":
    tests = Path(__file__).resolve().parents[2]
    sys.path[1:1] = [str(tests)]
    from measure.soak.soak import main

    sys.exit(main())
