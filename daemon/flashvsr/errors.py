"""The error classes of the service. Each message is written for the person who can do something about it."""

from __future__ import annotations

from enum import StrEnum

from flashvsr.system.text import visible_lines


class FlashVSRError(Exception):
    r"""An expected failure: the message says what happened and what to do.

    Each argument is one line. Whatever name it quotes, it becomes one visible line of bounded length here (a line end
    in it is shown as `\n`): the message can then be stored, sent and shown anywhere.
    """

    def __init__(self, *lines: str) -> None:
        super().__init__(*visible_lines(lines))

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines of the message."""
        return self.args

    def __str__(self) -> str:
        return "\n  ".join(self.args)


class Fault(StrEnum):
    """What is wrong with a source, for whoever explains it in plainer words than those of the message."""

    UNREADABLE = ""
    EMPTY = "empty"
    GONE = "gone"
    CHANGED = "changed"
    NO_FILE = "no_file"
    NO_PICTURE = "no_picture"
    NO_DECODER = "no_decoder"
    DAMAGED = "damaged"
    HARMFUL = "harmful"
    TOO_MANY_BYTES = "too_many_bytes"
    TOO_LONG = "too_long"
    TOO_WIDE = "too_wide"
    TOO_SMALL = "too_small"
    RESULT_TOO_LARGE = "result_too_large"
    NO_MEMORY = "no_memory"

    @classmethod
    def of(cls, text: str) -> Fault:
        """The fault of this name; UNREADABLE for a name that is none."""
        try:
            return cls(text)
        except ValueError:
            return cls.UNREADABLE


class BadInput(FlashVSRError):
    """The source file cannot be processed (not a video, no picture, too small). Trying again will not help."""

    def __init__(self, *lines: str, fault: Fault = Fault.UNREADABLE) -> None:
        super().__init__(*lines)
        self.fault = fault


class Skipped(FlashVSRError):
    """There is nothing to do for this file by its preset. It stays where it is, and the status says why."""


class Crashed(FlashVSRError):
    """A program that looked at the source ended without an answer. Costs an attempt; the next one may go better."""


class BadConfig(FlashVSRError):
    """A configuration, preset or weights folder is wrong. Its jobs wait until a person mends it."""


class Damaged(FlashVSRError):
    """The queue database is damaged. The service ends; its next start sets the database aside and makes a new one."""


class Transient(FlashVSRError):
    """Something outside the file is in the way (no space, stale mount, lost GPU). The job keeps its place."""


class NoSpace(Transient):
    """A disk is full, or would be too full. The work goes on when there is room."""


class Cancelled(FlashVSRError):
    """A person cancelled the job."""


class Interrupted(FlashVSRError):
    """The worker was asked to stop; finished chunks stay and the job goes on later."""


class SourceRenamed(FlashVSRError):
    """The source has another name now, under which its job goes on."""


class LeaseLost(FlashVSRError):
    """Another process owns the job now; this one must not publish anything."""
