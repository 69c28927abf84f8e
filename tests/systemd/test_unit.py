"""The unit file against systemd's own checker, and against what the service does."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flashvsr.service.supervisor import EX_CONFIG, Intervals
from kits.paths import REPOSITORY

SYSTEMD = REPOSITORY / "systemd"
UNIT = SYSTEMD / "flashvsr.service"


# What holds the service in, beside the simple ones below: every line of each directive, in order.
LIMITS = {
    "User": ["flashvsr"],
    "Group": ["flashvsr"],
    "UMask": ["0002"],
    "StateDirectory": ["flashvsr"],
    "StateDirectoryMode": ["0700"],
    "WorkingDirectory": ["/var/lib/flashvsr"],
    "Environment": ["PYTHONSAFEPATH=1"],
    "NotifyAccess": ["main"],
    "OOMPolicy": ["continue"],
    "ProtectSystem": ["strict"],
    "ReadWritePaths": ["-/srv/flashvsr"],
    "CapabilityBoundingSet": [""],
    "AmbientCapabilities": [""],
    "DevicePolicy": ["closed"],
    "DeviceAllow": ["char-nvidia* rwm"],
    "SystemCallFilter": ["@system-service", "~@privileged"],
    "SystemCallErrorNumber": ["EPERM"],
    "SystemCallArchitectures": ["native"],
    "RestrictAddressFamilies": ["AF_UNIX AF_INET AF_INET6"],
    "ProtectProc": ["invisible"],
    "KeyringMode": ["private"],
}
SWITCHED_ON = [
    "LockPersonality",
    "NoNewPrivileges",
    "PrivateMounts",
    "PrivateTmp",
    "ProtectClock",
    "ProtectControlGroups",
    "ProtectHome",
    "ProtectHostname",
    "ProtectKernelLogs",
    "ProtectKernelModules",
    "ProtectKernelTunables",
    "RemoveIPC",
    "RestrictNamespaces",
    "RestrictRealtime",
    "RestrictSUIDSGID",
]


def service_lines(file: Path = UNIT) -> dict[str, list[str]]:
    """The values of each directive of the service, in order: a later one adds to the earlier ones or replaces them."""
    section = file.read_text().partition("\n[Service]\n")[2].partition("\n[")[0]
    found: dict[str, list[str]] = {}
    for line in section.splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


needs_systemd_analyze = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed here"
)


@needs_systemd_analyze
@pytest.mark.parametrize("drop_in", ["", "metrics.conf", "no-network.conf", "share.conf"])
def test_systemd_accepts_the_unit(tmp_path: Path, drop_in: str) -> None:
    # The checker wants the program to exist; the installed one does not here.
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/flashvsr/bin/flashvsr", sys.executable))
    if drop_in:
        (tmp_path / f"{UNIT.name}.d").mkdir()
        shutil.copy(SYSTEMD / "drop-ins" / drop_in, tmp_path / f"{UNIT.name}.d")
    checked = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True)
    said = [line for line in checked.stderr.splitlines() if UNIT.name in line]  # drop-ins lie below its name
    assert (checked.returncode, said) == (0, [])


@needs_systemd_analyze
def test_the_sandbox_is_rated_well() -> None:
    # The threshold is ten times the exposure: more than 3.0 fails.
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=30", "--no-pager", str(UNIT)]
    rated = subprocess.run(command, capture_output=True, text=True)
    assert rated.returncode == 0, rated.stdout + rated.stderr
    assert "Overall exposure level for flashvsr.service" in rated.stdout


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="systemd-sysusers is not installed here")
def test_systemd_creates_the_account(tmp_path: Path) -> None:
    file = SYSTEMD / "sysusers.d" / "flashvsr.conf"
    (tmp_path / "etc").mkdir()
    subprocess.run(["systemd-sysusers", f"--root={tmp_path}", file], check=True, capture_output=True)
    assert "flashvsr:" in (tmp_path / "etc" / "passwd").read_text()


@pytest.mark.parametrize("file", [UNIT, *sorted((SYSTEMD / "drop-ins").iterdir())], ids=lambda file: file.name)
def test_every_line_is_explained(file: Path) -> None:
    lines = file.read_text().splitlines()
    bare = {
        line.partition("=")[0]
        for before, line in itertools.pairwise(lines)
        if "=" in line and not line.startswith("#") and not before.startswith("#")
    }
    # What needs no words, and what goes on from the line before it under the same comment.
    plain = {"Description", "Documentation", "Group", "RestartSec", "StartLimitBurst", "StateDirectoryMode", "WantedBy"}
    plain |= {"After", "AmbientCapabilities", "DeviceAllow", "SystemCallFilter", "SystemCallErrorNumber", "KeyringMode"}
    plain |= {f"ProtectKernel{what}" for what in ("Modules", "Logs")} | {"ProtectClock", "ProtectControlGroups"}
    plain |= {"RestrictAddressFamilies"}
    assert bare <= plain


def test_the_unit_leaves_the_gpus_and_the_compilers_alone() -> None:
    text = UNIT.read_text()
    forbidden = ["PrivateDevices", "MemoryDenyWriteExecute", "ProcSubset", "PrivateNetwork", "RestrictFileSystems"]
    assert not [name for name in forbidden if f"\n{name}=" in text]


@pytest.mark.parametrize("name", [*LIMITS, *SWITCHED_ON])
def test_the_unit_holds_the_service_in(name: str) -> None:
    assert service_lines().get(name) == LIMITS.get(name, ["yes"])


def test_every_line_of_the_sandbox_is_held() -> None:
    """A new one needs its place above, for nothing else would miss it."""
    sandbox = UNIT.read_text().partition("--- The sandbox")[2].partition("\n[Install]")[0].splitlines()
    names = {line.partition("=")[0] for line in sandbox[1:] if line and not line.startswith("#")}
    assert names <= {*LIMITS, *SWITCHED_ON}


def test_the_drop_in_closes_every_way_into_the_network() -> None:
    assert service_lines(SYSTEMD / "drop-ins" / "no-network.conf") == {
        "PrivateNetwork": ["yes"],
        "IPAddressDeny": ["any"],
        "RestrictAddressFamilies": ["", "AF_UNIX"],
    }


def test_only_what_makes_device_files_runs_outside_the_sandbox() -> None:
    programs = [
        (name, value) for name, values in service_lines().items() if name.startswith("Exec") for value in values
    ]
    free = [(name, value) for name, value in programs if not value.startswith("/")]
    assert [name for name, _ in free] == ["ExecStartPre"]
    assert "/usr/bin/nvidia-modprobe" in free[0][1]
    assert {name for name, _ in programs} == {"ExecStartPre", "ExecStart", "ExecReload"}


def test_the_unit_gives_the_service_the_time_it_takes() -> None:
    service = {name: values[-1] for name, values in service_lines().items()}
    pace = Intervals()
    assert int(service["TimeoutStopSec"]) > pace.checkpoint + pace.killed + pace.watcher_end
    assert int(service["TimeoutStartSec"]) >= 300
    assert int(service["WatchdogSec"]) >= 60
    assert int(service["RestartPreventExitStatus"]) == EX_CONFIG
    assert service["Type"] == "notify"
    assert service["KillMode"] == "mixed"
    assert service["Restart"] == "on-failure"
