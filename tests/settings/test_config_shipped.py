"""config/flashvsr.toml: shows every option, equals the defaults, and its example works."""

from __future__ import annotations

import tomllib
from pathlib import Path

from flashvsr.settings.config import TABLES, Config, load_config
from flashvsr.settings.crosscheck import NOT_YET
from flashvsr.settings.options import options
from flashvsr.settings.service_tables import ExtraInbox
from generated import default_config_text
from kits.paths import REPOSITORY
from kits.settings_text import load

SHIPPED = REPOSITORY / "config" / "flashvsr.toml"
YET = "Does not work yet"


def test_the_shipped_file_is_the_declared_defaults() -> None:
    assert SHIPPED.read_text() == default_config_text()


def test_the_shipped_file_shows_every_option_and_loads_as_the_defaults() -> None:
    data = tomllib.loads(SHIPPED.read_text())
    assert {name: list(table) for name, table in data.items()} == {
        name: [item.key for item in options(table)] for name, table in TABLES.items()
    }
    loaded = load_config(SHIPPED, {})
    assert all(getattr(loaded, name) == getattr(Config(), name) for name in TABLES)


def test_the_shipped_file_says_which_options_do_not_work_yet() -> None:
    silent = {(name, item.key) for name, table in TABLES.items() for item in options(table) if YET not in item.help}
    declared = {(name, item.key) for name, table in TABLES.items() for item in options(table)}
    assert declared - silent == {(item.table, item.key) for item in NOT_YET}


def test_the_example_of_a_further_inbox_works_once_uncommented(tmp_path: Path) -> None:
    text = SHIPPED.read_text()
    start = text.index("# [[inbox]]")
    example = "\n".join(line.removeprefix("# ") for line in text[start:].splitlines())
    config = load(tmp_path, text[:start] + example)
    assert config.extra_inboxes == (ExtraInbox(Path("/mnt/nas/restore"), Path("/mnt/nas/restored")),)
