"""What the demo says at its end."""

from __future__ import annotations

from pathlib import Path

from flashvsr.commands.demo import _summary
from kits.played import Bench


def test_its_rate_is_said_to_hold_the_start(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    number = bench.add()
    bench.loop.step()
    job = bench.job(number)
    job.frames_done, job.fps = 50, 3.96
    assert _summary(job) == (
        f"model {job.model}, 50 frames at 4.0 frames/s, the start of decoder, model and encoder included; "
        "longer videos go faster"
    )
