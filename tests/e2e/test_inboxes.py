"""Files and inboxes that the real service has to be patient with: bad ones, slow copies, full disks. One service for
all of them, each test with an inbox of its own: to start one takes more than what they ask of it.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flashvsr.jobs.schema import Job
from kits.media_facts import facts
from kits.mounts import MakeMount
from kits.real_service import LONGER, PRESET, RealService, status

pytestmark = pytest.mark.timeout(600)
CLIP = "movie-hello.mp4"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealService]:
    made = RealService(tmp_path_factory.mktemp("one") / "service", chunk=8, on_success="keep")
    made.start()
    try:
        yield made
        assert made.stop() == 0
    finally:
        made.close()


def _frames(path: Path) -> int:
    return len(facts(path).video_times)


def _jobs(service: RealService, inbox: Path) -> list[Job]:
    return [job for job in service.jobs() if job.inbox == str(inbox)]


def test_bad_files_fail_with_a_reason_and_others_go_on(service: RealService, clips: Path) -> None:
    inbox, outbox = (
        service.add_inbox("bad", PRESET.replace("scale = 1.0", "scale = 2.0")),
        service.root / "outbox" / "bad",
    )
    old = time.time() - 3600  # complete for long: a young file might still be on its way
    (inbox / "letter.mp4").write_text("Dear reader, this is no video.\n")
    with (clips / CLIP).open("rb") as clip:
        (inbox / "half.mp4").write_bytes(clip.read(100_000))
    for name in ("letter.mp4", "half.mp4"):
        os.utime(inbox / name, (old, old))
    shutil.copyfile(clips / "carphone_pristine.mp4", inbox / "good.mp4")

    for name in ("letter.mp4", "half.mp4"):
        job = service.until_state(name, "done", "failed")
        assert job.state == "failed"
        assert str(job.error_kind).startswith("bad_input")
        assert name in str(job.error)
        assert (inbox / name).exists(), "a source is never lost"
        text = (outbox / f"{name}.error.txt").read_text()
        assert f"flashvsr retry {job.id}" in text
    assert service.until_state("good.mp4", "done", "failed").state == "done"
    assert facts(outbox / "good.mp4").size == (256, 208)  # 176x144, first made 128 wide


def test_a_file_dropped_slowly_starts_only_when_complete(service: RealService, clips: Path) -> None:
    inbox, outbox = service.add_inbox("slow"), service.root / "outbox" / "slow"
    content = (clips / "ocean.webm").read_bytes()
    with (inbox / "slow.webm").open("wb") as file:
        for part in range(4):
            file.write(content[part * len(content) // 4 : (part + 1) * len(content) // 4])
            file.flush()
            time.sleep(1.6)  # longer than the settle time: the open file tells that it goes on
            assert service.job("slow.webm") is None
    assert service.until_state("slow.webm", "done", "failed").state == "done"
    assert _frames(outbox / "slow.mp4") == _frames(clips / "ocean.webm")


def test_the_same_file_is_done_once_and_new_content_again(service: RealService, clips: Path) -> None:
    inbox, outbox = service.add_inbox("same"), service.root / "outbox" / "same"
    shutil.copyfile(clips / "carphone_pristine.mp4", inbox / "same.mp4")
    service.until_state("same.mp4", "done")
    time.sleep(3)  # a few scans
    assert len(_jobs(service, inbox)) == 1
    shutil.copyfile(clips / "ocean.webm", inbox / "same.mp4")
    service.until(lambda: [job.state for job in _jobs(service, inbox)] == ["done", "done"], "both are done")
    assert sorted(path.name for path in outbox.iterdir()) == ["same (2).mp4", "same.mp4"]
    assert _frames(outbox / "same (2).mp4") == _frames(clips / "ocean.webm")


def test_a_broken_preset_holds_its_jobs_until_it_is_mended(service: RealService, clips: Path) -> None:
    inbox = service.add_inbox("broken", "widht = 128\n")
    shutil.copyfile(clips / "carphone_pristine.mp4", inbox / "held.mp4")
    job = service.until_state("held.mp4", "held")
    assert "width" in str(job.error)
    assert "width" in (inbox / "preset.error.txt").read_text()
    assert status(service)["counts"]["held"] == 1
    service.until(lambda: any("widht" in (inbox["preset"] or "") for inbox in status(service)["inboxes"]), "it is told")
    (inbox / "preset.toml").write_text(PRESET)
    assert service.until_state("held.mp4", "done", "failed").state == "done"
    assert not (inbox / "preset.error.txt").exists()


def test_a_full_outbox_is_waited_for_with_a_clear_word_and_nothing_is_lost(
    service: RealService, mount: MakeMount, clips: Path
) -> None:
    inbox, outbox = service.add_inbox("full", LONGER), service.root / "outbox" / "full"
    share = mount(outbox, "8k")  # less than the result will take
    shutil.copyfile(clips / CLIP, inbox / CLIP)
    job = service.until(lambda: (job := service.job(CLIP)) and job.error and job, "a reason to wait")
    assert (job.state, job.attempts, job.error_kind) == ("queued", 0, "space")
    assert str(outbox) in job.error
    assert "make room" in job.error
    (shown,) = (shown for shown in status(service)["jobs"] if shown["id"] == job.id)
    assert "make room" in shown["error"]
    share.resize("16m")
    assert service.until_state(CLIP, "done", "failed").state == "done"
    assert _frames(outbox / CLIP) == _frames(clips / CLIP)
    assert [path.name for path in outbox.iterdir()] == [CLIP]
