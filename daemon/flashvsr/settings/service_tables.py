"""The tables of flashvsr.toml about folders, jobs and the service process.

A field is added here and nowhere else: validation, the commented default file and the environment override
all follow from its declaration.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from flashvsr.settings.hours import WeekHours
from flashvsr.settings.kinds import ByteSize, FilePath, Flag, Number, OneOf, Text, Whole
from flashvsr.settings.options import option


@dataclass(frozen=True)
class Paths:
    """[paths]: the folders of the service. All of them absolute once loaded."""

    inbox: Path = field(
        default=Path("/srv/flashvsr/inbox"),
        metadata=option(
            FilePath(),
            "Each folder in this one is an inbox with a preset.toml of its own. Hidden folders, @eaDir, #recycle and "
            "symbolic links are not.",
        ),
    )
    outbox: Path = field(
        default=Path("/srv/flashvsr/outbox"),
        metadata=option(FilePath(), "Results go here, into a folder with the name of the inbox."),
    )
    state: Path = field(
        default=Path("/var/lib/flashvsr"),
        metadata=option(
            FilePath(),
            "The service keeps its queue, the finished pieces of videos and, by default, the archive here. This must "
            "be a local disk, not a share.",
        ),
    )
    models: Path = field(
        default=Path("/var/lib/flashvsr/models"),
        metadata=option(FilePath(), "Fetched weights are kept here."),
    )
    archive: Path | None = field(
        default=None,
        metadata=option(
            FilePath(optional=True),
            'Where sources go that watch.on_success = "archive" takes out of the inboxes, into a folder with the name '
            "of the inbox. The default is the folder archive in state.",
        ),
    )


@dataclass(frozen=True)
class Watch:
    """[watch]: how new files are noticed, and what becomes of a source afterwards. Times in seconds."""

    observer: str = field(
        default="auto",
        metadata=option(
            OneOf(("auto", "inotify", "poll")),
            "How new files are noticed. inotify hears of them at once, but not on network shares. poll looks through "
            "the inboxes every poll_seconds. auto does the right one of both for each inbox.",
        ),
    )
    poll_seconds: float = field(
        default=10,
        metadata=option(
            Number(0.05, 86400),
            "Seconds between two looks through all inboxes. Where inotify is at work and there is much to look "
            "through, up to six times as many.",
        ),
    )
    settle_seconds: float = field(
        default=5,
        metadata=option(
            Number(0, 86400),
            "A file counts as complete when its size and time have not changed for this many seconds.",
        ),
    )
    on_success: str = field(
        default="keep",
        metadata=option(
            OneOf(("keep", "done", "archive", "delete")),
            "What becomes of a source when its result is in the outbox. keep leaves it in the inbox, and it is not "
            "done again as long as it lies there. done moves it into the folder done beside the inbox, where people "
            "see it, archive to paths.archive, delete removes it.",
        ),
    )


@dataclass(frozen=True)
class QueueSettings:
    """[queue]: patience with jobs."""

    max_attempts: int = field(
        default=3,
        metadata=option(
            Whole(1, 1000), "How often a job is tried before it is failed. A crash of its worker counts as a try."
        ),
    )
    stall_seconds: float = field(
        default=300,
        metadata=option(
            Number(1, 86400),
            "A worker that gets nothing done for this many seconds is killed, and its job waits again. What counts are "
            "new frames and, at the end, what is joined, written and checked of the result.",
        ),
    )
    min_free: int = field(
        default=1 << 30,
        metadata=option(
            ByteSize(),
            "Bytes that stay free in paths.state, so that the queue can still be written. With less, no job starts, "
            "and a running one waits after its current chunk. A job also waits until its expected result fits beside "
            "this reserve, there and in the outbox. Units are powers of 1024.",
        ),
    )


@dataclass(frozen=True)
class Retention:
    """[retention]: when old things are removed."""

    days: int = field(
        default=30,
        metadata=option(
            Whole(0, 36500),
            "Finished jobs, archived sources and leftovers are removed after this many days. 0 keeps all. A source "
            "that was kept stays, and its job as long as it lies there. So does what is in folders done.",
            env="TASK_RETENTION_DAYS",
        ),
    )


@dataclass(frozen=True)
class Export:
    """[export]: defaults for presets."""

    quality: int = field(
        default=6,
        metadata=option(
            Whole(1, 10),
            "Quality where the preset of an inbox names none. 10 is the best, and makes the largest files.",
            env="FLASHVSR_EXPORT_VIDEO_QUALITY",
        ),
    )


@dataclass(frozen=True)
class Schedule:
    """[schedule]: when videos are worked on."""

    run: str = field(
        default="",
        metadata=option(
            WeekHours(),
            "Hours in which videos are worked on, by the clock of this machine. Outside them running jobs save what "
            "is done of them, and the GPU is free. Several are separated by commas. Days stand before their hours, "
            "and are those on which these begin: mon-fri 22:00-07:00 ends on Saturday morning.",
        ),
    )


@dataclass(frozen=True)
class Service:
    """[service]: the process itself."""

    stop_mode: str = field(
        default="checkpoint",
        metadata=option(
            OneOf(("checkpoint", "finish")),
            "What becomes of running jobs when the service is stopped. checkpoint saves what is done of them, and the "
            "next start goes on from there. finish completes the jobs first.",
        ),
    )
    log_level: str = field(
        default="info",
        metadata=option(
            OneOf(("debug", "info", "warning", "error")),
            "How much is logged. Messages less serious than this are left out.",
        ),
    )


@dataclass(frozen=True)
class Status:
    """[status]: what others see."""

    page: bool = field(
        default=True,
        metadata=option(
            Flag(),
            "true keeps STATUS.html and STATUS.txt in each outbox up to date: what runs, what waits, what came out, "
            "what is wrong. They name only jobs whose results go there, and nothing of the server. Files of these "
            "names that people put there stay. While nothing happens, they are written ever more rarely.",
        ),
    )
    metrics: Path | None = field(
        default=None,
        metadata=option(
            FilePath(optional=True, empty="for none"),
            "A file for the textfile collector of Prometheus' node_exporter, its name with .prom at the end: the "
            "queue, the speed, the GPUs, problems. It is renewed when something changes, and every 15 seconds.",
        ),
    )


@dataclass(frozen=True)
class Tools:
    """[tools]: programs of the older deployment. Decoding and encoding need none of them."""

    ffmpeg: str = field(
        default="",
        metadata=option(
            Text(), "An ffmpeg program. Nothing needs it: `flashvsr check` names it, that is all.", env="FFMPEG_BINARY"
        ),
    )
    ffprobe: str = field(
        default="",
        metadata=option(
            Text(),
            "An ffprobe program. Nothing needs it: `flashvsr check` names it, that is all.",
            env="FFPROBE_BINARY",
        ),
    )


@dataclass(frozen=True)
class ExtraInbox:
    """[[inbox]]: a further inbox anywhere, with an outbox of its own."""

    path: Path = field(metadata=option(FilePath(), "A folder that is an inbox itself."))
    outbox: Path = field(metadata=option(FilePath(), "Where its results go."))
