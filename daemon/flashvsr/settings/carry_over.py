"""Keeps to an old default where a new version has another one: writes it into settings that do not name the key.

The installer calls it in an upgrade: `python -m flashvsr.settings.carry_over FILE TABLE KEY VALUE`. Rights and owner of
the file stay, and so does all that is in it.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from flashvsr.errors import BadConfig
from flashvsr.settings.kinds import toml_value

NAMED, WRITTEN, REFUSED = 0, 3, 4  # exit codes: nothing to do, written, a person has to


def with_default(text: str, table: str, key: str, value: str) -> str | None:
    """Return the settings `text` with this key in this table; None where it is there already.

    Raises BadConfig where it is no TOML, or has the table in a way that no line can be added to.
    """
    before = _parsed(text)
    there = before.get(table, {})
    if not isinstance(there, dict):
        raise BadConfig(f"{table} is no table")
    if key in there:
        return None
    lines = [
        "# The default of the version that this file was written for; a newer one has another.",
        f"{key} = {toml_value(value)}",
    ]
    header = re.search(rf"^[ \t]*\[[ \t]*{re.escape(table)}[ \t]*\][ \t]*(?:#[^\n]*)?$", text, re.MULTILINE)
    if header is not None:
        after = "\n".join([text[: header.end()], *lines]) + text[header.end() :]
    else:
        after = "\n".join([text.rstrip("\n"), "", f"[{table}]", *lines, ""]).lstrip("\n")
    if _parsed(after) != before | {table: there | {key: value}}:
        raise BadConfig(f"the table [{table}] is not written as a table of its own")
    return after


def carry_over(path: Path, table: str, key: str, value: str) -> bool:
    """Do that to a file; False where the key is there already. Raises BadConfig and OSError, the file untouched."""
    path = path.resolve()
    text = with_default(path.read_text(encoding="utf-8"), table, key, value)
    if text is None:
        return False
    new = path.with_name(f"{path.name}.new")
    try:
        shutil.copy2(path, new)
        os.chown(new, path.stat().st_uid, path.stat().st_gid)
        new.write_text(text, encoding="utf-8")
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
    return True


def main(arguments: Sequence[str]) -> int:
    """What the installer calls: says in its exit code what was done."""
    file, table, key, value = arguments
    try:
        return WRITTEN if carry_over(Path(file), table, key, value) else NAMED
    except (BadConfig, OSError, UnicodeDecodeError) as error:
        print(error, file=sys.stderr)
        return REFUSED


def _parsed(text: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadConfig(f"not valid TOML: {error}") from error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
