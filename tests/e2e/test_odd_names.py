"""The real service where no name is UTF-8: its settings, all of its directories, inboxes and files."""

from __future__ import annotations

import json
import os
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flashvsr.system.text import from_printable, printable
from kits.media_facts import facts
from kits.nasty import is_safe
from kits.real_service import PRESET, RealService, status

pytestmark = pytest.mark.timeout(300)
CLIP = "movie-hello.mp4"
LATIN_1 = os.fsdecode(b"caf\xe9")
FORGED = os.fsdecode(b"\xff\n\x1b[2JOK  weights: fine \xe2\x80\xae [red]x")


def wrong_preset(inbox: dict[str, Any]) -> bool:
    """Whether the status tells that it is wrong; None is what is not known yet."""
    return inbox["preset"] not in ("ok", None)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[RealService]:
    more = '[preprocess]\nmode = "file"\npreset = "ultrafast"\n'
    made = RealService(tmp_path / LATIN_1, preset=f"{PRESET}report = true\n", more=more)
    yield made
    made.close()


def test_names_that_are_no_text_go_all_the_way(service: RealService, clips: Path) -> None:
    mistaken = service.root / "inbox" / FORGED
    mistaken.mkdir()
    (mistaken / "preset.toml").write_text("widht = 128\n")
    service.start()
    shutil.copyfile(clips / CLIP, mistaken / "waits.mp4")
    damaged = [service.inbox / f"{LATIN_1}{number}{FORGED}.mp4" for number in range(2)]
    for path in damaged:
        path.write_bytes(b"no video " + os.urandom(64))
        os.utime(path, (1e9, 1e9))
    good = f"{FORGED}.mp4"
    shutil.copyfile(clips / CLIP, service.inbox / good)

    pids = set()
    for path in damaged:
        job = service.until_state(path.name, "failed")
        assert (job.attempts, job.error_kind) == (1, "bad_input")
        assert job.error is not None
        assert is_safe(job.error)
        assert printable(path) in job.error
        text = (service.outbox / f"{path.name}.error.txt").read_text(encoding="utf-8")
        assert is_safe(text)
        assert len(text.splitlines()) == 10  # plain words, the reason below a line, whose text this is
        pids.add(service.worker_pid())
    job = service.until_state(good, "done", "failed")
    assert job.state == "done", job.error
    pids.add(service.worker_pid())
    assert len(pids) == 1, "no worker ended"
    service.until(lambda: service.job(good).archived, "the source is archived")

    assert len(facts(service.outbox / good).video_times) == len(facts(clips / CLIP).video_times)
    assert Path(service.job(good).archived or "").read_bytes() == (clips / CLIP).read_bytes()
    assert service.until_state("waits.mp4", "held").inbox == str(mistaken)
    report = tomllib.loads((service.outbox / f"{good}.report.toml").read_text(encoding="utf-8"))
    assert from_printable(report["result"]) == str(service.outbox / good)
    assert from_printable(report["source"]["path"]) == str(service.inbox / good)
    (record,) = (service.state / "records").glob(f"{job.id}.json")
    assert json.loads(record.read_text())["source"] == str(service.inbox / good)

    service.until(lambda: any(map(wrong_preset, status(service)["inboxes"])), "the preset is told")
    told = status(service)
    assert {from_printable(found["source"]) for found in told["jobs"]} == {
        *map(str, damaged), str(service.inbox / good), str(mistaken / "waits.mp4")
    }  # fmt: skip
    assert from_printable(told["service"]["state"]) == str(service.state)
    (wrong,) = filter(wrong_preset, told["inboxes"])
    assert from_printable(wrong["path"]) == str(mistaken)
    assert 'did you mean "width"' in wrong["preset"]
    assert service.stop() == 0
    assert is_safe(service.log.read_text(encoding="utf-8"))
    assert "Traceback" not in service.log.read_text(encoding="utf-8")
