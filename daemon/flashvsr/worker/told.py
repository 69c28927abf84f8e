"""What the log says of jobs that have ended: one line for each."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from flashvsr.jobs.schema import SKIPPED
from flashvsr.system import logs
from flashvsr.system.spans import length_text
from flashvsr.system.text import printable

if TYPE_CHECKING:
    from flashvsr.upscaling.report import Report

log = logging.getLogger(__name__)


def tell_done(report: Report) -> None:
    """Log the warnings, and "done: clip.mp4: 640x360 -> 1280x720, 250 frames in 3 min 20 s, 1.3 frames/s"."""
    for warning in report.warnings:
        log.warning("%s", warning)
    width, height = (report.source.get(side) for side in ("width", "height"))
    source = f"{width}x{height} -> " if width and height else ""
    result = "{}x{}".format(*report.geometry.output)
    before = f", {report.resumed_at} of them in earlier attempts" if report.resumed_at else ""
    frames = f"{report.frames} frames{before}{',' if before else ''} in {length_text(report.seconds)}"
    log.info("done: %s: %s%s, %s, %.1f frames/s", printable(report.result), source, result, frames, report.fps)


def tell_ended(ending: str, source: str, message: str) -> None:
    """Log how a job ended that has no result. `ending`: its state; `message`: may have several lines."""
    level = logging.INFO if ending == SKIPPED else logging.WARNING
    logs.each_line(log, level, f"{ending}: {printable(source)}: {message}")


def tell_put_back(message: str, delay: float, *, again: bool = False) -> None:
    """Log why a job does not go on now. `delay`: seconds until it may be tried again, 0 if it need not wait.

    `again`: the same was told of its last try, and is only of interest to those who look for details.
    """
    when = f"again in {delay:.0f} s" if delay else "goes on later"
    level = logging.DEBUG if again else logging.WARNING if delay else logging.INFO
    logs.each_line(log, level, f"{message}; {when}")
