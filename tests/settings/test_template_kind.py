"""What a preset may say about the names of results."""

from __future__ import annotations

import pytest

from flashvsr.errors import BadConfig
from flashvsr.settings.preset import Preset, parse_preset, preset_from_json, preset_to_json
from flashvsr.settings.template_kind import LONGEST


def named(value: str) -> str:
    return parse_preset(f"name = {value}\n", "preset.toml").name


@pytest.mark.parametrize("template", ["{stem}", "{stem} {width}x{height}", "HD {preset} {model} {scale}", "fixed"])
def test_templates(template: str) -> None:
    assert named(f'"{template}"') == template
    assert preset_from_json(preset_to_json(Preset(name=template))).name == template


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("3", "expected a file name in quotes"),
        ('""', "expected a file name in quotes"),
        ('" "', "expected a file name in quotes"),
        ('"{name}"', "there is no such field"),
        ('"{stem!r}"', "there is no such field"),
        ('"{stem.__class__}"', "there is no such field"),
        ('"{stem"', "braces are for fields only"),
        ('"{stem}}"', "braces are for fields only"),
        ('"{}"', "there is no such field"),
        ('"../{stem}"', "a name and no path"),
        ('"up/{stem}"', "a name and no path"),
        (r'"up\\{stem}"', "a name and no path"),
        ('"{stem}: new"', "is allowed in it"),
        (r'"{stem}\u0007"', "is allowed in it"),
        (r'"{stem}\u202e"', "is allowed in it"),
        ('".{stem}"', "must not begin with a dot"),
        ('"~{stem}"', "must not begin with a dot"),
        (f'"{"n" * (LONGEST + 1)}"', f"at most {LONGEST} characters"),
    ],
)
def test_what_is_none(value: str, hint: str) -> None:
    with pytest.raises(BadConfig, match="name = ") as told:
        named(value)
    assert hint in str(told.value)
    assert "{stem}, {width}, {height}, {scale}, {model} or {preset}" in str(told.value)
