"""Pictures of what a result gained: beside it, if its preset asks for that, and a small one for the status page."""

from __future__ import annotations

import logging
from pathlib import Path

from flashvsr.errors import FlashVSRError
from flashvsr.files.texts import write_replacing_bytes
from flashvsr.outbox.publish import Outbox
from flashvsr.system.text import printable
from flashvsr.upscaling.plan import Plan
from flashvsr.video.comparison import labelled, small
from flashvsr.video.media import hold_source
from flashvsr.video.picture import pair_of

log = logging.getLogger(__name__)


def show(plan: Plan, result: Path) -> list[str]:
    """Make the pictures of a published result, while its source is held.

    Returns what a person should know of those that could not be made. The result is out: nothing that goes wrong here
    is a reason to do it again, so nothing is raised.
    """
    task = plan.task
    if not task.preset.compare and task.thumbnail is None:
        return []
    try:
        with hold_source(task.trees, result):
            pair = pair_of(plan.source, result, geometry=plan.geometry, scan=plan.scan)
        if task.thumbnail is not None:
            write_replacing_bytes(task.thumbnail, small(pair))
        if task.preset.compare:
            Outbox(task.trees).write_picture(result, labelled(pair, (plan.source.width, plan.source.height)))
    except Exception as error:
        # Also one that nobody has thought of: it would fail a job that is done.
        expected = isinstance(error, FlashVSRError | OSError)
        log.warning("no picture of the gain in %s: %s", printable(result), error, exc_info=None if expected else error)
        return (
            [f"the picture that compares source and result could not be made: {error}"] if task.preset.compare else []
        )
    return []
