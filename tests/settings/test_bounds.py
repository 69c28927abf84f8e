"""Settings as weapons: whatever lies on a share costs little to read, and what is said about it is short."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flashvsr.errors import BadConfig
from flashvsr.files.trees import NO_LINKS
from flashvsr.settings.bounds import CONFIG_LIMITS, MOST_BRACKETS, MOST_PARTS, PRESET_LIMITS, too_much
from flashvsr.settings.inbox_preset import check_inbox_preset
from flashvsr.settings.preset import PRESET_ERROR_NAME, PRESET_NAME, Preset, override, parse_preset, preset_from_json
from kits import weapons
from kits.settings_text import load, problems

LONGEST_MESSAGE = 10_000


def test_no_weapon_takes_more_than_the_kernel_grants() -> None:
    """64 MiB beside what Python has, and seconds of processor time, for all of them together."""
    command = [sys.executable, weapons.__file__, "weapons"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", weapons.WEAPONS)
def test_what_is_said_about_a_weapon_is_short(name: str) -> None:
    weapons.check_told(weapons.WEAPONS[name])


@pytest.mark.parametrize("seed", range(4))
def test_texts_made_at_random(seed: int) -> None:
    for text in itertools.islice(weapons.random_texts(seed), 150):
        weapons.check_told(text)
        weapons.check_seen(text)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("\n" + ".".join("a" * MOST_PARTS) + " = 1", None),
        ("\n" + ".".join("a" * MOST_PARTS) + ".a = 1", 2),
        ("a = 1\n[" + " . ".join("a" * MOST_PARTS) + " . a]", 2),
        ("a = '''\n\n'''\nb = {" + ".".join(["''"] * (MOST_PARTS + 1)) + " = 1}", 4),
        ("a = 'b.b.b.b.b.b.b.b.b.b.b.b' # ..............", None),
        ('a = """\n.\n........."""\n' + "'x.x'." * MOST_PARTS + "x = 1", 4),
        ("a = [1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 9.5, 10.5]", None),
        ("a = " + "[" * MOST_BRACKETS + "]" * MOST_BRACKETS, None),
        ("a = [\n" + "[" * MOST_BRACKETS + "]" * MOST_BRACKETS + "]", 2),
        ("".join(f"k{number} = 1\n" for number in range(PRESET_LIMITS.keys)), None),
        ("".join(f"k{number} = 1\n" for number in range(PRESET_LIMITS.keys)) + "[t]", PRESET_LIMITS.keys + 1),
        ("a = {" + ", ".join(f"k{number} = 1" for number in range(PRESET_LIMITS.keys)) + "}", 1),
        ("# " + "x" * 20_000, 1),
        ("#\n" * PRESET_LIMITS.bytes, 1),
        ("\n\n\0", 3),
        ("a = 1\r\nb = 1\rc = 1\r", 2),
    ],
)
def test_how_much_is_too_much(text: str, line: int | None) -> None:
    beyond = too_much(text, PRESET_LIMITS)
    assert (beyond and beyond.line) == line


def test_the_settings_file_is_held_to_limits_too(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, "[gpu]\n" + "a." * 30 + "a = 1")
    assert problem.startswith("flashvsr.toml:2: a key of more than 8 parts")
    (problem,) = problems(tmp_path, "# \n" * CONFIG_LIMITS.bytes)
    assert "larger than 1024 KiB" in problem


def test_a_thousand_inboxes_are_not_too_much(tmp_path: Path) -> None:
    text = "".join(f'[[inbox]]\npath = "/in/{number}"\noutbox = "/out/{number}"\n' for number in range(1000))
    assert len(load(tmp_path, text).extra_inboxes) == 1000


@pytest.mark.parametrize(
    "text", ["a." * 40_000 + "a", "[" * 40_000, "9" * 40_000, "x" * 40_000, "1\n" + "a." * 99 + "a = 1"]
)
def test_overrides_of_the_command_line_are_held_to_limits(text: str) -> None:
    for assignment in (f"width={text}", f"{text}=1", text):
        with pytest.raises(BadConfig) as caught:
            override(Preset(), [assignment])
        assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "text",
    [
        *("[" * 9_000, "[" * 90_000, '{"a":' * 900, "9" * 9_000, '{"width": ' + "9" * 9_000 + "}", '"x"', "NaN", "\0"),
        *(
            '{"width": NaN}',
            '{"width": ' + "[" * 900 + "]" * 900 + "}",
            '{"' + "k" * 60_000 + '": 1}',
            "{}" + " " * 90_000,
        ),
    ],
)
def test_the_preset_of_a_job_is_held_to_limits(text: str) -> None:
    with pytest.raises(BadConfig, match="preset stored with the job") as caught:
        preset_from_json(text)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "variable", ["FLASHVSR_" + "X" * 90_000, "PREPROCESS_" + "X" * 90_000, "CELERY_" + "X" * 90_000]
)
def test_names_of_variables_are_shown_shortened(tmp_path: Path, variable: str) -> None:
    (tmp_path / "flashvsr.toml").touch()
    if variable.startswith("FLASHVSR_"):
        (said,) = problems(tmp_path, "", **{variable: "1"})
    else:
        (said,) = load(tmp_path, "", **{variable: "1"}).notes
    assert len(said) < 300


def test_values_longer_than_a_path_are_refused(tmp_path: Path) -> None:
    text = "[paths]\nstate = '" + "é" * 2100 + "'\n[tools]\nffmpeg = '" + "x" * 4096 + "'\n"
    assert [problem.rpartition("; ")[2] for problem in problems(tmp_path, text)] == ["at most 4095 bytes"] * 2


def test_a_home_of_nobody_is_shown_shortened(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, '[paths]\nstate = "~' + "\\u202e" * 600 + '"')
    assert problem.endswith("names no home directory")
    assert len(problem) < 300
    assert problem.isprintable()


def test_many_long_problems_are_cut_to_a_text_that_can_be_stored(tmp_path: Path) -> None:
    inbox = tmp_path / ("d" * 200) / ("e" * 200) / ("f" * 200)
    inbox.mkdir(parents=True)
    (inbox / PRESET_NAME).write_text("".join(f"'{'k' * 300}{number}' = '{'v' * 16}'\n" for number in range(150)))
    with pytest.raises(BadConfig, match=r"(?s)^150 problems.*and 14\d more$") as caught:
        check_inbox_preset(NO_LINKS, inbox)
    assert len(str(caught.value)) < LONGEST_MESSAGE
    assert str(caught.value) in (inbox / PRESET_ERROR_NAME).read_text()


def test_what_a_message_shows_is_one_line_of_visible_text() -> None:
    text = 'fit = "\u202e\u2028\\u001b[2J\\nflashvsr: all is well"\n"\u2028\\u0007\u202e" = 1\n'
    with pytest.raises(BadConfig) as caught:
        parse_preset(text, "p.toml")
    first, second = str(caught.value).split("\n")[1:]
    assert first.strip().startswith("p.toml:1: fit = ")
    assert second.strip().startswith("p.toml:2: ")
    assert first.isprintable()
    assert second.isprintable()
