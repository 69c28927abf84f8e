"""Who holds a job, and whether that very process still runs."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from flashvsr.jobs import owner as module
from flashvsr.jobs.owner import current_owner, owner_alive


def test_this_process_is_alive_and_another_start_or_boot_is_not() -> None:
    me = current_owner()
    assert (me.host, me.pid) == (socket.gethostname(), os.getpid())
    boot, _, ticks = me.start.partition("-")
    assert len(boot) == 8
    assert owner_alive(me)
    assert not owner_alive(replace(me, start=f"{boot}-{int(ticks) + 1}"))
    assert not owner_alive(replace(me, start=f"00000000-{ticks}"))
    assert not owner_alive(replace(me, pid=999_999_999))


@pytest.mark.parametrize("boot", ["", "00000000"], ids=["of this boot", "of another"])
def test_a_host_is_another_only_with_another_boot(boot: str) -> None:
    """The name may change while it runs."""
    me = current_owner()
    renamed = replace(me, host="elsewhere", pid=999_999_999)
    if boot:
        renamed = replace(renamed, start=f"{boot}-1")
    assert owner_alive(renamed) == bool(boot)
    assert owner_alive(replace(me, host="elsewhere"))


@pytest.mark.parametrize("name", [b"python", b"a) b (c", b") Z 1 "])
@pytest.mark.parametrize(("state", "known"), [(b"R", True), (b"S", True), (b"Z", False), (b"X", False)])
def test_the_start_is_the_22nd_field_whatever_the_programs_name(
    name: bytes, state: bytes, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = [str(number).encode() for number in range(4, 53)]  # as proc(5) counts them
    stat = b"7 (" + name + b") " + b" ".join([state, *fields])
    monkeypatch.setattr(Path, "read_bytes", lambda _: stat)
    assert module._start_of(7) == (f"{module.this_boot()}-22" if known else None)
