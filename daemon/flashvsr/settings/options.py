"""Options declared once, as fields of a frozen dataclass: key, type, default, range, comment, variable.

    width: int = field(default=960, metadata=option(Whole(128, 4096, also=(0,)), "Scale the source …"))

The same declaration validates a file, names the environment variable that overrides it and writes the
commented default file, so these cannot drift apart.
"""

from __future__ import annotations

import textwrap
from dataclasses import MISSING, dataclass, fields
from functools import cache
from typing import Any

from flashvsr.settings.device_kinds import EnvForm
from flashvsr.settings.kinds import Kind, toml_value

COMMENT_WIDTH = 100


@dataclass(frozen=True)
class Option:
    """One option of a table. `default` is MISSING where the option must be given."""

    key: str
    default: Any
    kind: Kind
    help: str
    env: str | None
    env_form: EnvForm


def option(kind: Kind, help: str, env: str | None = None, env_form: EnvForm | None = None) -> dict[str, Any]:
    """Metadata of a dataclass field that is an option; `env` is the variable that overrides it."""
    return {
        "kind": kind,
        "help": help,
        "env": env,
        "env_form": env_form or EnvForm(kind.from_text, kind.allowed),
    }


@cache
def options(table: type) -> tuple[Option, ...]:
    """All options of a dataclass, in the order of its fields."""
    declared = (field for field in fields(table) if "kind" in field.metadata)
    return tuple(Option(key=field.name, default=field.default, **field.metadata) for field in declared)


def keys(table: type) -> tuple[str, ...]:
    """The keys of all options of a dataclass."""
    return tuple(option.key for option in options(table))


def render(table: type, values: object | None = None, prefix: str = "") -> str:
    """Write a table's options as TOML: each with its comment, what is allowed, and its value or default.

    `values` is an instance of the dataclass; `prefix` goes before each line ("# " for an example).
    """
    blocks = []
    for item in options(table):
        note = f" Environment variable: {item.env}." if item.env else ""
        allowed = item.kind.allowed
        comment = textwrap.wrap(f"{item.help} Allowed: {allowed}.{note}", COMMENT_WIDTH, break_on_hyphens=False)
        value = getattr(values, item.key) if values is not None else item.default
        shown = toml_value("" if value is MISSING else value)
        blocks.append("\n".join([*(f"{prefix}# {line}" for line in comment), f"{prefix}{item.key} = {shown}"]))
    return "\n\n".join(blocks) + "\n"


def comment_block(text: str) -> str:
    """Wrap a paragraph into comment lines."""
    return "".join(f"# {line}\n" for line in textwrap.wrap(text, COMMENT_WIDTH, break_on_hyphens=False))
