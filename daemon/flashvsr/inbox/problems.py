"""What a person should know about the inboxes, collected during a scan; short, however many files."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from flashvsr.text import printable

_MOST = 100


class Problems:
    """Messages by directory or file, and counts of files that share a reason."""

    def __init__(self) -> None:
        self._messages: defaultdict[Path, list[str]] = defaultdict(list)
        self._examples: dict[tuple[Path, str], str] = {}
        self._numbers: defaultdict[tuple[Path, str], int] = defaultdict(int)

    def add(self, path: Path, message: str) -> None:
        """Say something about one directory or file."""
        if len(self._messages) < _MOST or path in self._messages:
            self._messages[path].append(message)

    def count(self, inbox: Path, reason: str, example: str) -> None:
        """Count a file of `inbox` that is `reason`; the first one is named."""
        self._numbers[inbox, reason] += 1
        self._examples.setdefault((inbox, reason), example)

    def texts(self) -> dict[Path, str]:
        """Return one text per directory or file."""
        texts = {path: "; ".join(messages) for path, messages in self._messages.items()}
        for (inbox, reason), number in self._numbers.items():
            example = printable(self._examples[inbox, reason])
            text = f"{number} files are {reason}, for example {example}"
            texts[inbox] = f"{texts[inbox]}; {text}" if inbox in texts else text
        return texts
