"""Fetching weights, from a stand-in for ModelScope, with ModelScope's own client."""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from flashvsr.commands import weights as commands
from flashvsr.errors import BadConfig, Interrupted, Transient
from flashvsr.model.weight_files import DECODER_FILE, DIT_FILE, LQ_FILE, PROMPT_FILE, REQUIRED_FILES, VAE_FILE
from flashvsr.settings.config import Config
from flashvsr.weights.choice import OFFICIAL, fetch, is_complete
from kits.modelscope_server import ModelScopeServer, serve
from kits.service import eventually, running

SIZES = {DIT_FILE: 300_000, LQ_FILE: 90_000, DECODER_FILE: 50_000, PROMPT_FILE: 7_000, VAE_FILE: 60_000}
CONTENT = {name: random.Random(name).randbytes(size) for name, size in SIZES.items()}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelScopeServer]:
    for name, value in {
        "MODELSCOPE_DOWNLOAD_MAX_RETRIES": "0",  # of the client's own, which wait seconds in between
        "MODELSCOPE_API_MAX_RETRIES": "1",
        "MODELSCOPE_REPO_TREE_PAGE_MAX_ATTEMPTS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    with serve(CONTENT | {"README.md": b"# FlashVSR", "assets/demo.png": b"png"}) as running_server:
        monkeypatch.setenv("MODELSCOPE_ENDPOINT", running_server.endpoint)
        yield running_server


class Heard(list[str]):
    """An on_progress that remembers; `interrupt_at` makes it stop once a file has so many bytes."""

    def __init__(self, interrupt_at: int | None = None) -> None:
        super().__init__()
        self.interrupt_at = interrupt_at

    def __call__(self, progress: object) -> None:
        self.append(str(progress))
        if self.interrupt_at is not None and getattr(progress, "done_bytes", 0) >= self.interrupt_at:
            raise Interrupted("the service stops")


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_what_is_needed_is_fetched_once(
    server: ModelScopeServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    models, heard = tmp_path / "a" / "models", Heard()
    folder = fetch(models, heard)
    assert folder == models / OFFICIAL
    assert contents(folder) == {name: CONTENT[name] for name in REQUIRED_FILES}
    assert sorted(server.downloads()) == sorted(REQUIRED_FILES)
    assert is_complete(folder)
    assert heard[0] == "fetching the weights from ModelScope (kuohao/FlashVSR-v1.1)"
    assert [f"fetching {name}: 0 %" for name in REQUIRED_FILES if not any(f"{name}: " in text for text in heard)] == []

    asked = len(server.requests)
    assert fetch(models, heard) == folder
    assert len(server.requests) == asked, "nothing is asked of the network when all is there"
    assert capfd.readouterr() == ("", ""), "the client's banners and bars stay away from our output"
    assert sorted(path.name for path in models.iterdir()) == [".fetch", OFFICIAL]


def test_only_what_is_missing_is_fetched_and_the_vae_if_asked(server: ModelScopeServer, tmp_path: Path) -> None:
    folder = tmp_path / OFFICIAL
    folder.mkdir()
    for name in (DIT_FILE, LQ_FILE):
        (folder / name).write_bytes(b"a copy of one's own")
    (folder / DECODER_FILE).write_bytes(b"")
    (folder / PROMPT_FILE).write_bytes(b"here")
    fetch(tmp_path, Heard(), vae=True)
    assert sorted(server.downloads()) == sorted([DECODER_FILE, VAE_FILE])
    assert (folder / DIT_FILE).read_bytes() == b"a copy of one's own"
    assert (folder / VAE_FILE).read_bytes() == CONTENT[VAE_FILE]


def test_a_cut_connection_is_resumed(server: ModelScopeServer, tmp_path: Path) -> None:
    server.behaviour.cut_after[DIT_FILE] = [100_000, 50_000]
    folder = fetch(tmp_path, Heard())
    assert contents(folder) == {name: CONTENT[name] for name in REQUIRED_FILES}
    assert server.ranges(DIT_FILE) == ["", "bytes=100000-", "bytes=150000-"]


def test_a_stopped_download_goes_on_later(server: ModelScopeServer, tmp_path: Path) -> None:
    server.behaviour.delay = 0.05  # 4 s for the big file
    started = time.monotonic()
    with pytest.raises(Interrupted, match="the service stops"):
        fetch(tmp_path, Heard(interrupt_at=20_000))
    stopped = time.monotonic() - started
    partial = tmp_path / OFFICIAL / f"{DIT_FILE}.incomplete"
    assert 20_000 <= partial.stat().st_size < SIZES[DIT_FILE]
    assert not is_complete(tmp_path / OFFICIAL)
    asked = len(server.requests)

    server.behaviour.delay = 0
    fetch(tmp_path, Heard())
    assert len(server.requests) > asked
    resumed = int(server.ranges(DIT_FILE)[-1].removeprefix("bytes=").rstrip("-"))
    assert resumed >= 20_000
    assert contents(tmp_path / OFFICIAL) == {name: CONTENT[name] for name in REQUIRED_FILES}
    assert stopped < 30


@pytest.mark.slow
def test_two_at_once_download_once(server: ModelScopeServer, tmp_path: Path) -> None:
    """Locks belong to open files, so two threads stand for two processes."""
    server.behaviour.delay = 0.01
    results: list[Path] = []
    heard = [Heard(), Heard()]
    threads = [threading.Thread(target=lambda h=h: results.append(fetch(tmp_path, h))) for h in heard]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == 2 * [tmp_path / OFFICIAL]
    assert sorted(server.downloads()) == sorted(REQUIRED_FILES)
    # One process asked: for the amount, and for the files.
    assert len([path for path, _, _ in server.requests if path.endswith("/files")]) == 2
    assert min(len(each) for each in heard) >= 1, "the one who waits is heard of, too"


def test_waiting_for_another_download_can_be_interrupted(server: ModelScopeServer, tmp_path: Path) -> None:
    import fcntl

    (tmp_path / ".fetch").mkdir()
    with (tmp_path / ".fetch" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Interrupted):
            fetch(tmp_path, Heard(interrupt_at=0))
    assert server.requests == []


def test_a_killed_process_leaves_no_client_behind(server: ModelScopeServer, tmp_path: Path) -> None:
    server.behaviour.delay = 1.0
    code = (
        "import sys; from pathlib import Path; from flashvsr.weights.choice import fetch;"
        "fetch(Path(sys.argv[1]), lambda _: None)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, tmp_path])
    try:
        eventually(lambda: server.downloads(), "the download began", 60)
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
        assert children
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    eventually(lambda: not any(running(int(child)) for child in children), "the client is gone", 10)


def test_an_error_of_the_server(server: ModelScopeServer, tmp_path: Path) -> None:
    server.behaviour.listing_status = 404
    assert "(HTTP 404)" in trouble(tmp_path, server)
    server.behaviour.listing_status = 200
    server.behaviour.file_status = 500
    message = trouble(tmp_path, server)
    assert DIT_FILE in message
    assert "HTTP 500" in message
    assert "answered with an error" in message


def trouble(models: Path, server: ModelScopeServer) -> str:
    """Fetching fails for now; the message is one line that says what can be done by hand."""
    with pytest.raises(Transient) as caught:
        fetch(models, Heard())
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 800
    assert server.endpoint in message
    assert "try again later" in message
    assert "copy" in message
    assert "https://www.modelscope.cn/models/kuohao/FlashVSR-v1.1/files" in message
    assert str(models / OFFICIAL) in message
    return message


def test_no_connection(server: ModelScopeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = replace(server, endpoint="http://127.0.0.1:9")
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", nobody.endpoint)
    message = trouble(tmp_path, nobody)
    assert message.startswith("no connection to ModelScope (http://127.0.0.1:9): Connection refused; try again later")


@pytest.mark.slow
def test_a_wrong_checksum(server: ModelScopeServer, tmp_path: Path) -> None:
    server.behaviour.wrong[LQ_FILE] = bytes(SIZES[LQ_FILE])
    message = trouble(tmp_path, server)
    assert f"is not what it announced: {LQ_FILE}" in message
    assert not (tmp_path / OFFICIAL / LQ_FILE).exists()
    assert not (tmp_path / OFFICIAL / f"{LQ_FILE}.incomplete").exists()


def test_a_file_that_the_repository_lacks(server: ModelScopeServer, tmp_path: Path) -> None:
    server.behaviour.files = {name: content for name, content in CONTENT.items() if name != DECODER_FILE}
    with pytest.raises(Transient, match=f"kuohao/FlashVSR-v1.1 has no {DECODER_FILE}; try again later"):
        fetch(tmp_path, Heard())


def test_no_space(server: ModelScopeServer, tmp_path: Path) -> None:
    server.behaviour.listed_sizes[LQ_FILE] = 10**16
    with pytest.raises(Transient, match=r"10000000.00 GB are to come, .* GB are free; free some space"):
        fetch(tmp_path, Heard())
    assert server.downloads() == [], "said before anything was fetched"
    server.behaviour.listed_sizes.clear()
    (tmp_path / OFFICIAL / f"{LQ_FILE}.incomplete").symlink_to("/dev/full")
    with pytest.raises(Transient, match="No space left on device; free some space"):
        fetch(tmp_path, Heard())


def test_a_models_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(
        BadConfig, match=r"Not a directory; a file is in the way of a directory; move it away, or set paths.models"
    ):
        fetch(tmp_path / "file" / "models", Heard())


def test_a_broken_client_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from flashvsr.weights import download as module

    monkeypatch.setattr(module, "COMMAND", (sys.executable, "-c", "raise SystemExit('modelscope: no such module')"))
    with pytest.raises(Transient, match=r"client ended with code 1: modelscope: no such module; try again later"):
        fetch(tmp_path, Heard())


def test_the_command_compares_checksums(
    server: ModelScopeServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = Config()
    config = replace(config, paths=replace(config.paths, models=tmp_path))
    folder = tmp_path / OFFICIAL
    folder.mkdir()
    for name in REQUIRED_FILES:
        (folder / name).write_bytes(CONTENT[name])
    (folder / LQ_FILE).write_bytes(b"damaged")
    assert commands.fetch(config, argparse.Namespace(all=False)) == 0
    printed = capsys.readouterr()
    assert printed.out == f"{folder}\n"
    assert "fetching the weights from ModelScope (kuohao/FlashVSR-v1.1), 0.1 MB to come" in printed.err
    assert server.downloads() == [LQ_FILE]
    assert contents(folder) == {name: CONTENT[name] for name in REQUIRED_FILES}


def test_files_in_the_models_directory_itself_are_checked_in_place(server: ModelScopeServer, tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    for name in REQUIRED_FILES:
        (models / name).write_bytes(CONTENT[name] if name != LQ_FILE else b"damaged")
    assert fetch(models, Heard(), recheck=True) == models
    assert server.downloads() == [LQ_FILE]
    assert (models / LQ_FILE).read_bytes() == CONTENT[LQ_FILE]
    assert list(tmp_path.iterdir()) == [models]


def test_the_client_needs_no_home(server: ModelScopeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/proc/nowhere")
    assert is_complete(fetch(tmp_path, Heard()))
    assert {path.name for path in tmp_path.iterdir()} == {OFFICIAL, ".fetch"}
