"""Shares that go away while a job runs, with real mounts."""

from __future__ import annotations

import pytest

from flashvsr.errors import BadInput
from flashvsr.worker import sweep
from kits.mounts import MakeMount
from kits.played import FRAMES, Bench


@pytest.mark.parametrize("moment", ["start", 5, "publish"])
def test_an_outbox_that_goes_away_is_waited_for(bench: Bench, mount: MakeMount, moment: int | str) -> None:
    share = mount(bench.root / "outbox")
    number = bench.add()
    bench.upscaling.at[moment] = share.detach
    bench.loop.step()
    job = bench.job(number)
    assert (job.state, job.attempts, job.error_kind) == ("queued", 0, "transient")
    assert list(share.point.iterdir()) == []  # nothing was written to the local directory
    bench.upscaling.at.clear()
    bench.make_due(number)
    bench.loop.step()  # still away: noticed before the work
    assert f"nothing is mounted at {share.point}" in bench.job(number).error
    assert 0 < bench.delay(number) <= 10
    assert len(bench.upscaling.tasks) == 1
    assert (bench.inbox / "clip.mov").exists()

    share.attach()
    bench.make_due(number)
    bench.loop.step()
    assert bench.job(number).state == "done"
    assert [path.name for path in bench.outbox.iterdir() if not path.name.startswith(".")] == ["clip.mp4"]


def test_a_published_result_is_not_taken_for_missing_while_its_share_is_away(bench: Bench, mount: MakeMount) -> None:
    share = mount(bench.root / "outbox")
    number = bench.add()

    class Killed(BaseException):
        pass

    def killed() -> None:
        share.detach()
        raise Killed

    bench.upscaling.at["published"] = killed
    with pytest.raises(Killed):
        bench.loop.step()
    bench.queue.claims.recover(lambda owner: True)
    bench.upscaling.at.clear()
    bench.new_loop().step()
    assert bench.job(number).state == "queued"
    share.attach()
    bench.make_due(number)
    bench.new_loop().step()
    assert bench.job(number).state == "done"
    assert len(bench.upscaling.tasks) == 1
    assert bench.outputs() == ["clip.mp4"]


def test_what_a_failure_leaves_waits_for_the_share(
    bench: Bench, mount: MakeMount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "SWEEP_SECONDS", 0.0)
    share = mount(bench.root / "outbox")
    broken, empty = bench.add("broken.mov"), bench.add("empty.mov")

    def fail() -> None:
        share.detach()
        raise BadInput("the picture data ends")

    bench.upscaling.at[5] = fail
    bench.loop.step()
    assert bench.job(broken).state == "failed"
    share.attach()
    bench.upscaling.at["start"] = fail  # before there are any chunks
    bench.loop.step()
    assert bench.job(empty).state == "failed"
    assert list(share.point.iterdir()) == []
    share.attach()
    bench.new_loop().step()
    assert bench.outputs() == ["broken.mov.error.txt", "broken_partial.mp4", "empty.mov.error.txt"]


def test_an_inbox_that_goes_away_is_no_deletion(bench: Bench, mount: MakeMount) -> None:
    """Bind mounts on one file system have one device number: only the mount table tells."""
    share = mount(bench.root / "inbox")
    bench.inbox.mkdir()
    number = bench.add()
    bench.new_loop().step()
    assert bench.job(number).state == "done"
    number = bench.add("b.mov")
    share.detach()
    assert bench.inbox.is_dir()  # on the local disk, below the mount point
    bench.new_loop().step()
    job = bench.job(number)
    assert (job.state, job.attempts) == ("queued", 0)
    assert f"nothing is mounted at {share.point}" in job.error
    assert list((share.point / "clips").iterdir()) == []  # no preset was written there
    share.attach()
    bench.make_due(number)
    bench.new_loop().step()
    assert (bench.job(number).state, bench.job(number).frames_done) == ("done", FRAMES)
