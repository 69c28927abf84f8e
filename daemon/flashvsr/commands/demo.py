"""`flashvsr demo`: the real service on a temporary directory, with a short clip that comes with the package."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from flashvsr.commands.progress import JobProgress, job_progress
from flashvsr.commands.say import say
from flashvsr.commands.screen import Screen
from flashvsr.errors import FlashVSRError
from flashvsr.files.state import StateDirectory
from flashvsr.files.trees import OWN
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import DONE, FINISHED, Job, state_word
from flashvsr.settings.config import Config
from flashvsr.settings.kinds import toml_value
from flashvsr.system.text import printable

CLIP = Path(__file__).parent.parent / "assets" / "demo.mp4"
PICTURE = "before_after.png"
RESULT = "demo.mp4"
LOG = "service.log"
POLL_SECONDS = 0.3
STOP_SECONDS = 30.0
LAST_LINES = 40  # of the log of a service that ended

_SETTINGS = """\
[paths]
inbox = "inbox"
outbox = "outbox"
state = "state"
models = {models}
[watch]
settle_seconds = 1
poll_seconds = 2
on_success = "keep"
[gpu]
devices = {devices}
[model]
weights = {weights}
[queue]
min_free = 0
"""
_PRESET = 'width = 0\nscale = 2.0\nfit = "pad"\n'


def run(config: Config, options: argparse.Namespace) -> int:
    """Run the demo and print where the result and the picture are."""
    output: Path = options.output
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FlashVSRError(f"cannot create {output}: {error.strerror}; give another --output") from error
    console = Screen()
    with tempfile.TemporaryDirectory(prefix="flashvsr-demo-") as name:
        folder = Path(name)
        settings = _prepare(folder, config)
        say(f"service on {printable(folder)}: inbox, outbox, queue")
        with _service(settings, folder / LOG) as service:
            _wait_until_started(service, folder)
            shutil.copyfile(CLIP, folder / "inbox" / "demo" / CLIP.name)
            say(f"dropped {CLIP.name} into the inbox")
            with closing(Queue(folder / "state")) as queue, job_progress(console) as progress:
                job = _follow(service, queue, progress, folder)
        if job.state != DONE or job.result is None:
            raise FlashVSRError(f"the demo's job ended {job.state}: {job.error}")
        result, picture = _keep(Path(job.result), output)
    say(f"result:  {printable(result)}")
    say(f"picture: {printable(picture)}")
    say(_summary(job))
    return 0


def _prepare(folder: Path, config: Config) -> Path:
    """Lay out the demo's directories; devices and weights are those of the caller's own settings."""
    inbox = folder / "inbox" / "demo"
    inbox.mkdir(parents=True)
    (folder / "outbox").mkdir()
    (inbox / "preset.toml").write_text(_PRESET)
    settings = folder / "flashvsr.toml"
    devices = config.gpu.devices
    settings.write_text(
        _SETTINGS.format(
            models=toml_value(config.paths.models),
            devices=toml_value(devices),
            weights=toml_value(config.model.weights),
        )
    )
    return settings


@contextmanager
def _service(settings: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The real service as a process of its own; stopped at the end in good order."""
    command = [sys.executable, "-m", "flashvsr", "run", "--config", str(settings)]
    # Variables that set paths would lead the demo away from its directory; they are applied in `config` already.
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("FLASHVSR_", "NOTIFY_"))}
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_started(service: subprocess.Popen[bytes], folder: Path) -> None:
    while not StateDirectory(folder / "state").database.exists():
        _check_alive(service, folder)
        time.sleep(POLL_SECONDS)


def _follow(service: subprocess.Popen[bytes], queue: Queue, progress: JobProgress, folder: Path) -> Job:
    """Show the progress of the one job until it has ended."""
    progress.update("waiting until the file is complete")
    while True:
        _check_alive(service, folder)
        for job in queue.jobs.select():
            progress.update(job.error or state_word(job.state), job.frames_done or 0, job.frames_total, job.fps or 0.0)
            if job.state in FINISHED:
                return job
        time.sleep(POLL_SECONDS)


def _summary(job: Job) -> str:
    """The clip is short: without a word on the start, its rate would seem to be that of any video."""
    rate = f"{job.fps or 0:.1f} frames/s, the start of decoder, model and encoder included"
    return f"model {job.model}, {job.frames_done} frames at {rate}; longer videos go faster"


def _check_alive(service: subprocess.Popen[bytes], folder: Path) -> None:
    if service.poll() is not None:
        log = (folder / LOG).read_text(errors="replace")
        raise FlashVSRError(f"the service ended with code {service.returncode}:", *log.splitlines()[-LAST_LINES:])


def _keep(result: Path, output: Path) -> tuple[Path, Path]:
    from flashvsr.video.media import hold_source
    from flashvsr.video.picture import before_after

    kept, picture = output / RESULT, output / PICTURE
    shutil.copyfile(result, kept)
    with hold_source(OWN, CLIP), hold_source(OWN, kept):
        before_after(CLIP, kept, picture)
    return kept.absolute(), picture.absolute()
