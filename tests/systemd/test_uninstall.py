"""systemd/install --uninstall on a running service. The last file here, for it takes away what the others need."""

from __future__ import annotations

from kits.installed import CHECKOUT, CLIP, INBOX, SETTINGS, UNIT, Installed
from kits.systemd_box import Box

SCRIPT = f"{CHECKOUT}/systemd/install"


def test_uninstalling_keeps_data_and_settings(service: Installed, box: Box) -> None:
    box.run("systemctl", "enable", "--now", "flashvsr")
    service.drop()
    said = box.run(SCRIPT, "--uninstall").stdout
    for kept in ("/etc/flashvsr", "/var/lib/flashvsr", "/srv/flashvsr", "the account flashvsr"):
        assert f"  {kept}" in said
    assert box.run("systemctl", "cat", "flashvsr", check=False).returncode != 0
    gone = ("/opt/flashvsr", "/usr/local/bin/flashvsr", UNIT, "/etc/*/flashvsr.conf", "/etc/systemd/system/*.wants/fl*")
    assert not service.exists(" ".join(gone))
    assert service.exists(SETTINGS)
    assert service.exists("/var/lib/flashvsr/queue.db")
    assert service.exists(f"{INBOX}/{CLIP}")
    assert "Kept" in box.run(SCRIPT, "--uninstall").stdout, "nothing to do is no error"
