"""Which folders of a job are asked for, and when: as the settings are at that moment."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flashvsr.errors import BadConfig
from flashvsr.files.mounts import ShareAway
from flashvsr.files.trees import Trees
from flashvsr.jobs.schema import Job
from flashvsr.settings.config import Config
from flashvsr.settings.service_tables import ExtraInbox, Paths
from flashvsr.worker import access as module
from flashvsr.worker.access import Access

PATHS = Paths(Path("/in"), Path("/out"), Path("/state"), Path("/models"))
JOB = Job(id=1, inbox="/in/clips", source="/in/clips/a/b.mov", relative="a/b.mov")
OTHERS = Job(id=2, inbox="/films", source="/films/b.mov", relative="b.mov")


class Asked:
    """What the access asked for. `away`: what it is told about."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.config = Config(paths=PATHS, extra_inboxes=(ExtraInbox(path=Path("/films"), outbox=Path("/done")),))
        self.shares: list[Path] = []
        self.writable: list[tuple[Path, Path]] = []
        self.away: Path | None = None
        asked = self

        class Mounts:
            def __init__(self, state: Path, trees: Trees) -> None:
                assert (state, trees) == (PATHS.state, asked.config.trees())

            def check(self, directory: Path) -> None:
                asked.shares.append(directory)
                if directory == asked.away:
                    raise ShareAway(str(directory))

        class Writable:
            def check(self, trees: Trees, *folders: Path) -> None:
                assert trees == asked.config.trees()
                asked.writable.append((folders[0], folders[1]))

        monkeypatch.setattr(module, "Mounts", Mounts)
        monkeypatch.setattr(module, "WritableOutboxes", Writable)
        self.access = Access(lambda: self.config)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    return Asked(monkeypatch)


@pytest.mark.parametrize(("job", "folders"), [(JOB, ["/in/clips", "/out/clips"]), (OTHERS, ["/films", "/done"])])
def test_both_shares_are_asked_for_and_each_alone(asked: Asked, job: Job, folders: list[str]) -> None:
    inbox, outbox = map(Path, folders)
    asked.access.check_shares(job)
    assert set(asked.shares) == {inbox, outbox}
    asked.shares.clear()
    asked.access.check_inbox(job)
    assert asked.shares == [inbox]
    asked.access.check_outbox(job)
    assert asked.shares == [inbox, outbox]


@pytest.mark.parametrize("away", ["/in/clips", "/out/clips"])
def test_either_share_may_be_away(asked: Asked, away: str) -> None:
    asked.away = Path(away)
    with pytest.raises(ShareAway, match=away):
        asked.access.check_shares(JOB)


def test_what_is_written_to_is_the_folder_of_the_result_and_the_outbox_is_named_as_in_the_settings(
    asked: Asked,
) -> None:
    asked.access.check_writable(JOB)
    asked.access.check_writable(OTHERS)
    expected: list[Any] = [(Path("/out/clips/a"), Path("/out")), (Path("/done"), Path("/done"))]
    assert asked.writable == expected


def test_new_settings_hold_at_once(asked: Asked) -> None:
    asked.config = replace(asked.config, extra_inboxes=())
    for check in (asked.access.check_shares, asked.access.check_outbox, asked.access.check_writable):
        with pytest.raises(BadConfig, match="no longer an inbox"):
            check(OTHERS)
    asked.access.check_inbox(OTHERS)
