"""The unit's sandbox, tried from inside: a unit with every line of the real one that runs a probe instead."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from kits.installed import CHECKOUT, OUTBOX, UNIT, Installed
from kits.systemd_box import Box

PROBE = "/run/systemd/system/flashvsr-probe.service"
PORT = 48173  # of a server in the box, which shares the network of this machine
PROGRAM = f"/opt/flashvsr/bin/python {CHECKOUT}/tests/programs/sandbox_probe.py {OUTBOX} {PORT}"

REFUSED = {
    "write /etc": "EROFS",
    "write /opt": "EROFS",
    "write /srv beside the share": "EROFS",
    "write /run": "EACCES",
    "read /tmp of the machine": "ENOENT",
    "list /root": "EACCES",
    "list /home": "EACCES",
    "write a sysctl": "EROFS",
    "see another user's process": "ENOENT",
    "open a disk": "EPERM",
    "packet socket": "EAFNOSUPPORT",
    "netlink socket": "EAFNOSUPPORT",
    "new user namespace": "EPERM",
    "become root": "EPERM",
    "change an owner": "EPERM",
    "set a file setuid": "EPERM",
    "real-time priority": "EPERM",
}
NO_NETWORK = {"internet socket": "EAFNOSUPPORT", "reach this machine's network": "EAFNOSUPPORT"}


@pytest.fixture
def probe(service: Installed) -> Iterator[Box]:
    box = service.box
    unit = box.run("cat", UNIT).stdout
    unit = re.sub(r"(?m)^ExecStart=.*", f"ExecStart={PROGRAM}", unit)
    unit = re.sub(r"(?m)^(Restart|Type|Watchdog)\w*=.*\n", "", unit)
    box.write(PROBE, unit.replace("[Service]", "[Service]\nType=oneshot", 1))
    # A device that everybody may open, but for the sandbox; and a file in the machine's /tmp.
    box.shell(f"""
        install -d -o flashvsr -g flashvsr -m 2775 {OUTBOX}
        rm -f /dev/probe-device
        mknod -m 666 /dev/probe-device c 1 2
        touch /tmp/of-the-machine
        systemd-run --quiet --unit probe-server python3 -m http.server {PORT} --bind 127.0.0.1 --directory /srv
        systemctl daemon-reload""")
    yield box
    box.shell(f"systemctl stop probe-server; rm -rf {PROBE} {PROBE}.d; systemctl daemon-reload")


def results(box: Box) -> dict[str, str]:
    """Run the probe; what failed, and how."""
    done = box.run("systemctl", "start", "flashvsr-probe", check=False)
    assert done.returncode == 0, box.run("journalctl", "-u", "flashvsr-probe", "-n", "20", "--no-pager").stdout
    found = json.loads(box.run("cat", "/var/lib/flashvsr/probe.json").stdout)
    return {what: error for what, error in found.items() if error is not None}


def test_the_service_can_do_what_it_must_and_nothing_else(probe: Box) -> None:
    assert results(probe) == REFUSED


def test_a_drop_in_closes_the_network(probe: Box) -> None:
    probe.shell(f"""
        mkdir -p {PROBE}.d
        cp {CHECKOUT}/systemd/drop-ins/no-network.conf {PROBE}.d/
        systemctl daemon-reload""")
    assert results(probe) == REFUSED | NO_NETWORK


def test_service_and_worker_start_without_network_in_the_same_sandbox(service: Installed, box: Box) -> None:
    service.drop_in("no-network", box.run("cat", f"{CHECKOUT}/systemd/drop-ins/no-network.conf").stdout)
    service.start()
    worker = service.facts()["workers"][0]["pid"]
    assert box.shell(f"tail -n +3 /proc/{worker}/net/dev").split(":")[0].strip() == "lo"
    for process in (service.main_pid(), worker):
        inside = ("nsenter", "-t", str(process), "-m", "--", "touch")
        assert "Read-only file system" in box.run(*inside, "/etc/probe", check=False).stderr
        assert box.run(*inside, "/srv/flashvsr/probe", "/var/lib/flashvsr/probe").returncode == 0
        status = box.shell(f"grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/{process}/status").split()
        assert status == ["CapEff:", "0000000000000000", "NoNewPrivs:", "1", "Seccomp:", "2"]


@pytest.mark.timeout(300)
def test_an_outbox_that_the_unit_keeps_closed_names_the_line_that_opens_it(service: Installed) -> None:
    """Before there is a job, at a reload and at the start; and the line, put where it says, opens it."""
    inbox, out = "/srv/flashvsr/more", "/media/results"
    service.box.shell(f"install -d -o flashvsr -g flashvsr -m 2775 {inbox} {out}")
    words = f"add ReadWritePaths={out} below [Service]"

    def told() -> str:
        return service.property("StatusText")

    service.start()
    service.settings(f'[[inbox]]\npath = "{inbox}"\noutbox = "{out}"\n')
    service.box.run("systemctl", "reload", "flashvsr")
    service.until(lambda: words in told(), "the status names the line")
    service.box.run("systemctl", "restart", "flashvsr")
    service.until(lambda: words in told(), "the status names the line")
    service.box.run("touch", f"{inbox}/notes.txt")  # no video, which is told
    service.drop_in("open", f"[Service]\nReadWritePaths={out}\n")
    service.box.run("systemctl", "restart", "flashvsr")
    looked = service.until(lambda: told() if "notes.txt" in told() else "", "the inboxes were looked through")
    assert "ReadWritePaths" not in looked
    assert service.box.shell(f"ls -A {out} | grep -v STATUS || true") == ""
    service.box.shell(f"rm -r {inbox} {out}")
