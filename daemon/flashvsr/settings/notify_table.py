"""[notify]: who is told what, and the kinds of its values. Addresses hold passwords: no message shows one."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from flashvsr.settings.kinds import LONGEST_PATH, Kind, Refused, one_of
from flashvsr.settings.options import option

DONE, FAILED, HELD, QUEUE_EMPTY, TROUBLE = "done", "failed", "held", "queue_empty", "trouble"
EVENTS = (DONE, FAILED, HELD, QUEUE_EMPTY, TROUBLE)
MOST_ADDRESSES = 32
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,40}://[^\x00-\x1f\x7f]+")
_WEB = re.compile(r"https?://[^\x00-\x20\x7f/?#]+[^\x00-\x20\x7f#]*", re.IGNORECASE)


@dataclass(frozen=True)
class Addresses(Kind):
    """A list of addresses as Apprise takes them."""

    secret: ClassVar[bool] = True

    @property
    def allowed(self) -> str:
        """An example says it best."""
        return 'a list of Apprise addresses such as ["ntfy://ntfy.sh/my-videos"]'

    def accept(self, value: object, base: Path) -> tuple[str, ...]:
        """Accept a list of texts with a scheme; which schemes there are only Apprise knows. Without doubles."""
        if isinstance(value, str):
            raise Refused("put it into brackets")
        if not isinstance(value, list | tuple):
            raise Refused
        if len(value) > MOST_ADDRESSES:
            raise Refused(f"at most {MOST_ADDRESSES}")
        for number, item in enumerate(value, 1):
            if not isinstance(item, str) or not _ADDRESS.fullmatch(item) or _too_long(item):
                raise Refused(f"number {number} is none")
        return tuple(dict.fromkeys(value))


@dataclass(frozen=True)
class WebAddress(Kind):
    """An address of the web, or none."""

    secret: ClassVar[bool] = True

    @property
    def allowed(self) -> str:
        """Both."""
        return '"" or a web address such as "https://hc-ping.com/…"'

    def accept(self, value: object, base: Path) -> str:
        """Accept http and https."""
        if not isinstance(value, str) or (value and (not _WEB.fullmatch(value) or _too_long(value))):
            raise Refused
        return value


@dataclass(frozen=True)
class SomeOf(Kind):
    """A list of some words, perhaps none."""

    words: tuple[str, ...]

    @property
    def allowed(self) -> str:
        """The words as a person writes them."""
        return f"a list of {one_of(self.words).replace(' or ', ' and ')}"

    def accept(self, value: object, base: Path) -> tuple[str, ...]:
        """Accept listed words, in any order."""
        if isinstance(value, str):
            raise Refused("put it into brackets")
        if not isinstance(value, list | tuple) or any(item not in self.words for item in value):
            raise Refused
        return tuple(word for word in self.words if word in value)


def _too_long(text: str) -> bool:
    return len(text.encode("utf-8", "surrogateescape")) > LONGEST_PATH


@dataclass(frozen=True)
class Notify:
    """[notify]: messages to people. What holds secrets is left out where this is printed."""

    urls: tuple[str, ...] = field(
        default=(),
        repr=False,
        metadata=option(
            Addresses(),
            "Where messages go, as Apprise writes it: https://github.com/caronc/apprise/wiki. They are sent in the "
            "background, and `flashvsr notify test` tries them. Needs the package apprise.",
        ),
    )
    on: tuple[str, ...] = field(
        default=(FAILED, QUEUE_EMPTY),
        metadata=option(
            SomeOf(EVENTS),
            "What is told: a video is done or was skipped (done), has failed, waits for its preset to be mended "
            "(held); nothing waits any more (queue_empty); something needs a hand (trouble). Of many at once there is "
            "one message.",
        ),
    )
    ping: str = field(
        default="",
        repr=False,
        metadata=option(
            WebAddress(),
            "Fetched once a minute while all is well, with /fail at its end while something needs a hand. So "
            "healthchecks.io and its like can tell you when this machine is silent.",
        ),
    )
