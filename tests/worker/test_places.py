"""Where the files of a job are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from flashvsr.errors import BadConfig, BadInput
from flashvsr.jobs.rows import LARGEST_NUMBER
from flashvsr.jobs.schema import Job
from flashvsr.settings.config import Config
from flashvsr.settings.preset import Preset
from flashvsr.settings.service_tables import ExtraInbox, Paths
from flashvsr.worker import places

CONFIG = Config(
    paths=Paths(Path("/in"), Path("/out"), Path("/state"), Path("/models")),
    extra_inboxes=(
        ExtraInbox(path=Path("/films"), outbox=Path("/done/films")),
        ExtraInbox(path=Path("/series"), outbox=Path("/done/series")),
    ),
)


def job(inbox: str, relative: str = "a/b/c.mov") -> Job:
    return Job(id=7, inbox=inbox, source=f"{inbox}/{relative}", relative=relative)


@pytest.mark.parametrize(
    ("inbox", "root", "outbox"),
    [
        ("/in/clips", "/out", "/out/clips"),
        ("/films", "/done/films", "/done/films"),
        ("/series", "/done/series", "/done/series"),
    ],
)
def test_each_inbox_has_its_outbox(inbox: str, root: str, outbox: str) -> None:
    assert places.outbox_root(CONFIG, job(inbox)) == Path(root)
    assert places.outbox_of(CONFIG, job(inbox)) == Path(outbox)
    assert places.result_folder(CONFIG, job(inbox)) == Path(outbox, "a", "b")
    assert places.archive_of(CONFIG, job(inbox)) == Path("/state/archive", Path(inbox).name)


@pytest.mark.parametrize("inbox", ["/in", "/in/clips/deeper", "/gone", "/films/deeper"])
def test_what_is_no_inbox_any_more_is_said_with_what_to_do(inbox: str) -> None:
    with pytest.raises(BadConfig, match=rf"{inbox} is no longer an inbox.*flashvsr cancel 7$"):
        places.outbox_of(CONFIG, job(inbox))
    with pytest.raises(BadConfig, match="no longer an inbox"):
        places.result_folder(CONFIG, job(inbox))


def test_the_work_on_a_job() -> None:
    preset = replace(Preset(), container="mkv")
    task = places.task_of(CONFIG, job("/films"), preset)
    assert (task.source, task.target) == (Path("/films/a/b/c.mov"), Path("/done/films/a/b/c.mkv"))
    assert (task.preset, task.workdir, task.job_id) == (preset, Path("/state/jobs/7"), 7)
    assert task.trees == CONFIG.trees()
    assert places.work_directory(CONFIG, 7) == task.workdir
    assert places.ending_marker(CONFIG, 7)._path == Path("/state/jobs/7.ending")


def test_nothing_leads_out_of_an_outbox() -> None:
    for place in (places.result_folder, lambda config, job: places.task_of(config, job, Preset())):
        with pytest.raises(BadInput):
            place(CONFIG, job("/films", "../c.mov"))


def test_what_is_left_behind_is_told_by_its_name(tmp_path: Path) -> None:
    jobs = tmp_path / "jobs"
    for name in ("3", "4.ending", "5", "5.ending", str(LARGEST_NUMBER), str(LARGEST_NUMBER + 1), "notes", "x.ending"):
        (jobs / name).mkdir(parents=True)
    config = replace(CONFIG, paths=replace(CONFIG.paths, state=tmp_path))
    assert places.left_behind(config) == {3, 4, 5, LARGEST_NUMBER}
