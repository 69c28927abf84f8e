"""What a person should know about the inboxes, collected during a scan; short, however many files."""

from __future__ import annotations

import logging
import textwrap
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from flashvsr.errors import Damaged, Transient
from flashvsr.system.text import one_line, printable

log = logging.getLogger(__name__)

_MOST_BELOW = 20  # directories of one inbox that are named; nobody's tree may hide what is wrong with the others
_LONGEST_NAME = 200  # characters of an example
_LONGEST_ERROR = 300


class Problems:
    """Messages by directory or file, and counts of files that share a reason."""

    def __init__(self) -> None:
        self._messages: defaultdict[Path, list[str]] = defaultdict(list)
        self._examples: dict[tuple[Path, str], str] = {}
        self._numbers: defaultdict[tuple[Path, str], int] = defaultdict(int)
        self._below: defaultdict[Path, int] = defaultdict(int)

    def add(self, path: Path, message: str) -> None:
        """Say something about an inbox, an outbox or the root of them."""
        self._messages[path].append(message)

    def below(self, inbox: Path) -> Callable[[Path, str], None]:
        """Return what says something about directories and files in an inbox; the first ones are named."""

        def add(path: Path, message: str) -> None:
            self._below[inbox] += 1
            if self._below[inbox] <= _MOST_BELOW:
                self._messages[path].append(message)

        return add

    def count(self, inbox: Path, reason: str, example: str) -> None:
        """Count a file of `inbox` that is `reason`; the first one is named."""
        self._numbers[inbox, reason] += 1
        self._examples.setdefault((inbox, reason), example)

    def texts(self) -> dict[Path, str]:
        """Return one text per directory or file."""
        texts = {path: "; ".join(messages) for path, messages in self._messages.items()}
        for (inbox, reason), number in self._numbers.items():
            example = _shortened(printable(self._examples[inbox, reason]))
            _append(texts, inbox, f"{reason}: {f'{number} files, for example ' if number > 1 else ''}{example}")
        for inbox, number in self._below.items():
            if number > _MOST_BELOW:
                _append(texts, inbox, f"{number - _MOST_BELOW} more in it cannot be looked into")
        return texts


class Contained:
    """Errors that nobody expected, by the inbox they came from: said, logged once until they change, tried again."""

    def __init__(self) -> None:
        self._told: dict[Path, str] = {}

    @contextmanager
    def at(self, inbox: Path, problems: Problems) -> Iterator[None]:
        """Keep what goes wrong with this inbox from the others. What is wrong with the queue passes through."""
        try:
            yield
        except (Transient, Damaged):
            raise
        except OSError as error:
            problems.add(inbox, f"cannot be read: {error.strerror}; is the share still mounted?")
        except Exception as error:
            text = unforeseen(error)
            if self._told.get(inbox) != text:
                log.exception("inbox %s cannot be looked through; the others go on", printable(inbox))
            self._told[inbox] = text
            problems.add(inbox, f"cannot be looked through ({text}); it is tried again, and the log says more")
        else:
            self._told.pop(inbox, None)


def unforeseen(error: Exception) -> str:
    """Return what an unexpected error says, as one short line."""
    return textwrap.shorten(one_line(f"{type(error).__name__}: {error}"), _LONGEST_ERROR, placeholder="...")


def _append(texts: dict[Path, str], path: Path, text: str) -> None:
    texts[path] = f"{texts[path]}; {text}" if path in texts else text


def _shortened(name: str) -> str:
    half = _LONGEST_NAME // 2
    return name if len(name) <= _LONGEST_NAME else f"{name[:half]}...{name[-half:]}"
