"""Sources of one folder that differ in their ending only: their results get names that tell which is which.

`clip.mov` becomes `clip.mp4` as long as it is alone. Beside a `clip.mkv` it becomes `clip (mov).mp4`, and that one
`clip (mkv).mp4`, whichever comes first. What counts is what lies in the folder now, and what is done of it already. So
only a source that was done before the other came keeps the plain name.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from flashvsr.files.trees import Trees
from flashvsr.inbox.rules import VIDEO_EXTENSIONS, ignored, is_video_name
from flashvsr.inbox.walk import names_beside
from flashvsr.jobs.queue import Queue
from flashvsr.jobs.schema import Job


def telling_stem(trees: Trees, queue: Queue, job: Job) -> str:
    """Return the stem for the result's name: the source's own, or with its ending where it has a namesake."""
    name = PurePosixPath(job.relative).name
    stem = PurePosixPath(name).stem
    alone = not _lies_beside(trees, job, name) and not queue.jobs.has_results(job.inbox, _others(job.source))
    return stem if alone else f"{stem} ({PurePosixPath(name).suffix[1:]})"


def is_namesake(other: str, name: str) -> bool:
    """Tell whether a file of this name is a video that differs from `name` in its ending only."""
    same = PurePosixPath(other).stem == PurePosixPath(name).stem
    return same and other != name and is_video_name(other) and not ignored(other)


def _lies_beside(trees: Trees, job: Job, name: str) -> bool:
    try:
        return any(is_namesake(other, name) for other in names_beside(trees, Path(job.inbox), job.relative))
    except OSError:
        return False  # the folder is gone or out of reach, and so is what lay in it


def _others(source: str) -> list[str]:
    """The paths that namesakes of a source would have; endings are written in one case, mostly."""
    path = Path(source)
    endings = {written for ending in VIDEO_EXTENSIONS for written in (ending, ending.upper())}
    return [str(path.with_suffix(f".{ending}")) for ending in sorted(endings) if f".{ending}" != path.suffix]
