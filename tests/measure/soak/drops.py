"""What a household drops into its inboxes: whole, slowly, renamed, in trees, again, and now and then rubbish."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from measure.soak.clips import Clip
from measure.soak.processes import PRESETS

_ODD = ("", " it's", ' "so"', " ünï 東京", " new\nline", " %s {x} $(y)", " -rf", "\\n")
_WEIGHTS = {"rename": 5, "plain": 3, "slow": 3, "tree": 2, "again": 2, "rubbish": 1}
_LONG_AGO = 3600.0  # seconds; rubbish that is young might be a video still on its way


@dataclass
class Drop:
    """One name in an inbox. `clip` is None for rubbish; `times`: how often it was dropped there."""

    path: Path
    clip: Clip | None
    times: int = 1


class Dropper:
    """Drops things, a little at each `step`."""

    def __init__(self, root: Path, clips: list[Clip], rng: random.Random) -> None:
        self.drops: dict[Path, Drop] = {}
        self.ways: Counter[str] = Counter()
        self._root = root
        self._clips = clips
        self._rng = rng
        self._slow: list[Iterator[None]] = []
        self._count = 0

    @property
    def busy(self) -> bool:
        """Whether something is only half dropped."""
        return bool(self._slow)

    def step(self) -> None:
        """Go on with the slow copies."""
        self._slow = [copy for copy in self._slow if next(copy, copy) is None]

    def drop(self, settled: list[Path]) -> None:
        """Drop one thing more. `settled`: sources that are done and gone, whose names may be used again."""
        way = self._rng.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
        again = [path for path in settled if path in self.drops]
        if way == "again" and not again:
            way = "plain"
        self.ways[way] += 1
        if way == "again":
            path = self._rng.choice(again)
            self.drops[path].times += 1
            clip = self.drops[path].clip
            assert clip is not None
            self._whole(clip, path)
        elif way == "tree":
            self._tree()
        elif way == "rubbish":
            self._rubbish()
        else:
            clip = self._rng.choice(self._clips)
            path = self._new_path(clip)
            self.drops[path] = Drop(path, clip)
            if way == "slow":
                self._slow.append(self._slowly(clip, path))
            elif way == "rename":
                self._whole(clip, path)
            else:
                shutil.copyfile(clip.path, path)

    def _new_path(self, clip: Clip, folder: Path | None = None) -> Path:
        self._count += 1
        name = f"{self._count:05d}{self._rng.choice(_ODD)}{clip.path.suffix}"
        return (folder or self._root / "inbox" / self._rng.choice(list(PRESETS))) / name

    def _whole(self, clip: Clip, path: Path) -> None:
        hidden = path.with_name(f".{path.name}")
        shutil.copyfile(clip.path, hidden)
        hidden.rename(path)

    def _slowly(self, clip: Clip, path: Path) -> Iterator[None]:
        content = clip.path.read_bytes()
        pieces = self._rng.randint(2, 6)
        with path.open("wb") as file:
            for piece in range(pieces):
                file.write(content[piece * len(content) // pieces : (piece + 1) * len(content) // pieces])
                file.flush()
                until = time.monotonic() + self._rng.uniform(0.1, 2.5)  # also longer than a file has to stand still
                while time.monotonic() < until:
                    yield

    def _tree(self) -> None:
        self._count += 1
        tree = self._root / f"tree{self._count}"
        place = self._root / "inbox" / self._rng.choice(list(PRESETS)) / f"tree {self._count}"
        for folder in ("", "a", "a/b")[: self._rng.randint(1, 3)]:
            (tree / folder).mkdir(parents=True, exist_ok=True)
            clip = self._rng.choice(self._clips)
            path = self._new_path(clip, tree / folder)
            shutil.copyfile(clip.path, path)
            final = place / path.relative_to(tree)
            self.drops[final] = Drop(final, clip)
        tree.rename(place)

    def _rubbish(self) -> None:
        self._count += 1
        path = self._root / "inbox" / "first" / f"{self._count:05d} rubbish.mp4"
        hidden = path.with_name(f".{path.name}")
        content = self._rng.choice(self._clips).path.read_bytes()
        hidden.write_bytes(self._rng.choice((b"no video\n", content[: len(content) // 3][:700])))
        os.utime(hidden, (time.time() - _LONG_AGO,) * 2)
        hidden.rename(path)
        self.drops[path] = Drop(path, None)
