"""`flashvsr run`: the service."""

from __future__ import annotations

import argparse
import logging
import shlex

from flashvsr.service.supervisor import Supervisor
from flashvsr.settings.config import Config
from flashvsr.system import logs
from flashvsr.system.account import refuse_as_root
from flashvsr.system.version import VERSION

log = logging.getLogger("flashvsr")


def run(config: Config, _options: argparse.Namespace) -> int:
    """Serve until stopped; returns the exit code. BadConfig for root where the state is another account's."""
    refuse_as_root(
        config.paths.state, ("run", "--config", shlex.quote(str(config.origin))) if config.origin else ("run",)
    )
    logs.setup(config.service.log_level)
    log.info("flashvsr %s, settings from %s", VERSION, config.origin or "the defaults")
    for note in config.notes:
        log.warning("%s", note)
    return Supervisor(config).run()
