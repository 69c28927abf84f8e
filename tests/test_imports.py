"""Who may import whom: the rooms of the house, what each may know, and which packages each may use."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from kits.paths import PACKAGE as ROOT

HEAVY = frozenset(
    {"torch", "av", "numpy", "einops", "safetensors", "triton", "modelscope", "modelscope_hub", "pyanime4k", "apprise"}
)
MODULES = sorted(ROOT.rglob("*.py"))
DOORS = frozenset({"__init__", "__main__", "cli", "errors"})  # all that stands in the root
GROUND = frozenset({"errors", "files", "system"})  # what every room of the service stands on


@dataclass(frozen=True)
class Room:
    """What a room may import. `lazily`: only inside functions, so that a command that needs none of it stays quick."""

    rooms: frozenset[str]
    heavy: frozenset[str] = frozenset()
    lazily: frozenset[str] = frozenset()
    other_packages: bool = True  # besides the standard library and the heavy ones


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# From the ground up; a room knows only rooms above it in this list.
ROOMS: dict[str, Room] = {
    "system": Room(_words("errors")),
    "errors": Room(_words("system")),
    "files": Room(_words("errors system")),
    "settings": Room(GROUND),
    "jobs": Room(GROUND),
    "outbox": Room(GROUND),
    "inbox": Room(GROUND | _words("settings jobs outbox")),
    "status": Room(GROUND | _words("settings jobs inbox")),
    "notify": Room(GROUND | _words("settings jobs"), frozenset(), _words("apprise")),
    "page": Room(GROUND | _words("settings jobs inbox status")),
    "kernels": Room(frozenset(), _words("torch triton"), other_packages=False),
    "model": Room(_words("errors kernels"), _words("torch einops safetensors"), other_packages=False),
    "weights": Room(GROUND | _words("settings"), _words("modelscope"), _words("model")),
    "video": Room(GROUND | _words("settings"), _words("av numpy"), other_packages=False),
    "upscaling": Room(GROUND | _words("settings outbox weights video model"), _words("torch numpy")),
    "worker": Room(GROUND | _words("settings jobs inbox outbox"), frozenset(), _words("upscaling torch")),
    "service": Room(GROUND | _words("settings jobs inbox outbox status notify page")),
    "bench": Room(
        GROUND | _words("settings model video upscaling"), _words("torch av numpy pyanime4k"), other_packages=False
    ),
    "training": Room(GROUND | _words("model bench"), HEAVY),
    "commands": Room(
        GROUND | _words("settings jobs outbox service status notify weights"),
        frozenset(),
        _words("bench model upscaling video torch"),
    ),
    "cli": Room(GROUND | _words("commands settings")),
    "__main__": Room(_words("cli")),
    "__init__": Room(_words("system"), frozenset(), _words("upscaling settings errors")),
}
# Single modules that may know more, and why.
EXCEPTIONS = {
    ("weights/choice.py", "model.weight_files"): "names of files, without torch",
    ("commands/requests.py", "worker.redo"): "brings back what a worker took away, without torch",
    ("worker/job_control.py", "upscaling.control"): "what it is a kind of, without torch",
    ("worker/places.py", "upscaling.task"): "a plain description of the work, without torch",
}
# Of the product, one room joins video and model. What measures it looks at both, and the check asks each about itself.
JOINING_ROOMS = frozenset({"upscaling", "bench", "training", "commands/check.py"})
# Their own process, or started by hand: nothing imports them.
NEVER_IMPORTED = frozenset(
    {"training", "weights.modelscope_child", "upscaling.probing_child", "worker.__main__", "notify.sending_child"}
)
SAME_SUBJECT = {
    # A kernel and its plain form, a stage and its fused form, a command and the room that it shows.
    "kernels": "kernels/gpu",
    "model": "model/fused",
    "jobs/backends": "jobs/backends/sqlite",
}
MOST_LINES = 350


@dataclass(frozen=True)
class Import:
    """One imported module: where, whether inside a function, and its dotted name ("flashvsr.model.dit")."""

    file: Path
    line: int
    lazy: bool
    name: str

    @property
    def room(self) -> str:
        """The importing room: first component of the module's path below the package."""
        return room_of(self.file)

    @property
    def target(self) -> str:
        """The imported room, or "" for another package."""
        package, _, rest = self.name.partition(".")
        return rest.partition(".")[0] if package == "flashvsr" else ""

    def __str__(self) -> str:
        place = f"{self.file.relative_to(ROOT.parent)}:{self.line}"
        return f"{place} imports {self.name}{' lazily' if self.lazy else ''}"


def room_of(file: Path) -> str:
    return file.relative_to(ROOT).parts[0].removesuffix(".py")


