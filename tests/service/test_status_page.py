"""The status page of a real service, from its start to its end."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kits.service import Service, eventually, services

MakeService = Callable[..., Service]


@pytest.fixture
def make_service(tmp_path: Path) -> Iterator[MakeService]:
    yield from services(tmp_path)


def due(page: Path) -> bool | None:
    """Whether a page says that another one will follow; None if there is none."""
    try:
        return bool(re.search(r'data-due="\d+"', page.read_text()))
    except FileNotFoundError:
        return None


@pytest.mark.slow
def test_it_follows_the_queue_and_says_goodbye(make_service: MakeService, tmp_path: Path) -> None:
    outbox = tmp_path / "outbox"
    outbox.mkdir()
    service = make_service("idle")
    service.wait_for("READY=1")
    service.add_job("a film.mp4")
    page, text = outbox / "STATUS.html", outbox / "STATUS.txt"
    eventually(lambda: due(page) and "clips/a film.mp4" in text.read_text(), "the job is on the page")
    assert str(tmp_path) not in page.read_text() + text.read_text()
    assert service.stop() == 0
    assert due(page) is False
    assert "stopped in good order" in text.read_text()
    assert sorted(entry.name for entry in outbox.iterdir()) == ["STATUS.html", "STATUS.txt"]


def test_a_killed_service_leaves_a_page_that_tells_of_it(make_service: MakeService, tmp_path: Path) -> None:
    page = tmp_path / "outbox" / "STATUS.html"
    page.parent.mkdir()
    service = make_service("idle")
    eventually(lambda: due(page), "a page")
    service.send(signal.SIGKILL)
    service.process.wait()
    assert due(page), "by which anybody sees that there was no sign since"


def test_no_page_is_written_where_none_is_wanted(make_service: MakeService, tmp_path: Path) -> None:
    outbox = tmp_path / "outbox"
    outbox.mkdir()
    service = make_service("idle")
    eventually(lambda: due(outbox / "STATUS.html"), "a page")
    service.configure("[status]\npage = false")
    service.send(signal.SIGHUP)
    eventually(lambda: not list(outbox.iterdir()), "the pages go")
