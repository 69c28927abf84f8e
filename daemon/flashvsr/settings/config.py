"""The service's settings: flashvsr.toml and environment variables -> one frozen, checked `Config`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import cast

from flashvsr.errors import BadConfig
from flashvsr.files.texts import read_text
from flashvsr.files.trees import OWN, Trees
from flashvsr.settings.bounds import CONFIG_LIMITS
from flashvsr.settings.crosscheck import (
    ARCHIVE,
    INBOX,
    OTHER,
    OUTBOX,
    ConfiguredFolder,
    check_folders,
    check_not_available,
)
from flashvsr.settings.document import (
    Document,
    Setting,
    parse,
    raise_problems,
    read_table,
    unknown_key,
)
from flashvsr.settings.environment import CONFIG_VARIABLE, read_environment
from flashvsr.settings.nearness import folded
from flashvsr.settings.notify_table import Notify
from flashvsr.settings.options import keys
from flashvsr.settings.preset import Preset
from flashvsr.settings.processing_tables import Chunks, Gpu, Model, Pipeline, Preprocess, SourceLimits, Streaming
from flashvsr.settings.service_tables import (
    Export,
    ExtraInbox,
    Paths,
    QueueSettings,
    Retention,
    Schedule,
    Service,
    Status,
    Tools,
    Watch,
)
from flashvsr.settings.synonyms import CONFIG_KEYS

DEFAULT_CONFIG_PATH = Path("/etc/flashvsr/flashvsr.toml")
DONE = "done"  # beside the inboxes: where sources go that people shall see
NO_INBOX = frozenset(
    {DONE, "@eaDir", "#recycle", "#snapshot", "lost+found", "$RECYCLE.BIN", "System Volume Information"}
)

NO_INBOX_PREFIXES = (".", "_UNPACK_", "_FAILED_")  # SABnzbd unpacks into the last two, and renames the folder then


@dataclass(frozen=True)
class InboxDir:
    """An inbox as it is on disk now: its folder, where its results go, and its name for people."""

    path: Path
    outbox: Path
    name: str


@dataclass(frozen=True)
class Config:
    """All settings. One attribute for each table of flashvsr.toml; `Config()` has the defaults.

    `origin` is the file read (None: none was found), `notes` are remarks for `flashvsr check` and the log.
    """

    paths: Paths = field(default_factory=Paths)
    watch: Watch = field(default_factory=Watch)
    gpu: Gpu = field(default_factory=Gpu)
    model: Model = field(default_factory=Model)
    pipeline: Pipeline = field(default_factory=Pipeline)
    limits: SourceLimits = field(default_factory=SourceLimits)
    streaming: Streaming = field(default_factory=Streaming)
    chunks: Chunks = field(default_factory=Chunks)
    preprocess: Preprocess = field(default_factory=Preprocess)
    queue: QueueSettings = field(default_factory=QueueSettings)
    schedule: Schedule = field(default_factory=Schedule)
    retention: Retention = field(default_factory=Retention)
    export: Export = field(default_factory=Export)
    service: Service = field(default_factory=Service)
    status: Status = field(default_factory=Status)
    notify: Notify = field(default_factory=Notify)
    tools: Tools = field(default_factory=Tools)
    extra_inboxes: tuple[ExtraInbox, ...] = ()
    origin: Path | None = None
    notes: tuple[str, ...] = ()

    def inboxes(self) -> tuple[InboxDir, ...]:
        """List the inboxes, read from disk now: the sub-directories of `paths.inbox` and the extra ones.

        Creates nothing. If `paths.inbox` cannot be listed (share not mounted), only the extra inboxes come
        back: that is no reason to forget anything, and reporting it is the watcher's task.
        """
        try:
            with os.scandir(self.paths.inbox) as entries:
                names = sorted(entry.name for entry in entries if _is_inbox(entry))
        except OSError:
            names = []
        found = [InboxDir(self.paths.inbox / name, self.paths.outbox / name, name) for name in names]
        return (
            *found,
            *(InboxDir(extra.path, extra.outbox, extra.path.name) for extra in self.extra_inboxes),
        )

    def done_folder(self, inbox: Path) -> Path:
        """Where sources of this inbox go by `watch.on_success = "done"`: beside it, for all who see the inboxes.

        What lies beside an [[inbox]] may be another disk, or nothing that its people see. So theirs is inside.
        """
        if any(extra.path == inbox for extra in self.extra_inboxes):
            return inbox / DONE
        return inbox.parent / DONE / inbox.name

    def not_looked_into(self) -> frozenset[Path]:
        """Return the folders that no scan enters, wherever the settings put them: the service's own, and done ones."""
        paths = self.paths
        own = {paths.outbox, paths.state, paths.models} | ({paths.archive} if paths.archive else set())
        return frozenset(own | {extra.path / DONE for extra in self.extra_inboxes})

    def trees(self) -> Trees:
        """Return the way to files, by which no link is followed where other people write: in inboxes and outboxes.

        Nor in an archive of its own place: that may be a share as well.
        """
        extra = (path for inbox in self.extra_inboxes for path in (inbox.path, inbox.outbox))
        archive = () if self.paths.archive is None else (self.paths.archive,)
        return Trees((self.paths.inbox, self.paths.outbox, *extra, *archive))


