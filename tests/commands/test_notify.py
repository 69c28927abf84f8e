"""`flashvsr notify test`, and what `flashvsr check` says of [notify]."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flashvsr.commands import check
from flashvsr.notify import sending
from flashvsr.settings.config import Config
from flashvsr.settings.notify_table import Notify
from kits.commands import called
from kits.receiver import SECRET, Receiver, receivers

pytest.importorskip("apprise")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    yield from receivers()


def settings(tmp_path: Path, *urls: str) -> Path:
    path = tmp_path / "flashvsr.toml"
    addresses = ", ".join(f'"{url}"' for url in urls)
    path.write_text(f'[paths]\nstate = "{tmp_path / "state"}"\n[notify]\nurls = [{addresses}]\n')
    return path


def test_one_message_to_each_and_what_came_of_it(
    tmp_path: Path, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    config = settings(tmp_path, receiver.url, f"json://127.0.0.1:1/{SECRET}", f"nosuch://{SECRET}")
    done = called(capsys, "--config", config, "notify", "test")
    assert done.returncode == 1
    first, second, third = done.stdout.splitlines()
    assert first == "OK    address 1 of notify.urls (json): sent"
    assert second.startswith("TODO  address 2 of notify.urls (json): not sent: no connection; is the address right")
    assert third.startswith("TODO  address 3 of notify.urls (nosuch): Apprise knows no such address")
    (text,) = receiver.texts
    assert "This is a test" in text
    assert SECRET not in done.stdout + done.stderr


def test_all_is_well(tmp_path: Path, receiver: Receiver, capsys: pytest.CaptureFixture[str]) -> None:
    assert called(capsys, "--config", settings(tmp_path, receiver.url), "notify", "test").returncode == 0


def test_nobody_to_tell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = called(capsys, "--config", settings(tmp_path), "notify", "test")
    assert done.returncode == 1
    assert "notify.urls is empty" in done.stderr


def test_without_the_package(
    tmp_path: Path, receiver: Receiver, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flashvsr.commands.notify.send", lambda messages: [sending.MISSING] * len(messages))
    done = called(capsys, "--config", settings(tmp_path, receiver.url), "notify", "test")
    assert done.returncode == 1
    assert "pip install 'flashvsr[notify]'" in done.stderr


def test_check_looks_at_the_addresses_and_sends_nothing(receiver: Receiver) -> None:
    found = list(check._notify(Config(notify=Notify(urls=(receiver.url, f"nosuch://{SECRET}")))))
    assert [(item.subject, item.problem is None) for item in found] == [
        ("address 1 of notify.urls (json)", True), ("address 2 of notify.urls (nosuch)", False)
    ]  # fmt: skip
    assert found[0].note.startswith("tells failed, queue_empty")
    assert SECRET not in repr(found)
    assert receiver.messages == []
    assert list(check._notify(Config())) == []


def test_check_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "is_available", lambda: False)
    (finding,) = check._notify(Config(notify=Notify(urls=("json://x",))))
    assert "pip install 'flashvsr[notify]'" in (finding.problem or "")


def test_check_finds_addresses_that_everybody_can_read(tmp_path: Path) -> None:
    path = settings(tmp_path)
    config = Config(notify=Notify(ping=f"https://{SECRET}"), origin=path)
    path.chmod(0o644)
    (finding,) = check._notify(config)
    assert f"chmod 600 {path}" in (finding.problem or "")
    assert SECRET not in repr(finding)
    path.chmod(0o640)
    assert list(check._notify(config)) == []
