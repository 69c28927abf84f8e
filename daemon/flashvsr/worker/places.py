"""Where the files of a job are."""

from __future__ import annotations

from pathlib import Path

from flashvsr.errors import BadConfig
from flashvsr.files.state import StateDirectory
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.rows import LARGEST_NUMBER
from flashvsr.jobs.schema import Job
from flashvsr.outbox.publish import Outbox
from flashvsr.outbox.targets import Naming, target_for
from flashvsr.settings.config import Config
from flashvsr.settings.preset import Preset
from flashvsr.system.text import printable
from flashvsr.upscaling.task import Task
from flashvsr.worker.marker import Marker
from flashvsr.worker.namesakes import telling_stem


def work_directory(config: Config, job_id: int) -> Path:
    """The job's finished chunks."""
    return StateDirectory(config.paths.state).job(job_id)


def archive_of(config: Config, job: Job) -> Path:
    """Where sources of the job's inbox are archived."""
    if config.paths.archive is not None:
        return config.paths.archive / Path(job.inbox).name
    return StateDirectory(config.paths.state).archive_of(Path(job.inbox))


def moved_to(config: Config, job: Job) -> Path:
    """Where sources of the job's inbox go by `watch.on_success`, if it moves them. Raises as `outbox_of`."""
    if config.watch.on_success != "done":
        return archive_of(config, job)
    outbox_of(config, job)  # of what is no inbox any more nobody knows what lies beside it
    return config.done_folder(Path(job.inbox))


def outbox_root(config: Config, job: Job) -> Path:
    """The outbox as the settings name it, in which that of the job's inbox is."""
    own = (extra.outbox for extra in config.extra_inboxes if extra.path == Path(job.inbox))
    return next(own, config.paths.outbox)


def outbox_of(config: Config, job: Job) -> Path:
    """Where results of the job's inbox go. BadConfig if the settings no longer have that inbox."""
    inbox = Path(job.inbox)
    for extra in config.extra_inboxes:
        if extra.path == inbox:
            return extra.outbox
    if inbox.parent == config.paths.inbox:
        return config.paths.outbox / inbox.name
    raise BadConfig(
        f"{printable(inbox)} is no longer an inbox: the settings name it neither in paths.inbox nor as an [[inbox]]. "
        f"Add it again, or give the job up: flashvsr cancel {job.id}"
    )


def result_folder(config: Config, job: Job) -> Path:
    """The directory of the outbox where the job's result, or what stands in for it, goes. Raises as `outbox_of`."""
    return target_for(outbox_of(config, job), job.relative, "mp4").parent


def task_of(config: Config, job: Job, preset: Preset, stem: str | None = None) -> Task:
    """Describe the work on a job. `stem`: what tells its source from others of that name. Raises as `outbox_of`."""
    stem = Path(job.relative).stem if stem is None else stem
    return Task(
        source=Path(job.source),
        target=target_for(outbox_of(config, job), job.relative, preset.container, stem=stem),
        preset=preset,
        workdir=work_directory(config, job.id),
        job_id=job.id,
        trees=config.trees(),
        force=job.forced,
        thumbnail=StateDirectory(config.paths.state).thumbnail(job.id),
        naming=Naming(preset.name, stem, Path(job.inbox).name, preset.container),
    )


def task_for(config: Config, queue: Queue, job: Job, preset: Preset) -> Task:
    """Describe the work on a job, with a name for its result that no namesake has. Raises as `outbox_of`."""
    return task_of(config, job, preset, telling_stem(config.trees(), queue, job))


def is_published(config: Config, job: Job) -> bool:
    """Whether the result is in the outbox although the job was not recorded as done."""
    if not job.result or job.result_size is None or job.result_mtime_ns is None:
        return False
    return Outbox(config.trees()).already_published(Path(job.result), job.result_size, job.result_mtime_ns)


def ending_marker(config: Config, job_id: int) -> Marker:
    """Beside the job's folder: what tells of its end being worked on, and keeps others from doing the same."""
    return Marker(StateDirectory(config.paths.state).ending(job_id))


def left_behind(config: Config) -> set[int]:
    """The jobs that have a folder, or whose end was begun."""
    state = StateDirectory(config.paths.state)
    numbers = (state.job_of(entry.name) for entry in state.jobs.iterdir())
    return {number for number in numbers if number is not None and number <= LARGEST_NUMBER}
