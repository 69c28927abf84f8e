"""The unit file against systemd's own checker, and against what the service does."""

from __future__ import annotations

import configparser
import itertools
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flashvsr.supervisor import EX_CONFIG, Pace

SYSTEMD = Path(__file__).parents[1] / "systemd"
UNIT = SYSTEMD / "flashvsr.service"


def service_section() -> configparser.SectionProxy:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(UNIT)
    return parser["Service"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed here")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    # The checker wants the program to exist; the installed one does not here.
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/flashvsr/bin/flashvsr", sys.executable))
    checked = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True)
    said = [line for line in checked.stderr.splitlines() if UNIT.name in line]
    assert (checked.returncode, said) == (0, [])


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="systemd-sysusers is not installed here")
def test_systemd_creates_the_account(tmp_path: Path) -> None:
    file = SYSTEMD / "sysusers.d" / "flashvsr.conf"
    (tmp_path / "etc").mkdir()
    subprocess.run(["systemd-sysusers", f"--root={tmp_path}", file], check=True, capture_output=True)
    assert "flashvsr:" in (tmp_path / "etc" / "passwd").read_text()


def test_every_line_is_explained() -> None:
    lines = UNIT.read_text().splitlines()
    bare = [
        line
        for before, line in itertools.pairwise(lines)
        if "=" in line and not line.startswith("#") and not before.startswith("#")
    ]
    plain = {"Description", "Documentation", "Group", "RestartSec", "StartLimitBurst", "StateDirectoryMode"}
    plain |= {"WantedBy"}
    assert {line.partition("=")[0] for line in bare} <= plain


def test_the_unit_gives_the_service_the_time_it_takes() -> None:
    service = service_section()
    pace = Pace()
    assert int(service["TimeoutStopSec"]) > pace.checkpoint + pace.killed + pace.watcher_end
    assert int(service["WatchdogSec"]) >= 60
    assert int(service["RestartPreventExitStatus"]) == EX_CONFIG
    assert service["Type"] == "notify"
    assert service["KillMode"] == "mixed"