def imports_of(file: Path, source: str | None = None, *, types: bool = False) -> Iterator[Import]:
    """All imports of a module; those for type checkers alone if `types` is set."""
    tree = ast.parse(file.read_text(encoding="utf-8") if source is None else source)

    def walk(node: ast.AST, lazy: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from (Import(file, child.lineno, lazy, alias.name) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                yield from (Import(file, child.lineno, lazy, name) for name in from_names(file, child))
            elif types or not (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)):
                yield from walk(child, lazy or isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)))

    yield from walk(tree, False)


def from_names(file: Path, node: ast.ImportFrom) -> Iterator[str]:
    """`from a import b` may mean the module a.b: both `a` and, where it is a module of ours, `a.b`."""
    base = node.module or ""
    if node.level:
        package = file.relative_to(ROOT.parent).with_suffix("").parts[: -node.level]
        base = ".".join([*package, *([base] if base else [])])
    names = [f"{base}.{alias.name}" for alias in node.names]
    modules = [name for name in names if is_module(name)]
    yield from modules
    if len(modules) < len(names):
        yield base


def is_module(name: str) -> bool:
    path = ROOT.parent.joinpath(*name.split("."))
    return name.startswith("flashvsr.") and (path.is_dir() or path.with_suffix(".py").is_file())


def forbidden(found: Import) -> str | None:
    """Why an import is not allowed, if it is not."""
    room, target, package = ROOMS[found.room], found.target, found.name.partition(".")[0]
    within = found.name.removeprefix("flashvsr.")
    plain_kernel = found.room == "kernels" and found.file.parent.name != "gpu"
    if plain_kernel and (package == "triton" or within.startswith("kernels.gpu")):
        return "the plain forms run where Triton is not"
    if any(within == name or within.startswith(f"{name}.") for name in NEVER_IMPORTED) and target != found.room:
        return f"nothing imports {within}"
    if (str(found.file.relative_to(ROOT)), within) in EXCEPTIONS:
        return None
    if package == "flashvsr":
        known = room.rooms | {found.room}
        if target in known or (found.lazy and target in room.lazily):
            return None
        return f"{found.room} may import only {', '.join(sorted(known | room.lazily))}"
    if package in HEAVY:
        if package in room.heavy or (found.lazy and package in room.lazily):
            return None
        return f"{found.room} may not use {package}"
    if not room.other_packages and package not in sys.stdlib_module_names:
        return f"{found.room} may not use {package}"
    return None


