"""Programs run as another account, for tests: of the share's people, or of the service. Needs root."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from kits.paths import SOURCES

NOBODY = 65534  # an account that every machine has

_HOLD = "/run/flashvsr-tests"

# Directories that only root may enter may lie above the interpreter, such as root's home. In a mount namespace of its
# own they are replaced by ones that hold just what is needed.
_OPEN = f"""
set -eu
mount --make-rprivate /
mkdir -p {_HOLD}
mount -t tmpfs tmpfs {_HOLD}
n=0
for place in $PLACES; do n=$((n+1)); mkdir {_HOLD}/$n; mount --rbind "$place" {_HOLD}/$n; done
for closed in $CLOSED; do mount -t tmpfs -o mode=755 tmpfs "$closed"; done
n=0
for place in $PLACES; do n=$((n+1)); mkdir -p "$place"; mount --rbind {_HOLD}/$n "$place"; done
unset PLACES CLOSED
exec "$@"
"""


def run_in_reach(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command as root where other accounts can run this interpreter too; what came of it."""
    needed = {Path(sys.base_prefix), Path(sys.prefix), SOURCES}
    closed = {above for place in needed for above in place.parents if not above.stat().st_mode & 0o001}
    topmost = {place for place in closed if not closed & set(place.parents)}
    hidden = [place for place in sorted(needed) if topmost & set(place.parents)]
    places = {"PLACES": " ".join(map(str, hidden)), "CLOSED": " ".join(map(str, topmost))}
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", _OPEN, "sh", *map(str, command)],
        capture_output=True,
        text=True,
        env=os.environ | environment | places,
        timeout=90,
    )


def as_nobody(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command as an account that has nothing of its own and may read only what everybody may."""
    account = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    return run_in_reach(*account, *command, **environment)
