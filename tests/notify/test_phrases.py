"""What people read."""

from __future__ import annotations

import json
import socket

from flashvsr.jobs.schema import Notice
from flashvsr.notify.phrases import message_of


def notice(kind: str, number: int = 1, job: int = 7, subject: str = "films/a.mp4", detail: str | None = None) -> Notice:
    return Notice(kind=kind, number=number, job=job, subject=subject, detail=detail, created=0.0)


def test_a_failure_says_what_where_and_what_to_do() -> None:
    title, body = message_of([notice("failed", detail="the file ends early; copy it again.")])
    assert title == f"flashvsr on {socket.gethostname()}: 1 video has failed"
    assert body == (
        "films/a.mp4 has failed: the file ends early; copy it again. `flashvsr status 7` tells more; when that is "
        "mended, `flashvsr retry 7` tries it again."
    )


def test_a_flood_is_summed_up() -> None:
    title, body = message_of([notice("done", subject=f"films/{index}.mp4") for index in range(37)])
    assert title.endswith("37 videos are done")
    assert len(body.splitlines()) == 6
    assert body.splitlines()[-1].startswith("And 32 more")


def test_kinds_are_told_together_the_worst_first() -> None:
    found = [
        notice("done"), notice("queue_empty", detail=json.dumps({"done": 2, "failed": 1})),
        notice("held", number=3, subject="/srv/in/films", detail="width = 7: expected more"),
        notice("failed"), notice("skipped", detail="as large already"), notice("trouble", detail="the disk is full"),
    ]  # fmt: skip
    title, body = message_of(found)
    assert ": something needs a hand, 1 video has failed, 3 videos have to wait, " in title
    assert title.endswith(", nothing waits any more")
    paragraphs = body.split("\n\n")
    assert paragraphs[0] == "the disk is full. `flashvsr status` shows everything that needs a hand."
    assert paragraphs[2].startswith(
        "3 videos have to wait in /srv/in/films: width = 7: expected more. Mend preset.toml"
    )
    assert paragraphs[3].endswith("`flashvsr retry --force 7` does it anyway.")
    assert paragraphs[-1] == "Nothing waits any more: 2 videos are done, 1 video has failed."


def test_several_times_nothing_left_is_added_up() -> None:
    ends = [
        notice("queue_empty", detail=json.dumps({"done": 2})),
        notice("queue_empty", detail=json.dumps({"done": 3})),
    ]
    assert message_of(ends)[1] == "Nothing waits any more: 5 videos are done."


def test_a_long_reason_is_cut() -> None:
    assert len(message_of([notice("failed", detail="x" * 100_000)])[1]) < 600
