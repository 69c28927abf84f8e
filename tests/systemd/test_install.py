"""systemd/install: what it makes, that it can run again, and what it says when it cannot."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from kits.installed import CHECKOUT, SETTINGS, UNIT, Installed, install, prepare_environment
from kits.paths import REPOSITORY
from kits.systemd_box import Box

pytestmark = pytest.mark.timeout(300)
SCRIPT = f"{CHECKOUT}/systemd/install"
STAGE = "/mnt/stage"
SHELL = ("_flashvsr", "flashvsr.1", "flashvsr.bash", "flashvsr.fish")


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed here")
def test_the_scripts_are_sound() -> None:
    scripts = (REPOSITORY / "systemd" / "install", REPOSITORY / ".ci" / "run")
    checked = subprocess.run(["shellcheck", *scripts], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


def test_it_installs_below_a_prefix(box: Box) -> None:
    prepare_environment(box, STAGE)
    # Settings that nobody edited since an earlier version follow the program.
    for path in (f"{STAGE}{SETTINGS}", f"{STAGE}/opt/flashvsr/share/flashvsr/flashvsr.toml"):
        box.write(path, "# as shipped before\n")
    said = install(box, "--prefix", STAGE)
    assert box.run("cat", f"{STAGE}{SETTINGS}").stdout == (REPOSITORY / "config" / "flashvsr.toml").read_text()
    assert f"Installed below {STAGE}" in said
    assert [line[:5] for line in said.splitlines() if line.startswith("[")] == [f"[{n}/4]" for n in range(1, 5)]
    assert len(said.splitlines()) == 6, "one line for each step, and what to do next"
    found = box.shell(f"""
        cd {STAGE}
        stat -c '%a %n' etc/flashvsr etc/flashvsr/* etc/*.d/* etc/systemd/system/* \\
            var/lib/flashvsr srv/flashvsr srv/flashvsr/*
        readlink usr/local/bin/flashvsr
        find usr/local/share -type l | sort
        find usr/local/share -type l | sort | xargs readlink | sed 's|^/||' | xargs ls
        head -n 1 opt/flashvsr/bin/flashvsr
        grep -rlIF {STAGE} etc opt/flashvsr/bin opt/flashvsr/pyvenv.cfg || true""")
    assert found.splitlines() == [
        "755 etc/flashvsr",
        "644 etc/flashvsr/flashvsr.toml",
        "644 etc/sysusers.d/flashvsr.conf",
        "644 etc/tmpfiles.d/flashvsr.conf",
        "644 etc/systemd/system/flashvsr.service",
        "700 var/lib/flashvsr",
        "755 srv/flashvsr",
        "2775 srv/flashvsr/inbox",
        "2775 srv/flashvsr/outbox",
        "/opt/flashvsr/bin/flashvsr",
        "usr/local/share/bash-completion/completions/flashvsr",
        "usr/local/share/fish/vendor_completions.d/flashvsr.fish",
        "usr/local/share/man/man1/flashvsr.1",
        "usr/local/share/zsh/site-functions/_flashvsr",
        *(f"opt/flashvsr/share/flashvsr/shell/{name}" for name in SHELL),
        "#!/opt/flashvsr/bin/python",
    ]
    assert box.run("id", "flashvsr", check=False).returncode != 0, "the machine itself is left alone"
    assert not box.run("sh", "-c", f"ls {UNIT} 2>/dev/null", check=False).stdout

    said = box.run(SCRIPT, "--uninstall", "--prefix", STAGE).stdout
    assert f"  {STAGE}/etc/flashvsr\n" in said
    left = box.shell(f"find {STAGE} -type f; find {STAGE} -type l; ls -A {STAGE}/opt {STAGE}/usr/local/bin")
    assert left.split() == [f"{STAGE}/etc/flashvsr/flashvsr.toml", f"{STAGE}/opt:", f"{STAGE}/usr/local/bin:"]


def test_running_it_again_upgrades_and_keeps_what_is_ours(service: Installed, box: Box) -> None:
    service.settings("# mine\n")
    service.start()
    box.shell("chmod 2770 /srv/flashvsr/outbox; rm /opt/flashvsr/lib/python3*/site-packages/flashvsr/__init__.py")
    said = install(box)
    assert f"{SETTINGS} is yours and stays" in said
    assert "systemctl restart flashvsr" in said
    assert box.run("cat", SETTINGS).stdout.endswith("# mine\n")
    assert box.shell("stat -c %a /srv/flashvsr/outbox").strip() == "2770"
    assert service.property("ActiveState") == "active", "it goes on undisturbed"
    box.run("systemctl", "restart", "flashvsr")
    assert not box.shell("ls -A /opt/flashvsr | grep install || true"), "nothing temporary is left"
    box.shell("chmod 2775 /srv/flashvsr/outbox")


# A Python as the script sees it: place and version, whether it is new enough, whether it can make environments.
FAKE = """#!/bin/sh
case $2 in
    *base_prefix*) echo {place} {version} ;;
    *version_info*) exit {old} ;;
    *) exit 1 ;;
esac
"""


@pytest.mark.parametrize(
    ("place", "version", "old", "words"),
    [
        ("/usr", "3.9", 1, "is version 3.9; 3.11 or newer is needed"),
        ("/root/python", "3.12", 0, "the unit hides home directories"),
        ("/usr", "3.12", 0, "has no venv module"),
    ],
)
def test_a_python_that_will_not_do(box: Box, place: str, version: str, old: int, words: str) -> None:
    box.write("/usr/local/bin/fake-python", FAKE.format(place=place, version=version, old=old))
    box.run("chmod", "+x", "/usr/local/bin/fake-python")
    failed = box.run(SCRIPT, "--prefix", STAGE, "--python", "fake-python", check=False)
    assert failed.returncode == 1
    assert words in failed.stderr
    assert not box.run("find", STAGE, "-type", "f", "-newer", "/usr/local/bin/fake-python").stdout


def test_it_says_what_is_in_the_way(box: Box) -> None:
    def complaint(*command: str) -> str:
        failed = box.run(*command, check=False)
        assert failed.returncode == 1
        assert failed.stderr.count("\n") == 1, failed.stderr
        return failed.stderr

    assert "must run as root" in complaint("setpriv", "--reuid", "65534", "--clear-groups", SCRIPT)
    assert "unknown argument: --prefx" in complaint(SCRIPT, "--prefx", STAGE)
    assert "--prefix needs a value" in complaint(SCRIPT, "--prefix")
    box.shell("mkdir -p /mnt/foreign/opt/flashvsr /mnt/small; touch /mnt/foreign/opt/flashvsr/thesis.odt")
    python = ("--python", box.shell("ls /opt/python/bin/python3 /usr/bin/python3 2>/dev/null || true").split()[0])
    assert "is no flashvsr installation; move it away" in complaint(SCRIPT, "--prefix", "/mnt/foreign", *python)
    assert "look at it and remove it" in complaint(SCRIPT, "--uninstall", "--prefix", "/mnt/foreign")
    box.run("mount", "-t", "tmpfs", "-o", "size=10m", "small", "/mnt/small")
    assert "0 GiB are free, 9 are needed" in complaint(SCRIPT, "--prefix", "/mnt/small", *python)
    box.run("umount", "/mnt/small")