@pytest.mark.slow
@pytest.mark.parametrize("file", MODULES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_forbidden_import(file: Path) -> None:
    problems = [f"{found}: {why}" for found in imports_of(file) if (why := forbidden(found))]
    assert not problems, "\n".join(problems)


def test_four_doors_and_rooms() -> None:
    assert {path.stem for path in ROOT.glob("*.py")} == DOORS
    inside = {path.name for path in ROOT.iterdir() if path.is_dir() and path.name not in ("__pycache__", "assets")}
    assert inside | DOORS == set(ROOMS), "each room is in the table above, and nothing else is"


def test_no_arrow_runs_back() -> None:
    """Rooms know only those above them in the table. But an error makes its text visible."""
    order = list(ROOMS)
    for name, room in ROOMS.items():
        known = room.rooms | (room.lazily & set(ROOMS))
        later = {other for other in known if order.index(other) > order.index(name)}
        assert later == ({"errors"} if name == "system" else set())


def test_no_modules_know_each_other_in_a_circle() -> None:
    """Not even by types: to read one of them, one would have to read them all."""
    known = {}
    for file in MODULES:
        name = ".".join(file.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")
        known[name] = {found.name for found in imports_of(file, types=True) if found.target and not found.lazy}
    TopologicalSorter(known).prepare()  # raises CycleError, which names them


def test_a_file_is_about_one_thing() -> None:
    long = {str(file.relative_to(ROOT)) for file in MODULES if len(file.read_text().splitlines()) > MOST_LINES}
    assert not long


def test_a_name_means_one_thing() -> None:
    places = defaultdict(set)
    for file in MODULES:
        if not file.name.startswith("__"):
            places[file.stem].add(str(file.parent.relative_to(ROOT)))
    for room in ROOT.iterdir():
        if room.is_dir():
            places[room.name].add("a room")
    for plain, fast in SAME_SUBJECT.items():
        for found in places.values():
            if {plain, fast} <= found:
                found.discard(fast)
    double = {name: sorted(found - {"commands"}) for name, found in places.items() if len(found - {"commands"}) > 1}
    assert not double


def test_video_and_model_meet_in_few_places() -> None:
    joining = {
        str(file.relative_to(ROOT))
        for file in MODULES
        if {"model", "video"} <= {found.target for found in imports_of(file)}
    }
    outside = {file for file in joining if file not in JOINING_ROOMS and file.partition("/")[0] not in JOINING_ROOMS}
    assert not outside


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("model/dit.py", "from flashvsr.video.probe import probe"),
        ("model/dit.py", "import numpy as np"),
        ("model/dit.py", "from ..settings.preset import Preset"),
        ("model/dit.py", "import requests"),
        ("kernels/x.py", "from flashvsr.model import dit"),
        ("kernels/x.py", "import triton"),
        ("kernels/x.py", "def f():\n    from flashvsr.kernels.gpu import select_blocks"),
        ("kernels/gpu/x.py", "from flashvsr.model.rope import HEAD_DIM"),
        ("upscaling/engine.py", "from flashvsr.kernels.rms_norm import rms_norm"),
        ("upscaling/file.py", "from flashvsr.jobs.queue import Queue"),
        ("upscaling/report.py", "from flashvsr import __version__"),
        ("upscaling/file.py", "from flashvsr.worker.loop import WorkerLoop"),
        ("video/mux.py", "def f():\n    import torch"),
        ("video/mux.py", "from flashvsr.jobs import queue"),
        ("service/supervisor.py", "import torch"),
        ("service/supervisor.py", "def f():\n    from flashvsr.model.stream import Stream"),
        ("service/supervisor.py", "from flashvsr.worker.loop import WorkerLoop"),
        ("status/gather.py", "from flashvsr.service.health import Health"),
        ("status/overview.py", "from flashvsr.commands.screen import Screen"),
        ("inbox/watch.py", "from flashvsr.status.snapshot import Problem"),
        ("settings/preset.py", "if True:\n    import av"),
        ("jobs/queue.py", "from flashvsr.settings.config import Config"),
        ("files/state.py", "from flashvsr.jobs.ledger import Ledger"),
        ("system/text.py", "from flashvsr.files import trees"),
        ("outbox/publish.py", "try:\n    import numpy\nexcept ImportError:\n    raise"),
        ("cli.py", "from flashvsr.upscaling import file"),
        ("worker/loop.py", "from flashvsr.service import supervisor"),
        ("worker/loop.py", "from flashvsr.upscaling.file import upscale_file"),
        ("worker/loop.py", "from flashvsr.training.nano import train"),
        ("weights/choice.py", "from flashvsr.model.loading import load_model"),
        ("weights/download.py", "def f():\n    from flashvsr.weights.modelscope_child import main\n    import torch"),
        ("inbox/watch.py", "async def f():\n    import av"),
        ("worker/loop.py", "def f():\n    from flashvsr.bench.quality import measure"),
        ("commands/bench.py", "from flashvsr.bench import quality"),
        ("bench/quality.py", "from flashvsr.training.data import shrink"),
        ("bench/quality.py", "from flashvsr.jobs.queue import Queue"),
        ("bench/speed.py", "import skimage"),
    ],
)
def test_a_forbidden_import_is_found(file: str, source: str) -> None:
    assert [found for found in imports_of(ROOT / file, source) if forbidden(found)]


@pytest.mark.parametrize(
    ("file", "source"),
    [
        (
            "model/dit.py",
            "import math\nfrom flashvsr.kernels.block_sparse_attention import block_sparse_attention",
        ),
        ("kernels/gpu/x.py", "import triton\nfrom flashvsr.kernels.rotate_blocks import Ring"),
        ("model/attention.py", "def f():\n    from flashvsr.kernels.gpu.rms_norm import rms_norm"),
        ("commands/upscale.py", "def f():\n    from flashvsr.upscaling import file"),
        ("service/supervisor.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch"),
        ("weights/choice.py", "from flashvsr.model.weight_files import REQUIRED_FILES"),
        ("commands/bench.py", "def f():\n    from flashvsr.bench import quality"),
        ("training/data.py", "from flashvsr.bench.shrink import shrink"),
        ("bench/enlargers.py", "def f():\n    import pyanime4k"),
        ("upscaling/engine.py", "import torch\nfrom flashvsr.model.stream import Stream"),
        ("worker/loop.py", "def f():\n    from flashvsr.upscaling.file import upscale_file"),
    ],
)
def test_an_allowed_import_is_not(file: str, source: str) -> None:
    assert not [found for found in imports_of(ROOT / file, source) if forbidden(found)]


def test_the_service_process_stays_light() -> None:
    """Whatever the walk may miss: a fresh process that has all of the service's modules has nothing heavy."""
    heavy = {name for name, room in ROOMS.items() if room.heavy}
    light = [
        ".".join(file.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")
        for file in MODULES
        if room_of(file) not in heavy | {"__main__"} and file.name != "__main__.py"
    ]
    light.append("flashvsr.weights.choice")
    assert {"flashvsr.service.supervisor", "flashvsr.cli", "flashvsr.settings.config"} <= set(light)
    code = f"import sys; import {', '.join(light)}; print(sorted({set(HEAVY)!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
