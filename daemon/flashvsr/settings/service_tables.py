"""The tables of flashvsr.toml about folders, jobs and the service process.

A field is added here and nowhere else: validation, the commented default file and the environment override
all follow from its declaration.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from flashvsr.settings.kinds import ByteSize, Choice, FilePath, Number, Text, Whole
from flashvsr.settings.schema import option


@dataclass(frozen=True)
class Paths:
    """[paths]: the folders of the service. All of them absolute once loaded."""

    inbox: Path = field(
        default=Path("/srv/flashvsr/inbox"),
        metadata=option(
            FilePath(),
            "Every sub-directory of this folder is an inbox with a preset.toml of its own. Hidden folders, "
            "@eaDir, #recycle and symbolic links are not.",
        ),
    )
    outbox: Path = field(
        default=Path("/srv/flashvsr/outbox"),
        metadata=option(FilePath(), "Results go here, in a sub-directory named like the inbox."),
    )
    state: Path = field(
        default=Path("/var/lib/flashvsr"),
        metadata=option(
            FilePath(),
            "Queue database, finished chunks and archived sources. Must lie on a local disk, not on a share.",
        ),
    )
    models: Path = field(
        default=Path("/var/lib/flashvsr/models"),
        metadata=option(FilePath(), "Fetched weights are kept here."),
    )


@dataclass(frozen=True)
class Watch:
    """[watch]: how new files are noticed, and what becomes of a source afterwards. Times in seconds."""

    observer: str = field(
        default="auto",
        metadata=option(
            Choice(("auto", "inotify", "poll")),
            "How new files are noticed. inotify is immediate, but network shares deliver no events: auto "
            "scans those periodically and uses inotify elsewhere.",
        ),
    )
    poll_seconds: float = field(
        default=10,
        metadata=option(
            Number(0.05, 86400),
            "Seconds between two scans of the inboxes; up to six times as many where inotify is at work and there is "
            "much to look through.",
        ),
    )
    settle_seconds: float = field(
        default=5,
        metadata=option(
            Number(0, 86400),
            "A file is taken for complete when its size and time have stood still this many seconds.",
        ),
    )
    on_success: str = field(
        default="archive",
        metadata=option(
            Choice(("archive", "delete", "keep")),
            "What becomes of a source whose result is published. archive moves it below paths.state.",
        ),
    )


@dataclass(frozen=True)
class QueueSettings:
    """[queue]: patience with jobs."""

    max_attempts: int = field(
        default=3,
        metadata=option(Whole(1, 1000), "Attempts at a job before it is failed, crashes of the worker included."),
    )
    stall_seconds: float = field(
        default=300,
        metadata=option(
            Number(1, 86400),
            "A worker without progress for this many seconds is killed and its job queued again. Progress is new "
            "frames, and at the end what was joined, written and checked of the result.",
        ),
    )
    min_free: int = field(
        default=1 << 30,
        metadata=option(
            ByteSize(),
            "Bytes kept free in paths.state: below it no job starts and a running one waits after its current "
            "chunk, so that the queue itself can still be written. A job also waits until its expected result "
            "fits, there and in the outbox, beside this reserve. Units are powers of 1024.",
        ),
    )


@dataclass(frozen=True)
class Retention:
    """[retention]: when old things are removed."""

    days: int = field(
        default=30,
        metadata=option(
            Whole(0, 36500),
            "Finished jobs, archived sources and leftovers older than this many days are removed; 0 keeps all.",
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
            "Quality of inboxes whose preset names none; 10 is the best and largest.",
            env="FLASHVSR_EXPORT_VIDEO_QUALITY",
        ),
    )


@dataclass(frozen=True)
class Service:
    """[service]: the process itself."""

    stop_mode: str = field(
        default="checkpoint",
        metadata=option(
            Choice(("checkpoint", "finish")),
            "What stopping does to running jobs. checkpoint closes the chunk and goes on from it at the next "
            "start, finish completes the jobs first.",
        ),
    )
    log_level: str = field(
        default="info",
        metadata=option(Choice(("debug", "info", "warning", "error")), "Least severe messages that are logged."),
    )


@dataclass(frozen=True)
class Tools:
    """[tools]: programs of the older deployment. Decoding and encoding need none of them."""

    ffmpeg: str = field(
        default="",
        metadata=option(Text(), "An ffmpeg program; only reported by `flashvsr check`.", env="FFMPEG_BINARY"),
    )
    ffprobe: str = field(
        default="",
        metadata=option(Text(), "An ffprobe program; only reported by `flashvsr check`.", env="FFPROBE_BINARY"),
    )


@dataclass(frozen=True)
class ExtraInbox:
    """[[inbox]]: a further inbox anywhere, with an outbox of its own."""

    path: Path = field(metadata=option(FilePath(), "A folder that is an inbox itself."))
    outbox: Path = field(metadata=option(FilePath(), "Where its results go."))
