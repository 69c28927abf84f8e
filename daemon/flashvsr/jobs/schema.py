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
SKIPPED = "skipped"
STATES = (QUEUED, RUNNING, DONE, FAILED, CANCELLED, HELD, SKIPPED)
FINISHED = (DONE, FAILED, CANCELLED, SKIPPED)


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
    forced = pw.BooleanField(default=False)  # done although its preset would skip it
    # What comes first: the highest `turn`, then `priority`, then the lowest number.
    turn = pw.IntegerField(default=0)  # above 0 where a person put it first
    priority = pw.IntegerField(default=0)  # of its inbox's preset

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
    frames_counted = pw.IntegerField(default=0)  # those that are in the total of all jobs already

    error = OptionalMessageField(null=True)
    error_kind = pw.TextField(null=True)  # bad_input or bad_input.FAULT | transient | space | config | crash | internal
    warnings = WarningsField(default=list)
    forecast = ReportField(null=True)  # JSON: what will be made of it, found out while it waits

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


class Notice(pw.Model):
    """Something to be told to people. Times are seconds since the epoch."""

    id = pw.AutoField()
    kind = pw.TextField()  # done | skipped | failed | held | queue_empty | trouble | calm
    job = pw.IntegerField(null=True)
    subject = OptionalMessageField(null=True)  # the file, or the inbox
    detail = OptionalMessageField(null=True)
    number = pw.IntegerField(default=1)  # of jobs that it is about
    created = pw.FloatField()
    told = pw.TextField(default="[]")  # JSON: marks of the addresses that were told
    over = pw.FloatField(null=True)  # since when nobody is to be told any more

    class Meta:
        table_name = "notice"


class Total(pw.Model):
    """A number that only grows."""

    name = pw.TextField(primary_key=True)
    amount = pw.FloatField()

    class Meta:
        table_name = "total"


class Rate(pw.Model):
    """How fast a model made pictures of one size on one device: `frames` in `seconds`, `updated` at that time."""

    device = MessageField()
    model = MessageField()
    width = pw.IntegerField()
    height = pw.IntegerField()
    frames = pw.FloatField()
    seconds = pw.FloatField()
    updated = pw.FloatField()

    class Meta:
        table_name = "rate"
        primary_key = pw.CompositeKey("device", "model", "width", "height")


class Worker(pw.Model):
    """One worker process and what it is doing."""

    slot = MessageField(primary_key=True)
    pid = pw.IntegerField()
    label = MessageField()
    state = pw.TextField()  # starting | idle | busy | resting
    job = pw.IntegerField(null=True)
    since = pw.FloatField()
    error = OptionalMessageField(null=True)

    class Meta:
        table_name = "worker"
