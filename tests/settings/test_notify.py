"""[notify] and [status]: what is accepted; and that no message shows an address."""

from __future__ import annotations

from pathlib import Path

import pytest

from flashvsr.errors import BadConfig
from flashvsr.settings.config import Config, load_config
from flashvsr.settings.notify_table import MOST_ADDRESSES
from kits.settings_text import load

SECRET = "hunter2"
URL = f"json://me:{SECRET}@host/{SECRET}"


def test_all_of_it(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        f'[notify]\nurls = ["{URL}", "mailto://{SECRET}", "{URL}"]\non = ["trouble", "done"]\nping = "https://hc/{SECRET}"',
    )
    assert config.notify.urls == (URL, f"mailto://{SECRET}")
    assert config.notify.on == ("done", "trouble")
    assert config.notify.ping == f"https://hc/{SECRET}"
    assert SECRET not in repr(config)


def test_nobody_is_told_by_default() -> None:
    notify = Config().notify
    assert (notify.urls, notify.on, notify.ping, Config().status.metrics) == ((), ("failed", "queue_empty"), "", None)


def test_the_file_of_metrics_may_be_relative(tmp_path: Path) -> None:
    assert load(tmp_path, '[status]\nmetrics = "x/flashvsr.prom"').status.metrics == tmp_path / "x" / "flashvsr.prom"
    assert load(tmp_path, '[status]\nmetrics = ""').status.metrics is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f'[notify]\nurls = "{URL}"', "notify.urls: expected a list of Apprise addresses"),
        (f'[notify]\nurls = ["{URL}", "{SECRET}"]', "number 2 is none"),
        (f'[notify]\nurls = ["{URL}\\u0007"]', "number 1 is none"),
        (f'[notify]\nurls = [["{URL}"]]', "number 1 is none"),
        (f'[notify]\nurls = {{escaped = "{URL}\\\\xzz"}}', "expected a list"),
        (f'[notify]\nurls = {{"{SECRET}" = 1}}', "expected a list"),
        (f'[notify]\nping = "{URL}"', 'notify.ping: expected "" or a web address'),
        (f'[notify]\nping = ["https://{SECRET}"]', "web address"),
        (f'[notify]\nping = "https://host/{SECRET} x"', "web address"),
        (f'[notify]\nping = {{escaped = "{SECRET}\\\\xzz"}}', "web address"),
        (f'notify = "{URL}"', "notify: expected a table"),
        (f'[[notify]]\nurls = ["{URL}"]', "notify: expected a table"),
        (f'[notify]\nurl = ["{URL}"]', 'known here: urls, on, ping'),
        (f'urls = ["{URL}"]', "belongs below the line [notify]"),
        (f'ping = "{URL}"', "belongs below the line [notify]"),
        (f'[service]\nurls = ["{URL}"]', "unknown key"),
        (f'[notify]\nurls = ["{URL}', "not valid TOML"),
        (f"[notify]\nurls = [{URL}]", "not valid TOML"),
        (f"[notify]\nurls = ['{URL}', {URL}]", "not valid TOML"),
        (f"[notify]\n{URL}", "not valid TOML"),
        (f'[notify]\nping = "a"\nping = "{URL}"', "not valid TOML"),
        (f'[notify]\nurls = ["{URL}"\non = []', "not valid TOML"),
        ('[notify]\non = "done"', "put it into brackets"),
        ('[notify]\non = ["done", "bored"]', '"held", "queue_empty" and "trouble"'),
    ],
)  # fmt: skip
def test_wrong_settings_are_told_without_an_address(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BadConfig) as refusal:
        load(tmp_path, text)
    assert said in str(refusal.value)
    assert SECRET not in str(refusal.value)


def test_there_is_a_limit(tmp_path: Path) -> None:
    urls = ", ".join(f'"json://host/{index}"' for index in range(MOST_ADDRESSES + 1))
    with pytest.raises(BadConfig, match=f"at most {MOST_ADDRESSES}"):
        load(tmp_path, f"[notify]\nurls = [{urls}]")


def test_a_broken_line_without_an_address_is_shown(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="log_level = info"):
        load(tmp_path, "[service]\nlog_level = info")


def test_an_environment_cannot_hold_addresses() -> None:
    with pytest.raises(BadConfig) as refusal:
        load_config(None, {"FLASHVSR_NOTIFY_URLS": URL})
    assert SECRET not in str(refusal.value)
