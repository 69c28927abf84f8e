"""`python -m flashvsr` is the `flashvsr` command."""

from __future__ import annotations

import sys

from flashvsr.cli import main

if __name__ == "__main__":
    sys.exit(main())
