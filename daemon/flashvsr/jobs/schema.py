"""The tables of the queue, as peewee models without a database: each `Queue` gives its own to every query."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import peewee as pw

QUEUED, RUNNING, DONE, FAILED, CANCELLED, HELD = "queued", "running", "done", "failed", "cancelled", "held"
STATES = (QUEUED, RUNNING, DONE, FAILED, CANCELLED, HELD)
FINISHED = (DONE, FAILED, CANCELLED)

SUPERSEDED = "replaced by a newer version of the file"


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
        """Unwrap."""
        return value + (1 << 64) if value < 0 else value


class TextListField(_Field[list[str]]):
    """A list of texts, stored as JSON."""

    field_type = "TEXT"

    def db_value(self, value: list[str]) -> str:
        """Turn the list into JSON."""
        return json.dumps(list(value))

    def python_value(self, value: str) -> list[str]:
        """Turn JSON into the list."""
        return list(json.loads(value))


class Job(pw.Model):
    """One source file and what became of it. Times are seconds since the epoch; paths are `str`."""

    id = pw.AutoField()
    inbox = PathField()
    source = PathField()
    relative = PathField()  # path of the source inside the inbox

    # Which content this is: the same four numbers, or the same path, size and mtime, are the same file.
    device = Unsigned64()
    inode = Unsigned64()
    size = pw.IntegerField()
    mtime_ns = pw.IntegerField()

    state = pw.TextField(default=QUEUED)
    preset = pw.TextField(null=True)  # JSON, as it was when the job was claimed
    attempts = pw.IntegerField(default=0)
    not_before = pw.FloatField(default=0.0)

    owner_host = pw.TextField(null=True)
    owner_pid = pw.IntegerField(null=True)
    owner_start = pw.TextField(null=True)
    slot = pw.TextField(null=True)
    lease = pw.TextField(null=True)
    heartbeat = pw.FloatField(null=True)
    progress_at = pw.FloatField(null=True)
    progress_ticks = pw.FloatField(null=True)  # the same moment on this boot's monotonic clock

    frames_done = pw.IntegerField(default=0)
    frames_total = pw.IntegerField(null=True)
    fps = pw.FloatField(null=True)

    error = pw.TextField(null=True)
    error_kind = pw.TextField(null=True)  # bad_input | transient | config | crash | internal
    warnings = TextListField(default=list)

    result = OptionalPathField(null=True)
    result_size = pw.IntegerField(null=True)
    result_mtime_ns = pw.IntegerField(null=True)
    cancel_requested = pw.BooleanField(default=False)
    model = pw.TextField(null=True)
    report = pw.TextField(null=True)  # JSON

    settled = pw.FloatField(null=True)  # when the source of a done job was archived, deleted or kept
    archived = OptionalPathField(null=True)  # where the source went

    departed = pw.BooleanField(default=False)  # it is no longer in the inbox: what comes there now is new

    created = pw.FloatField()
    claimed = pw.FloatField(null=True)
    finished = pw.FloatField(null=True)

    class Meta:
        """Table name."""

        table_name = "job"


class Worker(pw.Model):
    """One worker process and what it is doing."""

    slot = pw.TextField(primary_key=True)
    pid = pw.IntegerField()
    label = pw.TextField()
    state = pw.TextField()  # starting | idle | busy
    job = pw.IntegerField(null=True)
    since = pw.FloatField()
    error = pw.TextField(null=True)

    class Meta:
        """Table name."""

        table_name = "worker"


MODELS: tuple[Any, ...] = (Job, Worker)
