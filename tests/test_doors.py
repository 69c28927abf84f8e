"""What lies in a share is touched in `files/` alone: elsewhere no call opens, looks at or changes a file by its name.

By a name one follows whatever lies there at that moment, and there it is other people who say what that is. So each
call that takes a path is looked at here, and so is what goes by `OWN`, for which paths mean what they always do, or by
trees that are made up on the spot. Those that are allowed handle files of the service's own, or of whoever calls a
command; each says which.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import pytest

from kits.paths import PACKAGE as ROOT

# Rooms that no share reaches.
ROOMS = {
    "files": "the one place for it",
    "model": "weights, which an administrator puts there",
    "kernels": "none",
    "bench": "run by hand, on files of the one who runs it",
    "training": "run by hand, on files of the one who runs it",
    "settings": "compares the folders that an administrator configured",
}
# Module, or module:function -> the directory that it handles.
ALLOWED = {
    "settings/config.py:Config.inboxes": "lists the root of the inboxes, which may be a link of the administrator's",
    "settings/config.py:_is_inbox": "an entry of that list",
    "weights/download.py": "paths.models",
    "weights/modelscope_child.py": "paths.models",
    "commands/say.py": "the null device, and a terminal's own descriptors",
    "weights/choice.py": "paths.models",
    "commands/bench.py": "where whoever calls it wants the results",
    "commands/bench_speed.py": "where whoever calls it wants the results",
    "commands/check.py": "looks whether folders are there and writable, for whoever calls it; reads nothing",
    "commands/plan.py": "the path that whoever calls it gives, which may lead through links of theirs",
    "commands/completion.py": "a file of the program's own",
    "commands/demo.py": "a temporary directory, and where whoever calls it wants the result",
    "inbox/walk.py": "by descriptor at each step",
    "inbox/shares.py:Shares._is_there": "lists an opened directory",
    "inbox/shares.py:Shares.stray_files": "lists an opened directory",
    "inbox/stock.py:Stock._sort": "an entry of an opened directory",
    "jobs/backends/sqlite/connector.py": "the state directory",
    "jobs/backends/sqlite/database_file.py": "the state directory",
    "jobs/damage.py": "the state directory",
    "jobs/exchange.py": "the state directory",
    "jobs/ledger.py": "<state>/records",
    "jobs/owner.py": "/proc",
    "jobs/retention.py:_prune_leftovers": "<state>/jobs",
    "jobs/retention.py:_prune_damaged": "the state directory",
    "jobs/retention.py:_prune_archive": "<state>/archive",
    "jobs/retention.py:_entries": "directories of the state directory",
    "jobs/retention.py:_remove": "directories of the state directory",
    "outbox/disposal.py:_copy": "descriptors",
    "outbox/intent.py:Intent.record": "<state>/jobs/<number>",
    "page/pages.py:_Page._picture": "<state>/thumbnails",
    "page/render.py:_raw": "a file of the program's own",
    "page/wording.py:_words": "a file of the program's own",
    "service/metrics_thread.py": "the file of measurements that an administrator names",
    "service/reload.py:write_worker_config": "<state>/worker.toml",
    "service/reload.py:keep_worker_config": "<state>/worker.toml",
    "outbox/recall.py:_copy": "descriptors",
    "service/pause.py": "<state>/pause.json",
    "status/service_file.py": "<state>/service.json",
    "status/gather.py:_root_problem": "looks whether the root of the inboxes is there, reads nothing",
    "status/gather.py:_look_at": "looks whether an inbox and its preset are there, reads nothing itself",
    "system/priority.py": "/proc",
    "system/account.py": "whose the state directory is, and the one above it",
    "video/allocations.py": "/proc",
    "video/encode.py:VideoEncoder._open": "an encoder, no file",
    "video/beside.py": "memory",
    "video/chunks.py": "<state>/jobs/<number>",
    "video/digests.py": "<state>/jobs/<number>",
    "video/ebml.py": "memory",
    "video/media.py:_open_container": "a file that is open already",
    "video/media.py:open_own": "<state>/jobs/<number>",
    "video/media.py:_read_back": "a file that is open already, or one of the service's own",
    "video/mux.py:_Assembly._add_video": "<state>/jobs/<number>",
    "video/mux.py:_Assembly._video": "<state>/jobs/<number>",
    "video/normalise.py": "<state>/jobs/<number>",
    "video/picture.py": "a picture for whoever calls the demo or the bench",
    "video/tracks.py:_takes": "memory",
    "video/writing.py:MediaWriter.__init__": "a file that is open already",
    "upscaling/budgets.py": "<state>/jobs/<number>",
    "worker/conclusion.py": "<state>/jobs",
    "worker/job_control.py:JobControl._tell": "the state directory",
    "worker/loop.py:WorkerLoop.step": "the state directory",
    "worker/marker.py": "<state>/jobs",
    "worker/partials.py:Partials._write": "<state>/partials",
    "worker/places.py": "<state>/jobs",
    "worker/settling.py:_why_it_stays": "whether a folder lets files be taken away, after that failed",
    "upscaling/prober.py:_Child._is_held_by_the_kernel": "/proc",
    "upscaling/probing_child.py": "/proc, its own descriptors, and the trees of the process that asks it",
    "worker/whereabouts.py:Whereabouts._videos": "an entry of an opened directory",
    "upscaling/library.py": "files of whoever calls it; a result in a share is written through files/ like any other",
    "upscaling/file.py:_normalised_held": "<state>/jobs/<number>",
    "upscaling/plan.py:_picture": "<state>/jobs/<number>",
}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_OS = _words(
    "access chflags chmod chown fwalk getxattr lchown link listdir listxattr lstat makedirs mkdir mkfifo mknod open "
    "pathconf readlink remove removedirs removexattr rename renames replace rmdir scandir setxattr stat statvfs "
    "symlink truncate unlink utime walk"
)
_OS_PATH = _words("exists lexists getatime getctime getmtime getsize isdir isfile islink ismount realpath samefile")
_PATH = _words(
    "chmod exists glob group hardlink_to is_block_device is_char_device is_dir is_fifo is_file is_mount is_socket "
    "is_symlink iterdir lchmod lstat mkdir open owner read_bytes read_text readlink rename resolve rglob rmdir "
    "samefile stat symlink_to touch unlink walk write_bytes write_text"
)
_MODULES = frozenset({"shutil", "tempfile", "glob", "fileinput"})
_FOR_OWN = _words("open_own write_replacing name_durably sync_names free_bytes check_low_water Trees")  # go by `OWN`
_OURS = frozenset({"trees", "_trees", "trees()", "NO_LINKS", "at", "marked"})  # of files/, called by such names as well


@dataclass(frozen=True)
class Call:
    """A call that takes a path: where, and what is called."""

    file: str
    function: str
    line: int
    name: str

    def is_allowed(self) -> bool:
        return self.file.partition("/")[0] in ROOMS or bool(
            {self.file, f"{self.file}:{self.function}"} & ALLOWED.keys()
        )

    def __str__(self) -> str:
        return f"{self.file}:{self.line} ({self.function or 'module'}) calls {self.name}"


def calls_of(file: str, source: str) -> Iterator[Call]:
    """All calls of a module that take a path."""

    def walk(node: ast.AST, inside: tuple[str, ...]) -> Iterator[Call]:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inside = (*inside, node.name)
        if isinstance(node, ast.Call) and (name := by_path(node)):
            yield Call(file, ".".join(inside), node.lineno, name)
        if isinstance(node, ast.Name) and node.id == "OWN":
            yield Call(file, ".".join(inside), node.lineno, node.id)
        if isinstance(node, ast.ImportFrom) and node.module in ("os", "os.path", *_MODULES):
            names = (alias.name for alias in node.names if alias.name in _OS | _OS_PATH or node.module in _MODULES)
            yield from (Call(file, ".".join(inside), node.lineno, name) for name in names)
        for child in ast.iter_child_nodes(node):
            yield from walk(child, inside)

    yield from walk(ast.parse(source), ())


def by_path(call: ast.Call) -> str | None:
    """The name of what is called, if it takes a path."""
    function = call.func
    if isinstance(function, ast.Name):
        return function.id if function.id == "open" or function.id in _FOR_OWN else None
    if not isinstance(function, ast.Attribute):
        return None
    owner, name = ast.unparse(function.value), function.attr
    if owner.rpartition(".")[2] in _OURS:
        return None
    known = (
        (owner == "os" and name in _OS)
        or (owner == "os.path" and name in _OS_PATH)
        or owner in _MODULES
        or (owner, name) in {("av", "open"), ("io", "open"), ("os", "fdopen"), ("io", "FileIO")}
        or (owner not in ("os", "os.path") and name in _PATH)
        or (owner != "os" and name == "replace" and len(call.args) + len(call.keywords) == 1)  # that of text has two
    )
    return f"{owner}.{name}" if known else None


@cache
def calls() -> list[Call]:
    """Those of the whole package."""
    modules = {str(file.relative_to(ROOT)): file.read_text(encoding="utf-8") for file in sorted(ROOT.rglob("*.py"))}
    return [call for file, source in modules.items() for call in calls_of(file, source)]


def test_nothing_touches_a_share_by_name() -> None:
    assert not [str(call) for call in calls() if not call.is_allowed()], (
        "use flashvsr.files, or say whose files these are"
    )


def test_nothing_is_allowed_for_no_reason() -> None:
    used = {place for call in calls() for place in (call.file, f"{call.file}:{call.function}")}
    assert not ALLOWED.keys() - used
    assert not [place for place, why in (ALLOWED | ROOMS).items() if not why]


@pytest.mark.parametrize(
    "line",
    [
        "os.open(path, 0)",
        "os.link(a, b, src_dir_fd=c)",
        "os.path.lexists(path)",
        "open(path)",
        "path.stat()",
        "self.inbox.joinpath('x').unlink(missing_ok=True)",
        "path.replace(other)",
        "shutil.copyfile(a, b)",
        "av.open(f'file:{path}')",
        "(path / 'x').is_dir()",
        "from os import open",
        "from shutil import rmtree",
        "OWN.open_file(path)",
        "hold_source(OWN, path)",
        "Trees(()).open_file(path)",
        "open_own(path)",
        "write_replacing(path, text)",
    ],
)
def test_a_call_by_name_is_found(line: str) -> None:
    (call,) = calls_of("outbox/publish.py", f"class A:\n def f(self):\n  {line}")
    assert not call.is_allowed()
    assert call.function == "A.f"


@pytest.mark.parametrize(
    "line",
    [
        "'a'.replace('b', 'c')",
        "at.read(d, n)",
        "self._trees.lstat(p)",
        "task.trees.walk(p, 1)",
        "os.fstat(d)",
        "os.close(d)",
    ],
)
def test_other_calls_are_not(line: str) -> None:
    assert not list(calls_of("outbox/publish.py", line))
