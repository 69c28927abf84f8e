"""What a scan finds to be wrong with the inboxes; short, however many files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from flashvsr.system.text import NAME, bounded, printable

_MOST_BELOW = 20  # directories of one inbox that are named; nobody's tree may hide what is wrong with the others


class ScanProblems:
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
            example = bounded(printable(self._examples[inbox, reason]), NAME)
            _append(texts, inbox, f"{reason}: {f'{number} files, for example ' if number > 1 else ''}{example}")
        for inbox, number in self._below.items():
            if number > _MOST_BELOW:
                _append(texts, inbox, f"{number - _MOST_BELOW} more in it cannot be looked into")
        return texts


def _append(texts: dict[Path, str], path: Path, text: str) -> None:
    texts[path] = f"{texts[path]}; {text}" if path in texts else text
