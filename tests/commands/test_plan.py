"""`flashvsr plan`: what would be made of a file, told without a model and without changing anything."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from flashvsr.commands.screen import Screen
from flashvsr.jobs.queue import Queue
from kits.commands import Called, called
from kits.videos import numbered, tone, write_video


class Place:
    """Settings with an inbox, and a clip in it."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root = root
        self.capsys = capsys
        self.inbox = root / "inbox" / "clips"
        self.inbox.mkdir(parents=True)
        (root / "flashvsr.toml").write_text(
            '[paths]\ninbox = "inbox"\noutbox = "outbox"\nstate = "state"\nmodels = "models"\n'
            '[gpu]\ndevices = "cpu"\n[queue]\nmin_free = 0\n'
        )
        self.clip = write_video(self.inbox / "clip.mp4", [numbered(n) for n in range(30)], audio=tone(1.2))

    def plan(self, *arguments: object) -> Called:
        return called(self.capsys, "--config", self.root / "flashvsr.toml", "plan", *arguments)

    def listing(self) -> set[Path]:
        return set(self.root.rglob("*"))


@pytest.fixture
def place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Place:
    return Place(tmp_path, capsys)


def test_what_will_be_made_is_told_in_words(place: Place) -> None:
    before = place.listing()
    told = place.plan(place.clip)
    assert told.returncode == 0
    assert told.stdout.splitlines()[0] == str(place.clip)
    assert "source  128x128, h264, 25 frames/s, 1 second, 30 frames" in told.stdout
    assert "result  256x256, h264 in mp4, about 0.1 MiB" in told.stdout
    assert "on CPU with nano; a guess" in told.stdout
    assert "tracks  1 sound track, no subtitle tracks" in told.stdout
    assert place.listing() == before


@pytest.mark.slow
def test_the_preset_of_the_inbox_counts_then_those_that_are_given(place: Place) -> None:
    (place.inbox / "preset.toml").write_text("scale = 4\n")
    assert "512x512" in place.plan(place.clip).stdout
    assert "384x384" in place.plan(place.clip, "--set", "scale=3").stdout
    other = place.root / "other.toml"
    other.write_text("scale = 1\ncontainer = 'mkv'\n")
    assert "128x128, h264 in mkv" in place.plan(place.clip, "--preset", other).stdout
    elsewhere = place.clip.rename(place.root / "clip.mp4")
    assert "256x256" in place.plan(elsewhere).stdout


def test_why_nothing_would_be_made(place: Place) -> None:
    told = place.plan(place.clip, "--set", "limit=128x128")
    assert told.returncode == 0
    assert "skipped  it has 128x128 pixels already" in told.stdout
    assert "result" not in told.stdout.replace("its result", "")
    (place.inbox / "preset.toml").write_text("scale = 40\n")
    held = place.plan(place.clip)
    assert held.returncode == 1
    assert "it would be held, as the preset of its inbox has errors" in held.stdout
    assert "scale = 40" in held.stdout


def test_one_that_cannot_be_looked_at_hides_no_other(place: Place) -> None:
    text = place.root / "notes.mp4"
    text.write_text("no video")
    told = place.plan(place.root / "gone.mp4", text, place.clip)
    assert told.returncode == 1
    assert "gone.mp4 does not exist" in told.stdout
    assert "notes.mp4 is not a video" in told.stdout
    assert "256x256" in told.stdout


def test_what_was_measured_here_is_used(place: Place) -> None:
    with closing(Queue(place.root / "state")) as queue:
        queue.rates.note("CPU", "nano", (256, 256), 100, 1000.0)
    assert "time    about 5 minutes on CPU with nano; as measured here" in place.plan(place.clip).stdout
    assert "time    9 to 15 minutes" in place.plan(place.clip, "--set", "scale=3").stdout


def test_too_little_room_is_told(place: Place) -> None:
    settings = place.root / "flashvsr.toml"
    settings.write_text(settings.read_text().replace("min_free = 0", 'min_free = "900TB"'))
    assert "waits   " in place.plan(place.clip).stdout
    assert "make room" in place.plan(place.clip).stdout


def test_long_texts_are_wrapped_to_a_terminal_and_to_no_pipe(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = place.plan(place.clip, "--set", "limit=128x128").stdout
    monkeypatch.setattr(Screen, "columns", 40)
    narrow = place.plan(place.clip, "--set", "limit=128x128").stdout
    path, *lines = narrow.splitlines()
    assert path == str(place.clip)
    assert max(map(len, lines)) <= 40 < max(map(len, whole.splitlines()[1:]))
    assert narrow.split() == whole.split()


def test_json_has_all_of_it(place: Place) -> None:
    (told,) = json.loads(place.plan("--json", place.clip).stdout)["files"]
    assert told["forecast"]["result"] == [256, 256]
    assert told["forecast"]["frames"] == 30
    assert told["time"]["basis"] == "guessed"
    assert (told["device"], told["weights"], told["problem"]) == ("CPU", "nano", None)
    (gone,) = json.loads(place.plan("--json", place.root / "gone.mp4").stdout)["files"]
    assert gone["forecast"] is None
    assert "does not exist" in gone["problem"]
