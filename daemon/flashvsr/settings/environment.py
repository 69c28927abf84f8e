"""Environment variables that override the file, and leftovers of the older deployment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from flashvsr.settings.document import Setting
from flashvsr.settings.kinds import SHOWN, Refused, shown
from flashvsr.settings.options import Option, options
from flashvsr.settings.suggestions import did_you_mean, for_value
from flashvsr.system.text import visible

CONFIG_VARIABLE = "FLASHVSR_CONFIG"  # names the settings file itself, so it overrides no option
DATABASE_VARIABLE = "DATABASE_URL"

Overrides = dict[tuple[str, str], Setting]


def variables(tables: Mapping[str, type]) -> dict[str, tuple[str, Option]]:
    """Map each environment variable to its table and option."""
    return {item.env: (name, item) for name, table in tables.items() for item in options(table) if item.env}


def read_environment(
    environ: Mapping[str, str], tables: Mapping[str, type], problems: list[str], notes: list[str]
) -> Overrides:
    """Read all overrides. Wrong and unknown FLASHVSR_* variables add problems, leftovers of others add notes.

    A variable set to the empty text counts as not set, unless the empty text is itself a value.
    """
    known = variables(tables)
    overrides: Overrides = {}
    for variable, text in sorted(environ.items()):
        if variable in known:
            table, item = known[variable]
            setting = _read(variable, text, item, problems)
            if setting is not None:
                overrides[table, item.key] = setting
        elif variable.startswith("FLASHVSR_") and variable != CONFIG_VARIABLE:
            near = did_you_mean(variable, (*known, CONFIG_VARIABLE), "FLASHVSR_")
            problems.append(f"environment variable {visible(variable, SHOWN)}: unknown; {near or 'remove it'}")
        elif variable.startswith("PREPROCESS_"):
            near = did_you_mean(variable, tuple(known), "PREPROCESS_")
            notes.append(
                f"environment variable {visible(variable, SHOWN)} is not one of flashvsr; {near or 'it is ignored'}"
            )
        elif variable == "REDIS_URL" or variable.startswith("CELERY_"):
            notes.append(
                f"environment variable {visible(variable, SHOWN)} is ignored: there is no Redis or Celery any more, "
                "the queue is a file in paths.state; remove the variable"
            )
    if environ.get(DATABASE_VARIABLE):
        _database(environ[DATABASE_VARIABLE], problems, notes)
    return overrides


def _read(variable: str, text: str, item: Option, problems: list[str]) -> Setting | None:
    label = f"environment variable {variable}"
    try:
        return Setting(item.kind.accept(item.env_form.read(text), Path()), label)
    except ValueError as error:  # Refused is one
        if text:
            hint = str(error) if isinstance(error, Refused) else ""
            hint = hint or for_value(item.key, item.kind, text)
            problems.append(f"{label} = {shown(text)}: expected {item.env_form.allowed}{'; ' if hint else ''}{hint}")
        return None


def _database(url: str, problems: list[str], notes: list[str]) -> None:
    # Only the scheme is shown: the rest may hold a password.
    scheme = url.partition(":")[0] if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", url) else ""
    if scheme == "sqlite":
        notes.append(f"environment variable {DATABASE_VARIABLE} is ignored: the queue is queue.db in paths.state")
        return
    found = f"a {visible(scheme, SHOWN)} address" if scheme else "no database address"
    problems.append(
        f"environment variable {DATABASE_VARIABLE} is {found}: expected sqlite:///…, the only database of "
        "this version; remove the variable"
    )
