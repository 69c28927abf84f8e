"""Looks at the files of jobs that wait, while the worker works: what will be made of them is shown to people."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from flashvsr.errors import BadConfig, BadInput, Damaged, FlashVSRError
from flashvsr.inbox.presets import version_of
from flashvsr.jobs.forecasts import forecast_of
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import Job
from flashvsr.settings.config import Config
from flashvsr.settings.preset import PRESET_NAME, Preset, load_preset, preset_to_json

if TYPE_CHECKING:
    from flashvsr.upscaling.entry import Upscaling

log = logging.getLogger(__name__)

STEP_SECONDS = 2.0
LOOKED_AT = 100  # of a flood, those that come next
PATIENCE_SECONDS = 60.0  # until a file that could not be looked at is tried again
_BASIS = "preset"  # in a forecast: which preset it was made with


class Foresight(threading.Thread):
    """Forecasts for jobs that wait. `config`: the settings as they are now. A daemon thread: nothing waits for it."""

    def __init__(self, queue: Queue, config: Callable[[], Config], upscaling: Upscaling) -> None:
        super().__init__(name="foresight", daemon=True)
        self._queue = queue
        self._config = config
        self._upscaling = upscaling
        self._stopped = threading.Event()
        self._tried: dict[int, float] = {}  # job -> when it may be tried again
        self._presets: dict[Path, tuple[object, Preset]] = {}  # by inbox, each with what it was read from

    def run(self) -> None:
        """Look for jobs to foresee, until `stop`."""
        while not self._stopped.wait(STEP_SECONDS):
            try:
                self.step()
            except Damaged:
                return  # the worker itself finds that out, and says so
            except FlashVSRError as error:
                log.debug("what waits could not be looked at: %s", error)

    def stop(self) -> None:
        """Begin no further file."""
        self._stopped.set()

    def step(self) -> None:
        """Foresee what has not been yet, or was with another preset."""
        presets: dict[str, Preset | None] = {}
        jobs = self._queue.forecasts.waiting(LOOKED_AT)
        self._forget(jobs)
        for job in jobs:
            if job.inbox not in presets:
                presets[job.inbox] = self._preset(Path(job.inbox))
            preset = presets[job.inbox]
            if self._stopped.is_set():
                return
            if preset is not None and self._is_due(job, preset):
                self._look(job, preset)

    def _forget(self, jobs: Sequence[Job]) -> None:
        """Keep nothing about jobs that wait no more, and their inboxes."""
        numbers, inboxes = {job.id for job in jobs}, {Path(job.inbox) for job in jobs}
        self._tried = {number: moment for number, moment in self._tried.items() if number in numbers}
        self._presets = {inbox: known for inbox, known in self._presets.items() if inbox in inboxes}

    def _preset(self, inbox: Path) -> Preset | None:
        """That of the inbox as it is now; None where it has errors, which hold its jobs, or cannot be reached."""
        trees, quality = self._config().trees(), self._config().export.quality
        version = version_of(trees, inbox / PRESET_NAME), quality
        known = self._presets.get(inbox)
        if known is not None and known[0] == version:  # it lies on a share: not read again and again
            return known[1]
        try:
            preset = load_preset(trees, inbox / PRESET_NAME, quality)
        except (BadConfig, OSError):
            return None
        self._presets[inbox] = version, preset
        return preset

    def _is_due(self, job: Job, preset: Preset) -> bool:
        known = forecast_of(job).get(_BASIS) == _digest(job, preset)
        return not known and self._tried.get(job.id, 0.0) <= time.monotonic()

    def _look(self, job: Job, preset: Preset) -> None:
        try:
            found = asdict(self._upscaling.forecast(Path(job.source), preset, self._config(), job.forced))
        except BadInput as error:
            found = {"refused": str(error)}
        except (FlashVSRError, OSError) as error:
            log.debug("job %d could not be looked at: %s", job.id, error)
            self._tried[job.id] = time.monotonic() + PATIENCE_SECONDS
            return
        self._tried.pop(job.id, None)
        self._queue.forecasts.note(job.id, json.dumps({_BASIS: _digest(job, preset)} | found))


def _digest(job: Job, preset: Preset) -> str:
    made = replace(preset, priority=0)  # which decides when, not what
    return hashlib.sha256(f"{preset_to_json(made)} {job.forced}".encode()).hexdigest()[:16]
