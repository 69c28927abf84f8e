"""What must hold at any moment, and at the end."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import Job
from kits.media_facts import facts
from measure.soak.clips import Clip, digest_of, read_frames
from measure.soak.drops import Drop

_CHUNK = re.compile(r"chunk-(\d+)-(\d+)-\d+-[0-9a-f]+\.nut")
_SLACK = 0.0015  # seconds; a tick of the coarsest clock here is 1 ms
_SOUND_SLACK = 0.06  # an AAC frame is 21 ms; each container tells start and padding in its own way

_Look = tuple[int, int, int]  # inode, size, mtime_ns


class Outbox:
    """Every file that ever was visible: whole when first seen, the same ever after."""

    def __init__(self, root: Path, clips: Mapping[int, Clip]) -> None:
        self._root = root
        self._clips = clips
        self._seen: dict[Path, _Look] = {}
        self.videos: dict[Path, tuple[int, int]] = {}  # path -> tag, frames

    def look(self) -> Iterator[str]:
        """Yield what is wrong now."""
        there = {path: _look(path) for path in visible(self._root) if not path.name.endswith(".error.txt")}
        for path in self._seen.keys() - there.keys():
            yield f"{path.name!r} has disappeared from the outbox"
            del self._seen[path]
        for path, look in there.items():
            if path not in self._seen:
                self._seen[path] = look
                yield from self._first_look(path)
            elif self._seen[path] != look:
                yield f"{path.name!r} changed after it was published"
                self._seen[path] = look

    def _first_look(self, path: Path) -> Iterator[str]:
        try:
            frames = read_frames(path)
            tag = frames[0][0]
            clip = self._clips[tag]
        except Exception as error:
            yield f"{path.name!r} is no whole video: {error!r}"
            return
        self.videos[path] = tag, len(frames)
        partial = "_partial" in path.name
        if frames != [(tag, number) for number in range(len(frames) if partial else clip.frames)]:
            yield f"{path.name!r} holds other frames than its source: {frames}"
        if not partial:
            yield from _compare(clip, path)


class Chunks:
    """Every durable chunk that was ever seen: its frames must not be made a second time."""

    def __init__(self, jobs: Path) -> None:
        self._jobs = jobs
        self._seen: dict[tuple[int, int], tuple[str, _Look]] = {}
        self.count = 0

    def look(self) -> Iterator[str]:
        """Yield what was made again."""
        for path in chunk_files(self._jobs):
            match = _CHUNK.fullmatch(path.name)
            if match is None:
                continue
            key = int(path.parent.name), int(match[1])
            try:
                now = path.name, _look(path)
            except FileNotFoundError:
                continue  # its job is done
            if key not in self._seen:
                self.count += 1
            elif self._seen[key] != now:
                yield f"job {key[0]} made the chunk at frame {key[1]} twice: {self._seen[key]}, {now}"
            self._seen[key] = now

    def forget(self, job_id: int) -> None:
        """The job begins anew: it was given up, and what was finished is a partial video now."""
        self._seen = {key: value for key, value in self._seen.items() if key[0] != job_id}


def chunk_files(jobs: Path) -> list[Path]:
    """The durable chunks of all jobs; a job's folder may go while one looks."""
    # os.walk passes over directories that vanish, Path.glob does not.
    return [
        Path(folder) / name
        for folder, _, names in os.walk(jobs)
        for name in names
        if name.startswith("chunk-") and name.endswith(".nut")
    ]


def visible(directory: Path) -> list[Path]:
    """The files that a person sees on the share."""
    return [
        Path(folder) / name for folder, _, names in os.walk(directory) for name in names if not name.startswith(".")
    ]


def final_faults(root: Path, drops: Mapping[Path, Drop], queue: Queue, partials: set[Path]) -> Iterator[str]:
    """Yield what is wrong when everything has come to rest."""
    jobs: dict[Path, list[Job]] = {}
    for job in queue.jobs.select():
        jobs.setdefault(Path(job.source), []).append(job)
    results: list[Path] = []
    for path, drop in drops.items():
        own = jobs.pop(path, [])
        states = sorted(job.state for job in own)
        if drop.clip is None:
            if states != ["failed"] or not path.exists():
                yield f"{path.name!r}, rubbish: {states}, {[job.error for job in own]}"
            continue
        if states != ["done"] * drop.times:
            yield f"{path.name!r}, dropped {drop.times} times: {states}, {[job.error for job in own]}"
            continue
        for job in own:
            result = Path(str(job.result))
            results.append(result)
            yield from _whole_result(drop.clip, job, result)
    for path, more in jobs.items():
        yield f"{path}: {len(more)} jobs of a file that was not dropped"
    if len(set(results)) != len(results):
        yield "one result stands for two jobs"
    texts = {_error_text(root, path) for path, drop in drops.items() if drop.clip is None}
    there = set(visible(root / "outbox"))
    yield from (f"{path} is missing" for path in sorted({*results, *texts, *partials} - there))
    strange = there - set(results) - partials - texts
    yield from (f"{path.name!r} in the outbox belongs to no job" for path in sorted(strange))
    yield from _left_files(root)


def _error_text(root: Path, source: Path) -> Path:
    inside = root / "outbox" / source.relative_to(root / "inbox")
    return inside.with_name(f"{source.name}.error.txt")


def _whole_result(clip: Clip, job: Job, result: Path) -> Iterator[str]:
    if not result.is_file():
        yield f"job {job.id}: its result {result} is not there"
    elif (frames := read_frames(result)) != [(clip.tag, number) for number in range(clip.frames)]:
        yield f"job {job.id}: {result.name!r} holds other frames than its source: {frames}"
    archived = Path(str(job.archived))
    if not archived.is_file() or digest_of(archived) != clip.digest:
        yield f"job {job.id}: its source is not archived whole at {archived}"


def _left_files(root: Path) -> Iterator[str]:
    for folder, _, names in os.walk(root / "outbox"):
        yield from (f"left in the outbox: {folder}/{name}" for name in names if name.startswith("."))
    for folder, _, names in os.walk(root / "inbox"):
        yield from (f"left in the inbox: {folder}/{name}" for name in names if name.startswith("."))
    yield from (f"left in the state directory: {path}" for path in (root / "state" / "jobs").iterdir())
    yield from (f"left in the state directory: {path}" for path in (root / "state").glob(".*"))


def _compare(clip: Clip, result: Path) -> Iterator[str]:
    before, after = clip.facts, facts(result)
    width, height = before.size
    if after.size[0] != 256 or abs(after.size[1] - 256 * height / width) > 4:
        yield f"{result.name!r} is {after.size}, its source {before.size}"
    late = [
        number
        for number, (old, new) in enumerate(zip(before.video_times, after.video_times, strict=False))
        if abs(old - new) > _SLACK
    ]
    if late or len(after.video_times) != len(before.video_times):
        yield f"{result.name!r}: {len(after.video_times)} times of {clip.frames}, frames {late} at other times"
    if len(after.audio) != len(before.audio):
        yield f"{result.name!r} has {len(after.audio)} tracks of sound, its source {len(before.audio)}"
    for (_, start, end), (_, new_start, new_end) in zip(before.audio, after.audio, strict=False):
        if abs(start - new_start) > _SOUND_SLACK or abs(end - new_end) > _SOUND_SLACK:
            yield f"{result.name!r}: sound from {new_start} to {new_end}, in its source from {start} to {end}"


def _look(path: Path) -> _Look:
    status = path.lstat()
    return status.st_ino, status.st_size, status.st_mtime_ns
