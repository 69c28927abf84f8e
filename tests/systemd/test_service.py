"""The installed service under a running systemd: start, status, reload, stop, crashes, a share that comes late."""

from __future__ import annotations

import pytest

from kits.installed import BASE_SETTINGS, CHECKOUT, CLIP, CLIPS, INBOX, OUTBOX, PRESET, Installed
from kits.systemd_box import Box

pytestmark = pytest.mark.timeout(600)

QUICK_RESTART = "[Service]\nRestartSec=0.2\n"


def test_started_means_ready_and_a_video_from_the_share_is_done(service: Installed) -> None:
    service.start()
    assert service.property("StatusText") == "0 running, 0 waiting, 0 held, 0 failed today"

    # As a NAS writes: an account of its own, in the group.
    service.box.shell(f"""
        id nas >/dev/null 2>&1 || useradd nas
        usermod -aG flashvsr nas
        umask 077
        runuser -u nas -- cp {CLIPS}/{CLIP} {INBOX}/
        runuser -u nas -- chmod 640 {INBOX}/{CLIP}""")
    worker = service.hold()
    service.until(lambda: service.property("StatusText").startswith(f"1 running ({CLIP}"), "the status names the job")
    service.release(worker)
    service.until_done()
    assert service.box.shell(f"stat -c '%a %G' {OUTBOX} {OUTBOX}/{CLIP}").split() == [
        "2775",
        "flashvsr",
        "664",
        "flashvsr",
    ]
    service.box.shell(f"runuser -u nas -- rm {OUTBOX}/{CLIP}")

    done = next(entry for entry in service.journal() if str(entry["MESSAGE"]).startswith("job 1: done: "))
    assert (done["PRIORITY"], done["SYSLOG_IDENTIFIER"]) == ("6", "flashvsr")
    service.stop()
    assert service.property("Result") == "success"
    # A preset for quick tests makes videos smaller, and that is told.
    (warning,) = service.journal("-p", "warning")
    assert "has fewer pixels than the source" in str(warning["MESSAGE"])


def test_a_reload_is_all_or_nothing_and_disturbs_no_job(service: Installed) -> None:
    service.start()
    before = service.main_pid()
    service.drop()
    worker = service.hold()

    service.settings('[service]\nlog_level = "degub"\n')
    service.box.run("systemctl", "reload", "flashvsr")
    service.until(lambda: "cannot be used" in service.property("StatusText"), "the status says what is wrong")
    assert "degub" in str(service.journal("-p", "err")[-1]["MESSAGE"])

    service.settings('[service]\nlog_level = "debug"\n')
    service.box.run("systemctl", "reload", "flashvsr")
    service.until(lambda: "cannot be used" not in service.property("StatusText"), "the status is well again")
    service.until(lambda: "reload: the configuration applies" in service.messages(), "the reload is told")
    assert (service.property("ActiveState"), service.property("NRestarts")) == ("active", "0")
    service.release(worker)
    service.until_done(attempts=1)
    assert (service.main_pid(), service.facts()["workers"][0]["pid"]) == (before, worker)


def test_a_job_survives_a_kill_and_a_stop(service: Installed) -> None:
    service.drop_in("quick", QUICK_RESTART)
    service.start()
    service.drop()
    service.hold()
    chunks = service.chunks()
    service.box.run("kill", "-KILL", str(service.main_pid()))
    worker = service.hold(chunks + 1)
    assert service.property("NRestarts") == "1"
    assert "job 1: going on at frame" in service.messages()

    service.stop_in_mid_job(worker)
    assert service.property("Result") == "success"
    # The kill has cost an attempt, the stop has not.
    assert [(job["state"], job["attempts"]) for job in service.facts()["jobs"]] == [("queued", 1)]
    assert not service.exists(f"{OUTBOX}/*")

    service.start()
    service.until_done(attempts=2)
    assert service.messages().count("job 1: going on at frame") == 2


def test_a_stop_can_wait_for_the_job_longer_than_the_timeout(service: Installed) -> None:
    service.settings('[service]\nstop_mode = "finish"\n')
    # The service asks for more time at each watchdog message, here every second.
    service.drop_in("quick", "[Service]\nWatchdogSec=4\nTimeoutStopSec=2\n")
    service.start()
    service.drop()
    worker = service.hold()
    service.box.run("systemctl", "stop", "--no-block", "flashvsr")
    service.until(lambda: service.property("StatusText").startswith("stopping"), "it is told to stop")
    service.box.run("sleep", "3")
    service.release(worker)
    service.stop()
    assert service.property("Result") == "success"
    assert [job["state"] for job in service.facts()["jobs"]] == ["done"]


