"""How states and numbers read, wherever people read them: one word for one thing."""

from __future__ import annotations

import time

from flashvsr.jobs.schema import FAILED, state_word
from flashvsr.status.snapshot import QueueState, ServiceState


def counts_text(queue: QueueState) -> str:
    """For example "1 running, 12 waiting, 3 failed (1 today)"; "none" if there are no jobs."""
    parts = []
    for state, number in queue.counts.items():
        today = f" ({queue.failed_today} today)" if state == FAILED and queue.failed_today else ""
        if number:
            parts.append(f"{number} {state_word(state)}{today}")
    return ", ".join(parts) or "none"


def service_text(service: ServiceState) -> str:
    """For example "running, process 12; stopping: running jobs are finished first", or "not running"."""
    if service.process is None:
        return "not running"
    return f"running, process {service.process}{'; ' if service.doing else ''}{service.doing}"


def clock_text(seconds: float) -> str:
    """Date and time of day, as the machine's clock shows them."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
