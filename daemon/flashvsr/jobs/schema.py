"""The tables of the queue, as peewee models without a database: each `Queue` gives its own to every query."""

from __future__ import annotations

import peewee as pw

from flashvsr.jobs.fields import (
    MessageField,
    OptionalMessageField,
    OptionalPathField,
    PathField,
    ReportField,
    Unsigned64,
    WarningsField,
)

QUEUED, RUNNING, DONE, FAILED, CANCELLED, HELD = "queued", "running", "done", "failed", "cancelled", "held"
STATES = (QUEUED, RUNNING, DONE, FAILED, CANCELLED, HELD)
FINISHED = (DONE, FAILED, CANCELLED)


def state_word(state: str) -> str:
    """The word for a state in texts for people: what is queued in the database is waiting for them."""
    return "waiting" if state == QUEUED else state


SUPERSEDED = "replaced by a newer version of the file"


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

    owner_host = OptionalMessageField(null=True)
    owner_pid = pw.IntegerField(null=True)
    owner_start = pw.TextField(null=True)
    slot = OptionalMessageField(null=True)
    lease = pw.TextField(null=True)
    heartbeat = pw.FloatField(null=True)
    progress_at = pw.FloatField(null=True)
    progress_ticks = pw.FloatField(null=True)  # the same moment on this boot's monotonic clock

    frames_done = pw.IntegerField(default=0)
    frames_total = pw.IntegerField(null=True)
    fps = pw.FloatField(null=True)

    error = OptionalMessageField(null=True)
    error_kind = pw.TextField(null=True)  # bad_input | transient | config | crash | internal
    warnings = WarningsField(default=list)

    result = OptionalPathField(null=True)
    result_size = pw.IntegerField(null=True)
    result_mtime_ns = pw.IntegerField(null=True)
    cancel_requested = pw.BooleanField(default=False)
    model = OptionalMessageField(null=True)
    report = ReportField(null=True)  # JSON

    settled = pw.FloatField(null=True)  # when the source of a done job was archived, deleted or kept
    archived = OptionalPathField(null=True)  # where the source went

    departed = pw.BooleanField(default=False)  # it is no longer in the inbox: what comes there now is new

    created = pw.FloatField()
    claimed = pw.FloatField(null=True)
    finished = pw.FloatField(null=True)

    class Meta:
        table_name = "job"


class Worker(pw.Model):
    """One worker process and what it is doing."""

    slot = MessageField(primary_key=True)
    pid = pw.IntegerField()
    label = MessageField()
    state = pw.TextField()  # starting | idle | busy
    job = pw.IntegerField(null=True)
    since = pw.FloatField()
    error = OptionalMessageField(null=True)

    class Meta:
        table_name = "worker"
