"""The service of the soak: the real one but for its patience with workers that are killed all the time."""

from __future__ import annotations

import sys
from pathlib import Path

from flashvsr.service.pool import Patience
from flashvsr.service.supervisor import Supervisor
from flashvsr.settings.config import load_config
from flashvsr.system import logs

if __name__ == "__main__":
    logs.setup("info")
    # A slot whose workers fail five times within minutes rests for ten; the soak would be spent resting.
    patience = Patience(first=0.2, longest=1.0, failures_before_rest=1_000_000)
    sys.exit(Supervisor(load_config(Path(sys.argv[1])), patience=patience).run())
