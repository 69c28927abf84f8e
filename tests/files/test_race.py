"""Another process exchanges files all the time, as an account of the share may."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flashvsr.files.made import Exchanged
from flashvsr.files.trees import Trees
from flashvsr.outbox.publish import Outbox
from flashvsr.settings.inbox_preset import write_default_preset
from flashvsr.settings.preset import PRESET_NAME, default_preset_text

ROUNDS = 150
RACER = """
import os, sys
place, secret = sys.argv[1:]
print("ready", flush=True)
while True:
    for name in os.listdir(place):
        if name.startswith(".flashvsr-"):
            try:
                os.unlink(f"{place}/{name}")
                os.symlink(secret, f"{place}/{name}")
            except OSError:
                pass
"""


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir()
    secret = tmp_path / "state" / "worker.toml"
    secret.write_text("secret")
    return secret


@pytest.fixture
def place(tmp_path: Path, secret: Path) -> Iterator[Path]:
    place = tmp_path / "share" / "clips"
    place.mkdir(parents=True)
    racer = subprocess.Popen([sys.executable, "-c", RACER, place, secret], stdout=subprocess.PIPE, text=True)
    assert racer.stdout is not None
    assert racer.stdout.readline() == "ready\n"
    yield place
    racer.send_signal(signal.SIGKILL)
    racer.communicate()


def test_nothing_is_given_away(place: Path, secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: os.sched_yield())  # there the other one got its chance
    trees, refused = Trees((place.parent,)), 0
    outbox = Outbox(trees)
    for round_ in range(ROUNDS):
        text = f"why {round_}"
        try:
            write_default_preset(trees, place / PRESET_NAME)
            assert (place / PRESET_NAME).read_text() == default_preset_text()
            (place / PRESET_NAME).unlink()
            assert outbox.write_error_text(place, "a.mov", text).read_text().startswith(text)
            with outbox.new_result(place / f".flashvsr-1-{round_:08x}.mp4.part") as made:
                made.write(text.encode())
                assert outbox.publish(made, place / "a.mp4", lambda *_: None).read_text() == text
        except Exception as error:
            if not isinstance(error.__cause__, Exchanged | FileNotFoundError):
                raise
            refused += 1  # the file was removed before it had a name
        assert secret.stat().st_nlink == 1
        assert secret.read_text() == "secret"
    assert refused < ROUNDS