def test_a_frozen_service_is_killed_and_started_again(service: Installed) -> None:
    service.drop_in("quick", QUICK_RESTART + "WatchdogSec=2\n")
    service.start()
    frozen, worker = service.main_pid(), service.facts()["workers"][0]["pid"]
    service.box.run("kill", "-STOP", str(frozen))
    service.until(lambda: service.property("NRestarts") == "1", "systemd starts it again")
    service.until(lambda: service.property("ActiveState") == "active", "it is ready again")
    assert "Watchdog timeout" in service.messages()
    assert service.main_pid() != frozen
    assert not service.exists(f"/proc/{worker}/exe"), "nothing of the first one is left"


def test_wrong_settings_are_said_once_and_not_tried_again(service: Installed) -> None:
    service.settings("[wacth]\n")
    service.drop_in("quick", QUICK_RESTART)
    assert service.box.run("systemctl", "start", "flashvsr", check=False).returncode != 0
    assert service.property("ExecMainStatus") == "78"
    service.box.run("sleep", "1")
    assert (service.property("ActiveState"), service.property("NRestarts")) == ("failed", "0")
    errors = [str(entry["MESSAGE"]) for entry in service.journal("-p", "err")]
    assert any("wacth" in text and "watch" in text for text in errors), errors


def test_a_share_that_is_mounted_late_is_waited_for(service: Installed, box: Box) -> None:
    service.settings('[paths]\ninbox = "/mnt/nas/inbox"\noutbox = "/mnt/nas/outbox"\n')
    service.drop_in("share", box.run("cat", f"{CHECKOUT}/systemd/drop-ins/share.conf").stdout)
    box.shell("mkdir -p /mnt/nas")
    try:
        service.start()
        service.until(
            lambda: "/mnt/nas/inbox: does not exist; mount the share" in service.property("StatusText"), "it says so"
        )
        box.shell("""
            mount -t tmpfs -o mode=2775,gid=flashvsr share /mnt/nas
            install -d -o flashvsr -g flashvsr -m 2775 /mnt/nas/inbox/clips /mnt/nas/outbox""")
        box.write("/mnt/nas/inbox/clips/preset.toml", PRESET)
        box.shell(f"cp {CLIPS}/{CLIP} /mnt/nas/inbox/clips/")
        service.until_done(outbox="/mnt/nas/outbox/clips")
        assert "does not exist" not in service.property("StatusText")
        service.stop()
    finally:
        box.run("umount", "/mnt/nas", check=False)


def test_a_folder_that_somebody_makes_with_the_usual_umask_lets_its_film_be_taken_away(service: Installed) -> None:
    service.box.shell(f"""
        id nas >/dev/null 2>&1 || useradd nas
        usermod -aG flashvsr nas
        rm -rf /srv/flashvsr/inbox/people; runuser -u nas -- sh -euc '
            umask 022
            mkdir -p /srv/flashvsr/inbox/people/holiday /srv/flashvsr/inbox/people/closed
            cp {INBOX}/preset.toml /srv/flashvsr/inbox/people/
            cp {CLIPS}/{CLIP} /srv/flashvsr/inbox/people/holiday/
            cp {CLIPS}/{CLIP} /srv/flashvsr/inbox/people/closed/closed.mp4
            chmod 755 /srv/flashvsr/inbox/people/closed'""")
    service.settings(base=BASE_SETTINGS.replace("[watch]\n", '[watch]\non_success = "archive"\n'))
    service.start()
    service.until(lambda: service.exists("/var/lib/flashvsr/archive/people/holiday/*"), "the film is archived")
    # A folder that its owner closed on purpose keeps its film; where, and what to do, is said.
    service.until(
        lambda: "closed does not let flashvsr take files away" in service.property("StatusText"), "it is told"
    )
    said = service.box.run("flashvsr", "status").stdout
    assert "/srv/flashvsr/inbox/people/closed" in " ".join(said.split())
    service.box.shell("chmod g+w /srv/flashvsr/inbox/people/closed; rm -rf /srv/flashvsr/inbox/people")


def test_what_root_does_belongs_to_the_service(service: Installed) -> None:
    service.start()
    service.drop()
    worker = service.hold()
    service.box.run("flashvsr", "cancel", "1")
    service.release(worker)
    service.until(lambda: service.facts()["jobs"][0]["state"] == "cancelled", "the job is cancelled")
    service.box.run("flashvsr", "retry", "1")
    service.stop()
    service.box.run("flashvsr", "check", check=False)
    others = service.box.shell("find /var/lib/flashvsr ! -user flashvsr")
    assert others == ""
    refused = service.box.run("flashvsr", "run", check=False)
    assert refused.returncode == 78
    assert "runuser -u flashvsr -- flashvsr run" in refused.stderr