TABLES: Mapping[str, type] = {
    item.name: cast(type, item.default_factory) for item in fields(Config) if item.default_factory is not MISSING
}


def load_config(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Config:
    """Read the settings file and the environment.

    Without `path` the file is the one that FLASHVSR_CONFIG names, else DEFAULT_CONFIG_PATH if it exists, else
    none. Raises BadConfig with every problem, one per line: file, line, key, value found, what is allowed.
    """
    problems: list[str] = []
    notes: list[str] = []
    if path is None and environ.get(CONFIG_VARIABLE):
        path = Path(environ[CONFIG_VARIABLE])
    origin = _absolute(path) if path is not None else DEFAULT_CONFIG_PATH
    text = _read_file(origin, path is not None, problems)
    document = (parse(text, str(origin), problems, CONFIG_LIMITS) if text is not None else None) or Document(
        str(origin)
    )

    settings = _read_tables(document, origin.parent, problems)
    extras = _read_extra_inboxes(document, origin.parent, problems)
    settings |= read_environment(environ, TABLES, problems, notes)
    problems += check_not_available(settings)
    problems += check_folders([*_folders(document, settings), *_extra_folders(extras)])
    raise_problems(problems)

    values = {
        name: {key: setting.value for (table, key), setting in settings.items() if table == name} for name in TABLES
    }
    return Config(
        **{name: table(**values[name]) for name, table in TABLES.items()},
        extra_inboxes=tuple(ExtraInbox(extra["path"].value, extra["outbox"].value) for extra in extras),
        origin=origin if text is not None else None,
        notes=tuple(notes),
    )


def _is_inbox(entry: os.DirEntry[str]) -> bool:
    hidden = entry.name.startswith(NO_INBOX_PREFIXES) or entry.name in NO_INBOX
    return not hidden and entry.is_dir(follow_symlinks=False)


def _absolute(path: Path) -> Path:
    try:
        return path.expanduser().absolute()
    except RuntimeError as error:  # "~name" of a user who does not exist
        raise BadConfig(f"{path}: names no home directory") from error


def _read_file(path: Path, required: bool, problems: list[str]) -> str | None:
    try:
        return read_text(OWN, path, CONFIG_LIMITS.bytes)
    except FileNotFoundError:
        if required:
            problems.append(f"{path}: there is no such file; give the path of a flashvsr.toml")
    except BadConfig as error:
        problems.append(str(error))
    return None


def _read_tables(document: Document, base: Path, problems: list[str]) -> dict[tuple[str, str], Setting]:
    settings: dict[tuple[str, str], Setting] = {}
    for name, value in document.data.items():
        if name in TABLES:
            accepted = read_table(TABLES[name], value, document, problems, at=(name,), base=base, advise=_home_of)
            settings |= {(name, key): setting for key, setting in accepted.items()}
        elif name != "inbox":
            problems.append(_unknown(name, value, document))
    return settings


def _unknown(name: str, value: object, document: Document) -> str:
    home = _home_of(name)
    if home and not isinstance(value, dict):
        return f"{document.label((name,))}: {home}"
    noun = "table" if isinstance(value, dict) else "key"
    return unknown_key(document, (name,), (*TABLES, "inbox"), noun, home)


def _home_of(key: str) -> str:
    """Where a key that stands in the wrong place belongs; an empty text if that is not known."""
    homes = [table for table, options in TABLES.items() if key in keys(options)]
    if homes:
        return f"belongs below the line [{homes[0]}]"
    if folded(key) in CONFIG_KEYS:
        table, name = CONFIG_KEYS[folded(key)]
        return f"it is called {name} here, below the line [{table}]"
    return "belongs in the preset.toml of an inbox" if key in keys(Preset) else ""


def _read_extra_inboxes(document: Document, base: Path, problems: list[str]) -> list[dict[str, Setting]]:
    tables = document.data.get("inbox", [])
    if not isinstance(tables, list):
        problems.append(f"{document.label(('inbox',))}: write [[inbox]] with two brackets, once for each inbox")
        return []
    return [
        read_table(ExtraInbox, table, document, problems, at=("inbox", number), base=base)
        for number, table in enumerate(tables)
    ]


def _folders(document: Document, settings: Mapping[tuple[str, str], Setting]) -> list[ConfiguredFolder]:
    """The folders of [paths]; one whose value was refused is left out, its default would only confuse."""
    roles = {"inbox": INBOX, "outbox": OUTBOX, "archive": ARCHIVE}
    given = document.data.get("paths")
    folders = []
    for key in keys(Paths):
        role = roles.get(key, OTHER)
        setting, default = settings.get(("paths", key)), getattr(Paths, key)
        if setting is not None and setting.value is not None:
            folders.append(ConfiguredFolder(role, setting.value, setting.label))
        elif default is not None and (not isinstance(given, dict) or key not in given):
            folders.append(ConfiguredFolder(role, default, f"paths.{key} (the default)"))
    return folders


def _extra_folders(extras: list[dict[str, Setting]]) -> list[ConfiguredFolder]:
    return [
        ConfiguredFolder(role, extra[key].value, extra[key].label)
        for extra in extras
        for key, role in (("path", INBOX), ("outbox", OUTBOX))
        if key in extra
    ]
