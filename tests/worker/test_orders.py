"""What the service asks by signals, one after the other or all at once."""

from __future__ import annotations

from signal import SIGHUP, SIGTERM, SIGUSR1, Signals

import pytest

from flashvsr.worker.orders import SIGNALS, Orders
from kits.played import Arrivals


def orders(*arrived: Signals) -> tuple[Orders, Arrivals]:
    arrivals = Arrivals()
    arrivals.queued = list(arrived)
    return Orders(arrivals), arrivals


@pytest.mark.parametrize(
    ("arrived", "interrupt", "leave", "reload"),
    [
        ((), False, False, False),
        ((SIGTERM,), True, True, False),
        ((SIGUSR1,), False, True, False),
        ((SIGHUP,), False, False, True),
        ((SIGTERM, SIGHUP), True, True, True),
        ((SIGHUP, SIGTERM), True, True, True),
        ((SIGTERM, SIGUSR1), True, True, False),
        ((SIGUSR1, SIGHUP), False, True, True),
    ],
)
def test_no_signal_undoes_another(arrived: tuple[Signals, ...], interrupt: bool, leave: bool, reload: bool) -> None:
    assert set(arrived) <= set(SIGNALS)
    assert orders(*arrived)[0].interrupt is interrupt
    assert orders(*arrived)[0].leave is leave
    assert orders(*arrived)[0].take_reload() is reload
    asked, _ = orders(*arrived)
    assert (asked.take_reload(), asked.interrupt, asked.leave) == (reload, interrupt, leave)


def test_leaving_is_not_forgotten_and_settings_are_read_once_for_each_request() -> None:
    asked, arrivals = orders()
    assert asked.take_reload() is False
    arrivals.queued = [SIGHUP]
    assert (asked.take_reload(), asked.take_reload()) == (True, False)
    arrivals.queued = [SIGUSR1, SIGHUP]
    assert asked.leave
    arrivals.queued = [SIGHUP]
    assert (asked.leave, asked.interrupt) == (True, False)
    assert (asked.take_reload(), asked.take_reload()) == (True, False)
