"""The commands where names and stored texts are odd: every line visible, none forged, nothing obeyed, no traceback."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flashvsr.commands.progress import job_progress
from flashvsr.commands.screen import Screen
from flashvsr.errors import BadInput
from flashvsr.system.text import from_printable, printable
from flashvsr.weights.choice import nano_folder
from kits.commands import Called, called
from kits.nasty import NAMES, TEXTS, is_safe
from kits.paths import CLIPS, python_environment
from kits.played import Bench
from kits.videos import numbered, write_video

LOCALES = {"utf-8": {"LC_ALL": "C.UTF-8"}, "C": {"LC_ALL": "C"}, "ascii": {"LC_ALL": "C", "PYTHONUTF8": "0"}}
ODD = os.fsdecode(b"caf\xe9\n\x1b[31mOK    weights: fine \xe2\x80\xae[red]x[bold].mp4")
KINDS = pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)


@pytest.fixture
def odd(tmp_path: Path) -> Iterator[Bench]:
    """A queue with a job of each state about files with odd names, in directories that have such names, too."""
    bench = Bench(tmp_path / os.fsdecode(b"w\xf6rk"))
    settings = ("[paths]", 'inbox = "inbox"', 'outbox = "outbox"', 'state = "state"', "[gpu]", 'devices = "cpu"')
    (bench.root / "flashvsr.toml").write_text("\n".join(settings))
    typo = bench.root / "inbox" / ODD
    typo.mkdir()
    (typo / "preset.toml").write_text("widht = 1\n")
    bench.fail_at("start", BadInput(f"{ODD} is no video"))
    bench.add(ODD)
    assert bench.loop.step()
    bench.upscaling.at.clear()
    bench.add(f"done {ODD}")
    assert bench.loop.step()
    bench.add(f"waits {ODD}")
    bench.queue.workers.set("gpu0", 1, f"label {ODD}", "idle", error=f"error {ODD}")
    yield bench
    bench.queue.close()


def run(bench: Bench, *arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "flashvsr", *arguments, "--config", bench.root / "flashvsr.toml"],
        capture_output=True,
        env=python_environment() | environment,
    )


def own_lines(text: str) -> list[str]:
    """The lines of an output that pass for messages of their own, all looked at for what must not be in them."""
    assert "Traceback" not in text
    assert is_safe(text)
    return [line for line in text.splitlines() if line and not line.startswith(" ")]


@pytest.mark.slow
@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("arguments", [("status",), ("status", "1")], ids=" ".join)
def test_status_of_odd_names_in_any_locale(odd: Bench, arguments: tuple[str, ...], locale: str) -> None:
    done = run(odd, *arguments, **LOCALES[locale])
    assert (done.returncode, done.stderr) == (0, b"")
    shown = done.stdout.decode("utf-8")
    lines = own_lines(shown)
    assert not [line for line in lines if line.startswith("OK")]
    if arguments == ("status",):
        # Whole and on one line each: nobody's screen ends at a pipe.
        for name in (ODD, f"done {ODD}", f"waits {ODD}"):
            assert [line for line in shown.splitlines() if printable(name) in line or locale == "ascii"]
        assert "[red]x[bold]" in shown


def test_json_of_odd_names_gives_the_paths_back(odd: Bench) -> None:
    for locale in LOCALES.values():
        done = run(odd, "status", "--json", **locale)
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout.isascii()
        facts = json.loads(done.stdout)
        names = {os.fsencode(from_printable(job["source"])) for job in facts["jobs"]}
        if "PYTHONUTF8" not in locale:
            assert names == {os.fsencode(odd.inbox / name) for name in (ODD, f"done {ODD}", f"waits {ODD}")}
        json.dumps(facts, ensure_ascii=False).encode("utf-8")


def test_check_of_odd_names(odd: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    done = called(capsys, "check", "--config", odd.root / "flashvsr.toml")
    assert done.returncode == 1
    lines = own_lines(done.stdout)
    assert lines
    assert all(line.startswith(("OK    ", "TODO  ")) for line in lines)
    assert not [line for line in lines if line.startswith("OK    weights: fine")]
    assert f"TODO  preset {printable(odd.root / 'inbox' / ODD / 'preset.toml')}: " in done.stdout


@pytest.mark.parametrize("command", ["retry", "cancel", "first", "redo"])
def test_requests_about_odd_names(odd: Bench, capsys: pytest.CaptureFixture[str], command: str) -> None:
    config = odd.root / "flashvsr.toml"
    for number in (1, 2, 3, 99):
        done = called(capsys, command, number, "--config", config)
        assert len(own_lines(done.stdout + done.stderr)) == 1


def upscale(capsys: pytest.CaptureFixture[str], source: Path, target: Path, *more: str) -> Called:
    return called(capsys, "upscale", source, target, "--set", "width=128", "--set", "scale=1.0", *more)


@KINDS
def test_what_upscale_says_about_odd_names(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    missing = upscale(capsys, tmp_path / f"{name}.mp4", tmp_path / "out.mp4")
    nowhere = upscale(capsys, CLIPS / "ocean.webm", tmp_path / name / name)
    usage = called(capsys, "upscale", name, name, name, "--preset", name)
    for done in (missing, nowhere, usage):
        assert done.returncode in (1, 2)
        assert not done.stdout
        assert own_lines(done.stderr)[-1].startswith("flashvsr")
        assert len(own_lines(done.stderr)) <= 2  # the second one: how to use it


def test_upscale_of_an_odd_name_into_one_with_a_model_in_an_odd_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / ODD
    folder.mkdir()
    shutil.copytree(nano_folder(), folder / os.fsdecode(b"mod\xe9l"))
    settings = folder / os.fsdecode(b"\xe9.toml")
    settings.write_text("[model]\nweights = {escaped = './mod\\xe9l'}\n[gpu]\ndevices = 'cpu'\n")
    plain = write_video(tmp_path / "plain.mp4", [numbered(index) for index in range(9)])
    source = plain.rename(folder / f"in {ODD}")
    target = folder / f"out {ODD}"
    done = upscale(capsys, source, target, "--set", "fit=pad", "--config", str(settings))
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{printable(target)}\n"
    assert target.stat().st_size
    lines = own_lines(done.stderr)
    assert lines[0] == r"model mod\xe9l on CPU"
    assert all(line.startswith((printable(source.name), "9 frames, ")) for line in lines[1:])


@pytest.mark.parametrize("terminal", [False, True], ids=["piped", "terminal"])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_progress_shows_any_text(
    text: str, terminal: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("TERM", "dumb")  # no control characters of the bar's own
    with job_progress(Screen(stderr=True)) as progress:
        progress.update(text, 1, 2, 3.0)
        progress.say(f"said {text}")
    shown = capsys.readouterr().err
    assert "said" in shown
    assert is_safe(shown)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_table_shows_any_text(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    from rich.table import Table

    table = Table(text, title=text, caption=text)
    table.add_row(text)
    Screen().print(table, text)
    shown = capsys.readouterr().out
    assert is_safe(shown)
    if "[red]" in text:
        assert shown.count("[red]x[/red] [bold :smile:") == 5
