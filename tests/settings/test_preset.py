"""preset.toml: checks, overrides, storage, and the files written beside it on a share."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, fields
from pathlib import Path

import pytest

from flashvsr.errors import BadConfig
from flashvsr.files.trees import NO_LINKS
from flashvsr.settings.options import render
from flashvsr.settings.preset import (
    Preset,
    default_preset_text,
    load_preset,
    override,
    parse_preset,
    preset_from_json,
    preset_to_json,
    with_values,
)
from kits.paths import REPOSITORY

PRESETS = REPOSITORY / "config" / "presets"


def problems(text: str) -> list[str]:
    with pytest.raises(BadConfig) as caught:
        parse_preset(text, "p.toml")
    lines = str(caught.value).splitlines()
    return [line.strip() for line in (lines[1:] if len(lines) > 1 else lines)]


def test_an_empty_preset_has_the_defaults() -> None:
    assert parse_preset("", "p.toml") == Preset()
    assert parse_preset("", "p.toml", default_quality=9) == Preset(quality=9)
    assert parse_preset("quality = 2", "p.toml", default_quality=9).quality == 2


@pytest.mark.parametrize(
    "text",
    [
        *(
            "width = 0",
            "width = 128",
            "width = 4096",
            "width = 641",
            "scale = 1",
            "scale = 8.0",
            "scale = 1.5",
        ),
        *("quality = 1", "quality = 10", "sparse_ratio = 1", "sparse_ratio = 4", "local_range = 7"),
        *(
            "local_range = 15",
            "seed = 0",
            "seed = 9223372036854775807",
            "fit = 'pad'",
            "limit = ''",
            "limit = 'auto'",
            "limit = '128x128'",
            "limit = '16384x16384'",
            "at_limit = 'restore'",
            "color_fix = 'wavelet'",
        ),
        *(
            "color_fix = 'none'",
            "codec = 'hevc'",
            "codec = 'av1'",
            "encoder = 'software'",
            "encoder = 'nvenc'",
        ),
        *("audio = 'aac'", "audio = 'none'", "container = 'mkv'"),
    ],
)
def test_values_at_the_edges_are_accepted(text: str) -> None:
    (key, value), *rest = tomllib.loads(text).items()
    assert not rest
    assert asdict(parse_preset(text, "p.toml")) == asdict(Preset()) | {key: value}


@pytest.mark.parametrize(
    "text",
    [
        *("width = 1", "width = 127", "width = 4097", "width = -960", "width = 960.0", "width = true"),
        *("width = '960'", "scale = 0.99", "scale = 8.01", "scale = inf", "scale = nan", "scale = true"),
        *("scale = '2'", "quality = 0", "quality = 11", "quality = 6.0", "sparse_ratio = 0.9"),
        *(
            "sparse_ratio = 4.1",
            "local_range = 8",
            "local_range = 5",
            "local_range = 17",
            "local_range = 11.0",
        ),
        *("seed = -1", "seed = 9223372036854775808", "seed = 1.0", "fit = 'Crop'", "fit = ''", "fit = 1"),
        *("color_fix = false", "codec = 'h265'", "encoder = 'gpu'", "audio = true", "container = '.mp4'"),
        *("width = [960]", "width = {a = 1}", "codec = ['h264']"),
    ],
)
def test_values_out_of_range_or_of_another_type_are_refused(text: str) -> None:
    (problem,) = problems(text)
    assert problem.startswith(f"p.toml:1: {text.split()[0]} = ")
    assert ": expected " in problem


def test_a_whole_scale_becomes_a_float() -> None:
    assert isinstance(parse_preset("scale = 2", "p.toml").scale, float)


def test_all_problems_come_at_once_in_the_order_of_the_file() -> None:
    assert problems("# first\nwidth = 100\ncolour_fix = 'adain'\nfit = 'Pad'\n\n[audoi]\nx = 1\n") == [
        "p.toml:2: width = 100: expected 0 or a whole number from 128 to 4096",
        'p.toml:3: colour_fix: unknown key; did you mean "color_fix"?',
        'p.toml:4: fit = "Pad": expected "crop" or "pad"; did you mean "pad"?',
        'p.toml:6: audoi: unknown table; did you mean "audio"?',
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("fit = pad", 1),
        ("width = 960\n\nscale 2", 3),
        ("width = 1\nwidth = 2", 2),
        ("fit = 'crop", 1),
        ("a =\x01", 1),
    ],
)
def test_syntax_errors_have_their_line(text: str, line: int) -> None:
    (problem,) = problems(text)
    assert problem.startswith(f"p.toml:{line}: not valid TOML: ")


def test_a_flood_of_problems_is_cut_short() -> None:
    lines = problems("".join(f"key{number} = 1\n" for number in range(199)))
    assert len(lines) == 31
    assert lines[-1] == "and 169 more"


def test_overrides_are_toml_values_or_bare_words() -> None:
    assert override(Preset(), ["width=1280", "scale = 4", "fit=pad", 'codec="hevc"', "width=640"]) == Preset(
        width=640, scale=4.0, fit="pad", codec="hevc"
    )
    assert override(Preset(quality=9), []) == Preset(quality=9)


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("width=96o", 'command line: width = "96o": expected 0 or a whole number'),
        ("widht=960", 'command line: widht: unknown key; did you mean "width"?'),
        ("width", "expected key=value"),
        ("=3", "expected key=value"),
        ("audio=true", "command line: audio = true: expected"),
        ("codec=", 'command line: codec = "": expected'),
        ("width=960\nseed=3", "command line: width = "),
        ("a.b=3", "expected key=value"),
    ],
)
def test_a_wrong_override_says_so(assignment: str, expected: str) -> None:
    with pytest.raises(BadConfig) as caught:
        override(Preset(), [assignment])
    assert expected in str(caught.value)


def test_wrong_overrides_come_all_at_once() -> None:
    with pytest.raises(BadConfig, match=r"(?s)3 problems.*nonsense.*width.*fit"):
        override(Preset(), ["nonsense", "width=1", "fit=x"])


def test_json_keeps_every_value() -> None:
    preset = Preset(width=0, scale=1.7, quality=1, fit="pad", seed=2**63 - 1, codec="av1", container="mkv")
    assert preset_from_json(preset_to_json(preset)) == preset


@pytest.mark.parametrize("text", ["", "[]", "{", '{"width": 1}', '{"widht": 960}'])
def test_damaged_json_is_refused(text: str) -> None:
    with pytest.raises(BadConfig, match="preset stored with the job"):
        preset_from_json(text)


def test_the_shipped_default_preset_is_what_an_inbox_gets() -> None:
    # To renew it, write default_preset_text() to the file.
    assert (PRESETS / "default.toml").read_text() == default_preset_text()


@pytest.mark.parametrize("path", sorted(PRESETS.glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_presets_load_and_show_every_option_with_its_comment(path: Path) -> None:
    preset = load_preset(NO_LINKS, path)
    assert list(tomllib.loads(path.read_text())) == [item.name for item in fields(Preset)]
    assert path.read_text().endswith("\n\n" + render(Preset, preset))
    assert (preset == Preset()) == (path.stem == "default")


def test_there_are_presets_to_look_at() -> None:
    assert {path.stem for path in PRESETS.glob("*.toml")} == {"default", "archive", "fast-1080p", "preview"}


def test_values_of_a_program_are_checked_like_those_of_a_file() -> None:
    preset = Preset(seed=3)
    assert with_values(preset, {}, "call") == preset
    assert with_values(preset, {"scale": 3, "fit": "pad"}, "call") == Preset(seed=3, scale=3.0, fit="pad")
    wrong = {"scale": None, "fit": Path("pad"), "seed": {1}, "audoi": "none"}
    with pytest.raises(BadConfig) as caught:
        with_values(preset, wrong, "call")
    assert [line.split()[1].rstrip(":") for line in caught.value.lines[1:]] == list(wrong)
