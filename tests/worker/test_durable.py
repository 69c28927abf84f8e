"""From the last frame to the end of the source: each step is on the disk before the next one relies on it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from flashvsr.errors import BadInput, Cancelled
from flashvsr.files.trees import NO_LINKS
from flashvsr.settings.config import Config
from flashvsr.settings.preset import Preset
from flashvsr.settings.processing_tables import Chunks
from flashvsr.upscaling.report import Report
from flashvsr.upscaling.salvage import salvage
from flashvsr.upscaling.task import Task
from kits.chain import Watching, chain
from kits.durable import Steps
from kits.played import Bench
from kits.videos import numbered, write_video

SETTINGS = Config(chunks=Chunks(size=16))


class Recording(Watching):
    def __init__(self, steps: Steps) -> None:
        super().__init__()
        self._steps = steps

    def publishing(self, report: Report, size: int, mtime_ns: int) -> None:
        self._steps.note("record")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_video(tmp_path / "clip.mp4", [numbered(number) for number in range(24)])


def test_a_result_is_recorded_when_it_is_on_the_disk(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = Steps(monkeypatch, tmp_path)
    chain(clip, tmp_path, SETTINGS, Recording(steps), report=True)
    told = [re.sub(r"(chunk-\d+)-[-0-9a-f]+", r"\1", step) for step in steps.about("chunk-", "work/", "out/", "record")]
    result = [
        "sync out/.flashvsr.mp4.part",
        "record",
        "name out/.flashvsr.mp4.part -> out/clip.mp4",
        *["remove out/.flashvsr.mp4.part", "sync out/"],
    ]
    record = told.index("record")
    assert told[record - 1 : record + 4] == result
    last_chunk = told.index("name work/chunk-000000016.tmp -> work/chunk-000000016.nut")
    assert told[last_chunk + 1] == "sync work/"
    assert last_chunk < record
    assert not steps.about("unsynced")
    assert told[-1] == "sync out/", "the report is there to stay, too"
    assert told[-3] == "name out/.flashvsr.tmp -> out/clip.mp4.report.toml"


def test_a_partial_video_is_noted_when_it_is_on_the_disk(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Cancelled):
        chain(clip, tmp_path, SETTINGS, Watching(stop_at=24, error=Cancelled("cancelled")))
    steps = Steps(monkeypatch, tmp_path)
    task = Task(clip, tmp_path / "out" / "clip.mp4", Preset(), tmp_path / "work", 1, NO_LINKS)
    assert salvage(task, SETTINGS, "cancelled") is not None
    assert steps.about("out/", "work/") == [
        "sync out/.flashvsr.mp4.part",
        *["sync work/.flashvsr.tmp", "name work/.flashvsr.tmp -> work/partial.json", "sync work/"],
        "name out/.flashvsr.mp4.part -> out/clip_partial.mp4",
        *["remove out/.flashvsr.mp4.part", "sync out/"],
    ]


def watched(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Steps:
    """Steps on the disk and the queue's words for what becomes of a job."""
    steps = Steps(monkeypatch, bench.root)
    claims, history = bench.queue.claims, bench.queue.history
    parts = dict.fromkeys(("publishing", "finish", "fail", "cancelled"), claims)
    for name, part in (parts | dict.fromkeys(("settled", "add_partial"), history)).items():
        call = getattr(part, name)

        def noted(*arguments: object, name: str = name, call: object = call, **options: object) -> object:
            result = call(*arguments, **options)
            steps.note(name)
            return result

        monkeypatch.setattr(part, name, noted)
    return steps


RESULT = [
    "publishing",
    "name outbox/clips/.flashvsr.mp4.part -> outbox/clips/clip.mp4",
    "remove outbox/clips/.flashvsr.mp4.part",
    "sync outbox/clips/",
    "finish",
]
GONE = {
    "archive": [
        "name inbox/clips/clip.mov -> state/archive/clips/clip.mov",
        "sync state/archive/clips/",
        "sync inbox/clips/",
    ],
    "delete": [
        "name inbox/clips/clip.mov -> inbox/clips/.flashvsr.part",
        "remove inbox/clips/.flashvsr.part",
        "sync inbox/clips/",
    ],
    "keep": [],
}


@pytest.mark.parametrize("action", GONE)
def test_a_source_goes_when_its_result_is_recorded(action: str, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.config = replace(bench.config, watch=replace(bench.config.watch, on_success=action))
    bench.add()
    loop = bench.new_loop()
    steps = watched(bench, monkeypatch)
    loop.step()
    wanted = [*RESULT, *GONE[action], "settled", "remove state/jobs/1/"]
    told = [step.replace("remove state/jobs/1", "remove state/jobs/1/") for step in steps.taken]
    assert [step for step in told[told.index("publishing") :] if step in wanted] == wanted
    assert "sync outbox/clips/.flashvsr.mp4.part" in told[: told.index("publishing")]
    assert not steps.about("unsynced")


def test_a_failure_is_recorded_when_what_tells_of_it_is_on_the_disk(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.add()
    bench.fail_at(5, BadInput("broken"))
    steps = watched(bench, monkeypatch)
    bench.loop.step()
    told = steps.taken[: steps.taken.index("fail")]
    assert told.index("name outbox/clips/.flashvsr.tmp -> outbox/clips/clip.mov.error.txt") < told.index(
        "sync outbox/clips/"
    )
    assert steps.taken.index("remove state/jobs/1") > steps.taken.index("fail"), "the chunks go last"
    assert not steps.about("unsynced")
