"""The service tells people: once over kills and restarts, without waiting, and without showing an address."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from flashvsr.cli import main
from kits.paths import python_environment
from kits.receiver import SECRET, Receiver, receivers
from kits.service import Service, eventually, services

pytest.importorskip("apprise")

QUICK = {"gather": 0.1, "pause": 0.2, "retry": 0.2, "step": 0.05, "rise": 0.2}
NEVER = QUICK | {"gather": 3600.0}  # nothing is sent before the service is killed

MakeService = Callable[..., Service]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    yield from receivers()


@pytest.fixture
def make_service(tmp_path: Path) -> Iterator[MakeService]:
    yield from services(tmp_path)


def configure(root: Path, *urls: str, on: str = '"done", "failed", "queue_empty"', more: str = "") -> None:
    """Settings that are there before the service starts."""
    addresses = ", ".join(f'"{url}"' for url in urls)
    folders = "\n".join(f'{name} = "{root / name}"' for name in ("inbox", "outbox", "state", "models"))
    (root / "flashvsr.toml").write_text(
        f"[paths]\n{folders}\n[watch]\npoll_seconds = 0.2\nsettle_seconds = 0.1\n"
        f"[notify]\nurls = [{addresses}]\non = [{on}]\n{more}\n"
    )


def finish_a_job(service: Service, name: str = "clip.mp4") -> None:
    job = service.add_job(name)
    service.root.joinpath("finish").touch()
    eventually(lambda: service.job(job).state == "done", "the end of the job")


def pending(service: Service) -> list[Any]:
    found: list[Any] = service.ask(lambda queue: queue.notices.pending(100))
    return found


def all_told(service: Service) -> bool:
    return not pending(service)


@pytest.mark.slow
def test_a_kill_between_event_and_message_tells_once(
    make_service: MakeService, tmp_path: Path, receiver: Receiver
) -> None:
    configure(tmp_path, receiver.url)
    first = make_service("work", telling=NEVER)
    finish_a_job(first)
    first.process.kill()
    first.process.wait()
    assert [notice.kind for notice in pending(first)] == ["done", "queue_empty"]
    assert receiver.messages == []
    for _ in range(2):
        again = make_service("idle", telling=QUICK)
        again.wait_for("READY=1")
        eventually(partial(all_told, again), "everything told")
        time.sleep(0.5)
        assert again.stop() == 0
    (text,) = receiver.texts
    assert "1 video is done, nothing waits any more" in text
    assert "clips/clip.mp4 is done: " in text


@pytest.mark.slow
def test_a_message_that_was_under_way_is_told_after_a_kill(
    make_service: MakeService, tmp_path: Path, receiver: Receiver
) -> None:
    configure(tmp_path, receiver.url)
    receiver.hangs = True
    first = make_service("work", telling=QUICK)
    finish_a_job(first)
    assert receiver.asked.wait(30)
    first.process.kill()
    first.process.wait()
    receiver.close()  # what was under way is lost with it
    other = Receiver()
    try:
        configure(tmp_path, other.url)
        make_service("idle", telling=QUICK).wait_for("READY=1")
        eventually(lambda: other.messages, "the message", 30)
    finally:
        other.close()


@pytest.mark.slow
def test_a_server_that_hangs_does_not_hold_up_the_loop(
    make_service: MakeService, tmp_path: Path, receiver: Receiver
) -> None:
    configure(tmp_path, f"{receiver.url}?rto=3600&cto=3600", more=f'ping = "{receiver.ping}"')
    receiver.hangs = True
    service = make_service("work", telling=QUICK | {"ping": 0.2})
    finish_a_job(service)
    assert receiver.asked.wait(30)
    before = service.said.count("WATCHDOG=1")
    time.sleep(2)
    assert service.said.count("WATCHDOG=1") - before >= 4  # one each 0.2 s on an idle machine
    job = service.add_job("other.mp4")
    eventually(lambda: service.job(job).state == "done", "another job")
    begun = time.monotonic()
    assert service.stop() == 0
    assert time.monotonic() - begun < 10


@pytest.mark.slow
def test_no_address_is_shown_anywhere(
    make_service: MakeService, tmp_path: Path, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    receiver.status = 500
    configure(
        tmp_path, receiver.url, f"nosuch://{SECRET}", f"json://127.0.0.1:1/{SECRET}", more=f'ping = "{receiver.ping}"'
    )
    service = make_service("work", telling=QUICK | {"ping": 0.2})
    seen: set[str] = set()
    finish_a_job(service)

    def told() -> bool:
        seen.update(command_lines(service.process.pid))
        log = service.log()
        return all(
            words in log for words in ("HTTP 500", "knows no such address", "no connection", "ping was not taken")
        )

    eventually(told, "all four failures", 60)
    assert any("sending_child.py" in line for line in seen)
    eventually(lambda: "address 1 of notify.urls" in (service.state / "service.json").read_text(), "the problem")
    capsys.readouterr()
    for arguments in (["status"], ["status", "--json"], ["status", "1"], ["notify", "test"]):
        main(["--config", str(service.config), *arguments])
    shown = capsys.readouterr()
    assert "address 1 of notify.urls (json): " in shown.out
    service.send(signal.SIGHUP)
    service.wait_for_log("reload: the configuration applies")
    assert service.stop() == 0
    files = [path for path in service.state.rglob("*") if path.is_file()]
    assert {"queue.db", "service.json", "worker.toml"} <= {path.name for path in files}
    for where, text in {
        "log": service.log(), "systemd": "\n".join(service.said), "commands": shown.out + shown.err,
        "processes": "\n".join(seen), **{str(path): path.read_bytes().decode("latin-1") for path in files},
    }.items():  # fmt: skip
        assert SECRET not in text, where


def command_lines(parent: int) -> set[str]:
    """Of all processes: of the service, and of what it started."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) >= parent:
            try:
                found.add((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
            except OSError:
                continue
    return found


def test_held_videos_and_trouble_are_told(make_service: MakeService, tmp_path: Path, receiver: Receiver) -> None:
    configure(tmp_path, receiver.url, on='"held", "trouble"')
    inbox = tmp_path / "inbox" / "clips"
    inbox.mkdir(parents=True)
    (inbox / "preset.toml").write_text("width = 7\n")
    service = make_service("idle", telling=QUICK)
    service.add_job()
    eventually(lambda: "1 video has to wait" in "".join(receiver.texts), "the held video", 30)
    text = "".join(receiver.texts)
    assert "Mend preset.toml there" in text
    eventually(lambda: "preset.toml" in "".join(receiver.texts) and service.process.poll() is None, "the service")


@pytest.mark.slow
def test_a_reload_brings_other_addresses_and_a_file_of_metrics(
    make_service: MakeService, tmp_path: Path, receiver: Receiver
) -> None:
    configure(tmp_path)
    service = make_service("work", telling=QUICK)
    service.wait_for("READY=1")
    path = tmp_path / "flashvsr.prom"
    configure(tmp_path, receiver.url, more=f'[status]\nmetrics = "{path}"')
    service.send(signal.SIGHUP)
    service.wait_for_log("reload: the configuration applies")
    assert "reload: the change in" not in service.log()
    finish_a_job(service)
    eventually(lambda: receiver.messages, "the message", 30)
    eventually(lambda: path.exists() and 'flashvsr_jobs{state="done"} 1\n' in path.read_text(), "the metrics")
    assert "flashvsr_last_success_time_seconds" in path.read_text()


def test_without_apprise_the_service_runs_and_says_so(
    make_service: MakeService, tmp_path: Path, receiver: Receiver
) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(
        "import sys\n"
        "class Hidden:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'apprise': raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Hidden())\n"
    )
    configure(tmp_path, receiver.url)
    python_path = f"PYTHONPATH={hidden}:{python_environment()['PYTHONPATH']}"
    service = make_service("work", prefix=("env", python_path), telling=QUICK)
    service.wait_for("the package apprise is missing: run pip install 'flashvsr[notify]'")
    finish_a_job(service)
    assert service.stop() == 0
    assert receiver.messages == []
