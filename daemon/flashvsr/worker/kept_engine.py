"""The model of this worker: loaded at the first job, kept for the next ones."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from flashvsr.errors import FlashVSRError, Interrupted, Transient
from flashvsr.settings.config import Config
from flashvsr.worker.faults import CONFIG_SECONDS

if TYPE_CHECKING:
    from flashvsr.upscaling.engine import AnyEngine
    from flashvsr.upscaling.entry import Upscaling

log = logging.getLogger(__name__)


class KeptEngine:
    """Loads the engine when it is first asked for.

    `problem`: why it cannot be loaded, for people; None while nothing is known to be wrong. `broken`: this process
    holds half a model, and a new one has to do the work.
    """

    def __init__(self, upscaling: Upscaling) -> None:
        self._upscaling = upscaling
        self._engine: AnyEngine | None = None
        self._next_try = 0.0
        self.problem: str | None = None
        self.broken = False

    @property
    def rests(self) -> bool:
        """Whether it failed a moment ago, so that no job need begin now."""
        return time.monotonic() < self._next_try

    @property
    def loaded(self) -> bool:
        """Whether it is there."""
        return self._engine is not None

    def forget(self) -> None:
        """The settings ask for another model: it is loaded at the next job."""
        self._engine, self._next_try, self.problem = None, 0.0, None

    def get(self, config: Config, tell: Callable[[str], None]) -> AnyEngine:
        """Return the engine. Fetching its weights may take minutes: `tell` hears of it, and may raise Interrupted.

        Raises BadConfig, Transient or another FlashVSRError while it cannot be had.
        """
        if self._engine is None:
            self._engine = self._load(config, tell)
        return self._engine

    def _load(self, config: Config, tell: Callable[[str], None]) -> AnyEngine:
        try:
            engine = self._upscaling.load_engine(config, tell)
        except Interrupted:
            raise
        except Exception as error:
            self._next_try = time.monotonic() + CONFIG_SECONDS
            self.problem = f"the model cannot be loaded: {str(error) or type(error).__name__}"
            if isinstance(error, FlashVSRError):
                raise
            log.exception("the model cannot be loaded; a new worker tries again")
            self.broken = True  # whatever half of it is in memory goes with the process
            raise Transient(self.problem) from error
        self.problem = None
        return engine
