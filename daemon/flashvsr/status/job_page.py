"""Everything about one job as people read it: what `flashvsr status ID` prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from flashvsr.files.report_text import bounded_report, report_toml
from flashvsr.jobs.schema import CANCELLED, DONE, FAILED, FINISHED, HELD, RUNNING, SKIPPED, state_word
from flashvsr.status.clock import clock_text, end_text
from flashvsr.status.facts import job_facts
from flashvsr.status.named_rows import Row, row_lines
from flashvsr.status.snapshot import JobState
from flashvsr.status.words import left_text, phase_text, progress_text, reason_text, sizes_text
from flashvsr.system.spans import length_text
from flashvsr.system.text import printable, storable


@dataclass(frozen=True)
class JobPage:
    """One job, at `moment`. `preset`: as it was when its work began; `report`: on its result. None where there is none.

    `device`: of the worker that is at it, for people; empty if none is.
    """

    job: JobState
    moment: float
    device: str
    preset: Any
    report: Any

    def facts(self) -> dict[str, Any]:
        """For programs."""
        return job_facts(self.job) | {"preset": self.preset, "report": bounded_report(self.report)}

    def lines(self, width: int | None = None) -> list[str]:
        """For people. `width`: columns of the terminal, to which long texts are wrapped; None: they are not."""
        return row_lines(self._rows(), width)

    def _rows(self) -> Iterator[Row]:
        job = self.job
        yield "job", str(job.id)
        yield "file", printable(job.source)
        yield "state", self._state()
        yield "size", sizes_text(job)
        yield "time", self._time()
        yield "reason", storable(reason_text(job)) if job.state != CANCELLED else ""
        yield "to do", self._to_do()
        yield "added", clock_text(job.created)
        if job.claimed is not None:
            yield "begun", f"{clock_text(job.claimed)}{f', attempt {job.attempts}' if job.attempts > 1 else ''}"
        if job.finished is not None:
            took = "" if job.claimed is None else f", after {length_text(job.finished - job.claimed)}"
            yield "ended", clock_text(job.finished) + took
        if job.result is not None:
            yield "result" if job.state == DONE else "finished part", printable(job.result)
        if not isinstance(self.report, Mapping):
            yield "model", job.model or ""
        yield from _report_rows(self.report)
        yield from (("note", remark) for remark in job.remarks if remark not in job.warnings)
        yield from (("warning", warning) for warning in job.warnings)
        if isinstance(self.preset, Mapping):
            yield "preset", report_toml(self.preset)

    def _state(self) -> str:
        job = self.job
        parts = [progress_text(job), phase_text(job, self.moment)]
        if job.frames_done and job.state not in FINISHED:
            parts.append(f"{job.frames_done} of {job.total} frames" if job.total else f"{job.frames_done} frames")
            parts.append(f"{job.fps:.1f} frames/s" if job.fps and job.state == RUNNING else "")
        if self.device:
            parts.append(f"on {self.device}")
        doing = ", ".join(part for part in parts if part)
        return f"{state_word(job.state)}{': ' if doing else ''}{doing}"

    def _time(self) -> str:
        job = self.job
        if job.will_skip or job.refused:
            return ""
        done = "" if job.done_in is None else f"done {end_text(job.done_in, self.moment)}"
        return ", ".join(text for text in (left_text(job), done) if text)

    def _to_do(self) -> str:
        """The command that a person may want."""
        job = self.job
        if job.state == SKIPPED:
            return f"to do it all the same: flashvsr retry --force {job.id}"
        if job.state == HELD:
            return "mend the preset of its inbox, and it goes on by itself"
        return f"to try again: flashvsr retry {job.id}" if job.state in (FAILED, CANCELLED) else ""


def _report_rows(report: Any) -> Iterator[Row]:
    """What was done, by a report that any version may have written: what is not understood is left out."""
    if not isinstance(report, Mapping):
        return
    source = report.get("source")
    if isinstance(source, Mapping):
        yield "source", _list_text([
            source.get("codec"),
            _number(source.get("bits"), "bits"),
            "" if source.get("scan") in (None, "progressive") else f"interlaced, {source['scan']}",
            _rate(source.get("frame_rate")),
            _length(source.get("duration")),
        ])  # fmt: skip
        yield "sound", _sound_text(source.get("audio"))
    took = _length(report.get("seconds"))
    rate = report.get("fps")
    yield "made", _list_text([
        f"{_number(report.get('frames'), 'frames')}{f' in {took}' if took else ''}",
        f"{rate:.1f} frames/s" if isinstance(rate, int | float) else "",
        f"went on at frame {report['resumed_at']}" if report.get("resumed_at") else "",
    ])  # fmt: skip
    for name in ("model", "device", "encoder"):
        yield name, str(report.get(name) or "")


def _sound_text(tracks: Any) -> str:
    if not isinstance(tracks, list):
        return ""
    codecs = [str(track.get("codec", "unknown")) for track in tracks if isinstance(track, Mapping)]
    return f"{len(codecs)} track{'' if len(codecs) == 1 else 's'}: {', '.join(codecs)}" if codecs else "none"


def _number(value: Any, unit: str) -> str:
    return "" if value is None else f"{value} {unit}"


def _rate(value: Any) -> str:
    """Of a fraction such as "30000/1001", as reports have it."""
    try:
        return f"{float(Fraction(str(value))):.4g} frames/s"
    except (ValueError, ZeroDivisionError, OverflowError):
        return ""


def _length(value: Any) -> str:
    return length_text(value) if isinstance(value, int | float) else ""


def _list_text(parts: list[Any]) -> str:
    return ", ".join(str(part) for part in parts if part)
