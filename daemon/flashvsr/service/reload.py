"""The configuration while the service runs: read again as a whole, handed to workers only when valid."""

from __future__ import annotations

import logging
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import tomli_w

from flashvsr.errors import BadConfig, Transient
from flashvsr.files.objects import clear_name
from flashvsr.files.state import StateDirectory
from flashvsr.files.texts import read_text, write_replacing
from flashvsr.files.trees import OWN
from flashvsr.settings.bounds import CONFIG_LIMITS
from flashvsr.settings.config import TABLES, Config, load_config
from flashvsr.settings.escaped import written
from flashvsr.settings.options import comment_block
from flashvsr.system.text import printable

log = logging.getLogger(__name__)

# The slots and the state directory cannot change under running workers.
NEEDS_RESTART = ("paths", "gpu")

_OWN = ("notify",)  # no worker's: it holds secrets, and workers open what anybody may have dropped

_HEADER = (
    "What the service hands to its workers: its settings as it last accepted them. Written at start and at "
    "each reload; edit the settings file of the service instead, changes here are lost."
)


def write_worker_config(config: Config) -> Path:
    """Write the configuration where workers read it; return the file.

    Workers never read the person's file: half an edit there, or one with an error, must not reach a worker
    that happens to start at that moment. Raises Transient, and BadConfig if a worker could not read so much.
    """
    path = StateDirectory(config.paths.state).worker_settings
    text = _worker_text(config)
    if len(text.encode("utf-8", "backslashreplace")) > CONFIG_LIMITS.bytes:
        raise BadConfig(f"the settings are more than {CONFIG_LIMITS.size} for a worker to read; name fewer [[inbox]]")
    try:
        clear_name(path)
        write_replacing(path, text)
    except OSError as error:
        raise Transient(
            f"cannot write {printable(path)}: {error.strerror}; is there space, and may we write?"
        ) from error
    return path


def keep_worker_config(config: Config) -> None:
    """Write it again where the file is not as it was written: a worker that starts now could not read it.

    Raises Transient.
    """
    path = StateDirectory(config.paths.state).worker_settings
    try:
        found: str | None = read_text(OWN, path, CONFIG_LIMITS.bytes, follow_symlinks=False)
    except (FileNotFoundError, BadConfig):
        found = None
    # Compared as it is written: a name that is no text has another form in a file.
    if found != _worker_text(config).encode("utf-8", "backslashreplace").decode():
        log.warning("%s is not as the service wrote it; it is written again", printable(path))
        write_worker_config(config)


def _worker_text(config: Config) -> str:
    tables: dict[str, Any] = {name: _plain(asdict(getattr(config, name))) for name in TABLES if name not in _OWN}
    tables["inbox"] = [_plain(asdict(extra)) for extra in config.extra_inboxes]
    return f"{comment_block(_HEADER)}\n{tomli_w.dumps(tables)}"


def _plain(table: dict[str, Any]) -> dict[str, Any]:
    """The values as TOML has them; an option without a value is an empty text there."""
    return {key: _value(value) for key, value in table.items()}


def _value(value: object) -> object:
    if value is None:
        return ""
    return written(str(value)) if isinstance(value, str | Path) else value


def read_again(current: Config) -> tuple[Config, tuple[str, ...]]:
    """Read the configuration anew; also name the tables whose changes wait for a restart.

    Those tables are kept as they were. Raises BadConfig with every problem; `current` is still good then.
    """
    new = load_config(current.origin)
    waiting = tuple(name for name in NEEDS_RESTART if getattr(new, name) != getattr(current, name))
    return replace(new, **{name: getattr(current, name) for name in NEEDS_RESTART}), waiting
