"""Kinds of columns: what of a path, a message or a report a row holds, whatever bytes and however many came in.

Each is made storable and bounded on its way in. Messages and warnings that an earlier version stored as they came are
treated alike on their way out, so nobody who reads a row has to know.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import peewee as pw

from flashvsr.files.report_text import bounded_json
from flashvsr.system.text import bounded_warnings, storable

if TYPE_CHECKING:  # peewee's fields are generic for the type checker only
    _Field = pw.Field
else:

    class _Field:
        """`_Field[kind]` is `pw.Field`."""

        def __class_getitem__(cls, _kind: object) -> type[pw.Field]:
            return pw.Field


class OptionalPathField(_Field[str | None]):
    """A path as `str` with surrogateescape; TEXT if it is UTF-8, else BLOB: no byte of a name is lost."""

    field_type = "BLOB"  # no affinity: SQLite keeps what it is given

    def db_value(self, value: str | os.PathLike[str] | None) -> str | bytes | None:
        """Turn a path into what the database stores."""
        if value is None:
            return None
        raw = os.fsencode(value)
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            return raw

    def python_value(self, value: str | bytes | None) -> str | None:
        """Turn what the database stores into a path."""
        if value is None:
            return None
        return os.fsdecode(value.encode("utf-8") if isinstance(value, str) else bytes(value))


class PathField(_Field[str]):
    """A path that is always there."""

    field_type = OptionalPathField.field_type
    db_value = OptionalPathField.db_value
    python_value = OptionalPathField.python_value


class Unsigned64(_Field[int]):
    """An unsigned 64-bit number (inode, device): SQLite's integers are signed, the upper half is wrapped."""

    field_type = "INTEGER"

    def db_value(self, value: int) -> int:
        """Wrap into the signed range."""
        return value - (1 << 64) if value >= 1 << 63 else value

    def python_value(self, value: int) -> int:
        return value + (1 << 64) if value < 0 else value


class OptionalMessageField(_Field[str | None]):
    """A text for people: visible characters and line ends, see `flashvsr.system.text.storable`."""

    field_type = "TEXT"

    def db_value(self, value: object) -> str | None:
        """Make a text storable."""
        return None if value is None else storable(str(value))

    def python_value(self, value: object) -> str | None:
        """Return a text that can be shown."""
        return None if value is None else storable(str(value))


class MessageField(_Field[str]):
    """A text for people that is always there."""

    field_type = OptionalMessageField.field_type
    db_value = OptionalMessageField.db_value
    python_value = OptionalMessageField.python_value


class ReportField(_Field[str | None]):
    """A job's report as JSON, see `flashvsr.files.report_text.bounded_json`. Who shows it makes its texts visible."""

    field_type = "TEXT"

    def db_value(self, value: object) -> str | None:
        """Bound a report."""
        return None if value is None else bounded_json(str(value))


class WarningsField(_Field[list[str]]):
    """A list of texts for people, stored as JSON."""

    field_type = "TEXT"

    def db_value(self, value: Sequence[object]) -> str:
        """Turn the list into JSON."""
        return json.dumps(bounded_warnings([str(warning) for warning in value]))

    def python_value(self, value: str) -> list[str]:
        """Turn JSON into the list."""
        return bounded_warnings([str(warning) for warning in json.loads(value)])
