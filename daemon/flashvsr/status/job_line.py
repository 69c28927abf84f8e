"""One line about each job, cut to a terminal: names in their middle, reasons at their end, numbers never."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from flashvsr.jobs.schema import CANCELLED, FINISHED, HELD, RUNNING, SKIPPED, state_word
from flashvsr.status.clock import end_text, when_text
from flashvsr.status.job_names import JobName, cut
from flashvsr.status.snapshot import JobState
from flashvsr.status.words import left_text, phase_text, progress_text, reason_text, sizes_text
from flashvsr.system.spans import length_text
from flashvsr.system.text import PRINTED_LINE, printable, sentence_of, visible

WIDE = 120  # columns from which on there is room for more than the most necessary
LEAST_NAME, GOOD_NAME, LEAST_REASON = 8, 20, 20  # a reason gives way to a name that can be told


@dataclass(frozen=True)
class _Line:
    """What there is to say of a job. `facts`: never cut. `reason`: cut where there is no room."""

    number: str
    state: str
    name: JobName
    facts: str
    reason: str

    @property
    def need(self) -> int:
        """Columns behind the name that it needs."""
        reason = min(cell_len(self.reason), LEAST_REASON)
        return cell_len(self.facts) + reason + (2 if self.facts and reason else 0)


def job_lines(
    jobs: Sequence[JobState], names: Mapping[int, JobName], moment: float, width: int | None
) -> Iterator[str]:
    """Yield one line for each job, in columns. `width`: columns of the terminal; None: nothing is cut."""
    lines = [_line(job, names[job.id], moment, width) for job in jobs]
    numbers = max((len(line.number) for line in lines), default=0)
    states = max((len(line.state) for line in lines), default=0)
    longest = max((cell_len(str(line.name)) for line in lines), default=0)
    before = numbers + 2 + states + 2
    if width is not None:
        room = width - before - 2
        beside_all = room - max((line.need for line in lines), default=0)
        beside_facts = room - max((cell_len(line.facts) for line in lines), default=0)
        longest = min(longest, max(LEAST_NAME, beside_all, min(GOOD_NAME, beside_facts)))
    for line in lines:
        name = line.name.fitted(longest)
        start = f"{line.number:>{numbers}}  {line.state:<{states}}  {name}{' ' * (longest - cell_len(name))}"
        facts = f"  {line.facts}" if line.facts else ""
        reason = line.reason
        if width is not None:
            reason = cut(reason, max(0, width - cell_len(start) - cell_len(facts) - 2))
        yield f"{start}{facts}{'  ' if reason else ''}{reason}".rstrip()


def _line(job: JobState, name: JobName, moment: float, width: int | None) -> _Line:
    wide = width is None or width >= WIDE
    nothing_made = job.will_skip or job.refused or job.state in (SKIPPED, HELD)
    facts = [] if nothing_made else [sizes_text(job)]
    if job.state in FINISHED:
        facts += _end_facts(job, moment, wide=wide)
    else:
        facts += [progress_text(job), phase_text(job, moment), left_text(job, short=True)]
        if wide and not nothing_made:
            facts += _wide_facts(job, moment)
    reason = "" if job.state == CANCELLED else reason_text(job)
    file = printable(job.source)  # which the line has named already
    reason = reason.replace(f"{file}: ", "").replace(f"{file} ", "it ").replace(f"{printable(job.inbox)}/", "")
    if wide and job.result is not None:
        reason = "; ".join(text for text in (printable(job.result), reason) if text)
    one_line = visible(sentence_of(reason), PRINTED_LINE)
    return _Line(str(job.id), state_word(job.state), name, ", ".join(fact for fact in facts if fact), one_line)


def _wide_facts(job: JobState, moment: float) -> Iterator[str]:
    if job.done_in is not None:
        yield f"done {end_text(job.done_in, moment)}"
    if job.fps and job.state == RUNNING:
        yield f"{job.fps:.1f} frames/s"


def _end_facts(job: JobState, moment: float, *, wide: bool) -> list[str]:
    facts = []
    if wide and job.claimed is not None and job.finished is not None:
        facts.append(f"in {length_text(job.finished - job.claimed)}")
    if job.finished is not None:
        facts.append(when_text(job.finished, moment))
    return facts
