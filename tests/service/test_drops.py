"""What people drop into an inbox, however it is named and shaped, against the running service."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kits.paths import python_environment
from kits.service import Service, eventually, services

MakeService = Callable[..., Service]
ODD_NAMES = (
    "new\nline.mp4",
    "quo'te\".mp4",
    "ünï 東京 😀.mp4",
    "-rf.mp4",
    "--config.mp4",
    "raw\udcff\udcfe.mp4",
    "tab\tand $(touch x) `y` %s {z}.mp4",
    "x" * 251 + ".mp4",
    "é" * 125 + ".mov",
)


@pytest.fixture
def make_service(tmp_path: Path) -> Iterator[MakeService]:
    yield from services(tmp_path)


@pytest.fixture
def service(make_service: MakeService) -> Service:
    made = make_service("copy")
    made.wait_for("READY=1")
    return made


def drop(root: Path, *names: str) -> dict[str, bytes]:
    """Make a file of each name below `root`; what is in them."""
    contents = {}
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        contents[name] = b"video " + os.fsencode(name)
        path.write_bytes(contents[name])
    return contents


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def all_settled(service: Service, count: int) -> None:
    def settled() -> bool:
        jobs = service.ask(lambda queue: queue.jobs.select())
        return len(jobs) == count and all(job.state == "done" and job.settled for job in jobs)

    eventually(settled, f"{count} jobs done", 60)


@pytest.mark.slow
def test_odd_names_come_out_byte_for_byte(service: Service) -> None:
    contents = drop(service.inbox, *ODD_NAMES)
    all_settled(service, len(ODD_NAMES))
    results = files(service.root / "outbox" / "clips")
    assert results == {str(Path(name).with_suffix(".mp4")): content for name, content in contents.items()}
    assert files(service.state / "archive" / "clips") == contents
    assert set(files(service.inbox)) == {"preset.toml"}
    assert "x" not in files(service.root)
    shown = flashvsr_status(service, "--all")
    assert "new\\nline.mp4" in shown
    assert "raw\\xff\\xfe.mp4" in shown
    assert all(line.isprintable() for line in service.log().splitlines())


@pytest.mark.slow
def test_a_tree_moved_in_as_a_whole_keeps_its_shape(service: Service) -> None:
    outside = service.root / "season"
    names = ("a.mp4", "e01/b.mp4", "e01/takes/1/c.mp4", "e02/b.mp4", "e02/notes.txt", ".hidden/d.mp4")
    contents = drop(outside, *names)
    outside.rename(service.inbox / "season 1")
    all_settled(service, 4)
    expected = {f"season 1/{name}": content for name, content in contents.items() if "d.mp4" not in name}
    text = expected.pop("season 1/e02/notes.txt")
    assert files(service.root / "outbox" / "clips") == expected
    assert files(service.state / "archive" / "clips") == expected
    assert files(service.inbox)["season 1/e02/notes.txt"] == text


@pytest.mark.slow
def test_files_of_one_stem_do_not_replace_each_other(service: Service) -> None:
    contents = drop(service.inbox, "a.mov", "a.mkv", "a.mp4", "a (2).avi")
    all_settled(service, 4)
    results = files(service.root / "outbox" / "clips")
    assert sorted(results.values()) == sorted(contents.values())
    assert set(results) >= {"a (mov).mp4", "a (mkv).mp4", "a (mp4).mp4", "a (2).mp4"}
    for job in service.ask(lambda queue: queue.jobs.select()):
        assert Path(job.result).read_bytes() == contents[job.relative]


@pytest.mark.slow
def test_two_thousand_files_at_once(make_service: MakeService) -> None:
    service = make_service("idle")
    service.wait_for("READY=1")
    drop(service.inbox, *(f"{number // 100}/{number}.mp4" for number in range(2000)))
    eventually(lambda: service.ask(lambda queue: queue.jobs.counts())["queued"] == 2000, "all of them queued", 60)
    service.wait_for("0 running, 2000 waiting")
    assert len({job.source for job in service.ask(lambda queue: queue.jobs.select())}) == 2000
    shown = flashvsr_status(service)
    assert "2000 waiting" in shown
    assert "and 1980 more that wait: flashvsr status --all" in shown
    assert len(shown.splitlines()) < 50
    assert service.process.poll() is None


def flashvsr_status(service: Service, *options: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "flashvsr", "status", *options, "--config", service.config],
        capture_output=True,
        text=True,
        check=True,
        env=python_environment(COLUMNS="400"),
    ).stdout
