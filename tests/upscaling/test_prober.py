"""Sources are opened in a process of their own: its limits are the kernel's, and its end costs the worker nothing."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from flashvsr.errors import BadInput, Cancelled, Crashed, Fault, Transient
from flashvsr.files.at import identity
from flashvsr.files.trees import OWN, Trees
from flashvsr.settings.config import Config
from flashvsr.settings.processing_tables import SourceLimits
from flashvsr.upscaling import prober as module
from flashvsr.upscaling.plain import to_plain
from flashvsr.upscaling.prober import Prober
from flashvsr.upscaling.probing_child import (
    BAD_INPUT,
    BYTES_PER_SECOND,
    MOST_SECONDS,
    PROBE_SECONDS,
    TRANSIENT,
    _is_for_memory,
)
from flashvsr.video.counted import nothing
from flashvsr.video.interlacing import examine
from flashvsr.video.limits import Limits as FileLimits
from flashvsr.video.probe import probe
from kits.bombs import BOMBS, MIB, attachments
from kits.chain import Watching, chain
from kits.paths import CLIPS, python_environment
from kits.videos import ALL_CLIPS

CLIP = CLIPS / "bigbuckbunny.mp4"
MEMORY = 96 * MIB
ANY = FileLimits()


@pytest.fixture
def prober() -> Iterator[Prober]:
    made = Prober(MEMORY)
    yield made
    made.close()


@pytest.fixture(scope="module")
def shared() -> Iterator[Prober]:
    """For tests whose files leave nothing behind: a child's start takes much longer than a look at a file."""
    made = Prober(MEMORY)
    yield made
    made.close()


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a format that is read to its end, which takes longer than anything that is done to the child meanwhile."""
    path = tmp_path_factory.mktemp("long") / "long.mpeg"
    path.write_bytes((CLIPS / "movie-hello.mpeg").read_bytes() * 250)
    return path


def pid_of(prober: Prober) -> int:
    assert prober._child is not None
    return prober._child._process.pid


def once(act: Callable[[], None]) -> Callable[[], None]:
    """A progress that does something at the first sign of life."""
    left = [act]

    def progress() -> None:
        if left:
            left.pop()()

    return progress


@pytest.mark.slow
@pytest.mark.parametrize("clip", ALL_CLIPS, ids=lambda path: path.name)
def test_it_tells_what_probing_here_tells(clip: Path, shared: Prober) -> None:
    info = shared.probe(OWN, clip, ANY)
    assert replace(info, identity=None) == probe(clip, ANY)
    assert shared.examine(OWN, info) == examine(info)


def test_one_child_answers_for_many_files(shared: Prober) -> None:
    shared.probe(OWN, CLIP, ANY)
    first = pid_of(shared)
    for clip in ALL_CLIPS:
        shared.probe(OWN, clip, ANY)
    assert pid_of(shared) == first


@pytest.mark.slow
@pytest.mark.parametrize("name", BOMBS)
def test_files_that_ask_for_much(name: str, shared: Prober, tmp_path: Path) -> None:
    """They get no more than the limit, and the next file does not notice."""
    bomb = BOMBS[name](tmp_path / name)
    assert bomb.stat().st_blocks * 512 < 8 * MIB
    with suppress(BadInput):
        shared.probe(OWN, bomb, ANY)
    assert shared.probe(OWN, CLIP, ANY).codec == "h264"


def test_the_kernel_holds_it_to_its_limits(shared: Prober) -> None:
    shared.probe(OWN, CLIP, ANY)
    pid = pid_of(shared)
    own = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    assert MEMORY < resource.prlimit(pid, resource.RLIMIT_AS)[0] < own + 2 * MEMORY
    assert resource.prlimit(pid, resource.RLIMIT_CPU)[0] < 100
    assert resource.prlimit(pid, resource.RLIMIT_CORE) == (0, 0)


def test_without_a_limit_there_is_none() -> None:
    prober = Prober(0)
    prober.probe(OWN, CLIP, ANY)
    assert resource.prlimit(pid_of(prober), resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY
    prober.close()


def computed(pid: int) -> float:
    """Seconds of the processor that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.slow
def test_the_time_is_for_each_file_and_for_each_of_its_bytes(prober: Prober, tmp_path: Path) -> None:
    prober.probe(OWN, CLIP, ANY)
    while computed(pid_of(prober)) < 1:
        prober.probe(OWN, CLIP, ANY)
    before = computed(pid_of(prober))
    prober.probe(OWN, CLIP, ANY)
    allowed = resource.prlimit(pid_of(prober), resource.RLIMIT_CPU)[0]
    assert int(before) + PROBE_SECONDS <= allowed < before + PROBE_SECONDS + 10
    large = tmp_path / "large.mp4"
    large.write_bytes(CLIP.read_bytes())
    os.truncate(large, 2000 * BYTES_PER_SECOND)
    with suppress(BadInput):
        prober.probe(OWN, large, ANY)
    assert 2000 <= resource.prlimit(pid_of(prober), resource.RLIMIT_CPU)[0] - allowed < 2010
    os.truncate(large, 100 * MOST_SECONDS * BYTES_PER_SECOND)
    with suppress(BadInput):
        prober.probe(OWN, large, ANY)
    assert resource.prlimit(pid_of(prober), resource.RLIMIT_CPU)[0] < MOST_SECONDS + 60


def test_signals_to_the_whole_group_are_left_to_the_worker(shared: Prober) -> None:
    """A worker that is asked to stop goes on until its chunk is finished, and may need it for that."""
    shared.probe(OWN, CLIP, ANY)
    status = Path(f"/proc/{pid_of(shared)}/status").read_text()
    ignored = int(status.partition("SigIgn:")[2].split()[0], 16)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        assert ignored >> (number - 1) & 1, number.name


def test_a_lack_of_memory_is_seen_behind_whatever_was_made_of_it() -> None:
    def chained(way: str) -> BaseException:
        try:
            try:
                raise MemoryError
            except MemoryError as error:
                if way == "from":
                    raise BadInput("not a video file") from error
                raise ValueError("while it was handled")  # noqa: B904
        except (BadInput, ValueError) as error:
            return error

    assert all(_is_for_memory(error) for error in (MemoryError(), chained("from"), chained("during")))
    assert not _is_for_memory(ValueError())


def test_this_process_has_one_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_own", None)
    first = module.prober(MEMORY, 40)
    try:
        first.probe(OWN, CLIP, ANY)
        pid = pid_of(first)
        assert module.prober(MEMORY, 50) is first
        assert (first.patience, pid_of(first)) == (50, pid), "the child lives on"
        for memory in (MEMORY + MIB, MEMORY - MIB):
            other = module.prober(memory, 40)
            assert other is not first
            assert other.memory == memory
        assert first._child is None
        assert not Path(f"/proc/{pid}").exists(), "one with other limits has no use any more"
    finally:
        module.prober(MEMORY, 40).close()


@pytest.mark.parametrize(("stalled", "patience"), [(10, 30.0), (60, 30.0), (600, 300.0)])
def test_it_gives_up_before_the_service_gives_up_the_worker(
    stalled: int, patience: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_own", None)
    config = Config(limits=SourceLimits(memory=MEMORY), queue=replace(Config().queue, stall_seconds=stalled))
    made = module.prober_for(config)
    assert (made.memory, made.patience) == (MEMORY, patience)


def test_the_facts_hold_the_limits_and_the_file_they_are_of(shared: Prober, long: Path, tmp_path: Path) -> None:
    """Another file that gets the name meanwhile is another one."""
    path, limits = tmp_path / "clip.mp4", replace(ANY, frames=77)
    path.write_bytes(CLIP.read_bytes())
    before = identity(path.stat())
    info = shared.probe(OWN, path, limits)
    assert (info.path, info.limits, info.identity) == (path, limits, before)
    before = identity(long.stat())
    found = shared.probe(OWN, long, ANY, once(lambda: os.utime(long, (1, 1))))
    assert found.identity == before != identity(long.stat())


def test_the_message_names_the_setting(shared: Prober, tmp_path: Path) -> None:
    bomb = attachments(tmp_path / "fonts.mkv")
    with pytest.raises(BadInput, match=r"fonts\.mkv needs more memory .* limits\.memory allows \(96 MiB\)"):
        shared.probe(OWN, bomb, ANY)


BURDENED = """
import sys
from flashvsr.upscaling import probing_child
class Burdened(probing_child._Child):
    asked = 0
    def answer(self, request):
        self.asked += 1
        super().answer(request) if self.asked == 1 else self._say({"error": probing_child.MEMORY})
probing_child._Child = Burdened
probing_child.main(sys.argv[1:])
"""


def test_a_file_is_refused_for_memory_by_a_fresh_child_alone(prober: Prober, monkeypatch: pytest.MonkeyPatch) -> None:
    """What files before it left taken is not held against it."""
    monkeypatch.setattr("flashvsr.upscaling.prober._COMMAND", (sys.executable, "-c", BURDENED))
    pids = set()
    for _ in range(3):
        assert prober.probe(OWN, CLIP, ANY).codec == "h264"
        pids.add(pid_of(prober))
    assert len(pids) == 3


@pytest.mark.parametrize(
    "said",
    [
        "'no JSON'",
        "[]",
        "'[' * 10**6",
        "'x' * 10**8",
        """ '{"error": "other"}' """,
        """ '{"answer": 7}' """,
        """ '{"answer": {"width": 128}}' """,
    ],
)
def test_nonsense_is_not_taken_for_facts(said: str, prober: Prober, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that a file has taken over may say anything."""
    code = f"import sys; sys.stdin.readline(); print({said}, flush=True); sys.stdin.read()"
    monkeypatch.setattr("flashvsr.upscaling.prober._COMMAND", (sys.executable, "-c", code))
    with pytest.raises(Crashed, match="makes no sense"):
        prober.probe(OWN, CLIP, ANY)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT], ids=lambda number: number.name)
def test_an_end_by_a_signal_costs_this_file_an_attempt_alone(
    number: signal.Signals, prober: Prober, long: Path
) -> None:
    with pytest.raises(Crashed, match=rf"examines .*long\.mpeg ended by {number.name}"):
        prober.probe(OWN, long, ANY, once(lambda: os.kill(pid_of(prober), number)))
    assert prober.probe(OWN, long, ANY).codec == "mpeg2video"


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["between", "during"])
def test_the_next_file_does_not_pay_for_the_one_before(moment: str, prober: Prober, long: Path) -> None:
    """A heap that one file has spoilt may break at the next."""
    prober.probe(OWN, CLIP, ANY)
    pid = pid_of(prober)
    if moment == "between":
        os.kill(pid, signal.SIGKILL)
    progress = once(lambda: os.kill(pid, signal.SIGABRT) if moment == "during" else None)
    assert prober.probe(OWN, long, ANY, progress).codec == "mpeg2video"
    assert pid_of(prober) != pid


def test_one_that_computes_for_too_long_is_ended(prober: Prober, long: Path) -> None:
    def spent() -> None:  # the kernel's word for it
        os.kill(pid_of(prober), signal.SIGXCPU)

    with pytest.raises(BadInput, match="takes the processor much too long"):
        prober.probe(OWN, long, ANY, once(spent))


def test_one_that_falls_silent_is_given_up(prober: Prober, long: Path) -> None:
    prober.patience = 0.3
    with pytest.raises(Crashed, match=r"came to nothing for 0 s and was given up"):
        prober.probe(OWN, long, ANY, once(lambda: os.kill(pid_of(prober), signal.SIGSTOP)))
    prober.patience = 60
    assert prober.probe(OWN, long, ANY).codec == "mpeg2video"


WORKING = """
import sys, time
sys.stdin.readline()
for _ in range(14):
    time.sleep(0.25)
    print('{"working": true}', flush=True)
print('{"error": "BAD_INPUT", "message": "read to its end"}', flush=True)
"""


@pytest.mark.slow
def test_one_that_gets_on_may_take_longer_than_silence_may(prober: Prober, monkeypatch: pytest.MonkeyPatch) -> None:
    code = WORKING.replace("BAD_INPUT", BAD_INPUT)
    monkeypatch.setattr("flashvsr.upscaling.prober._COMMAND", (sys.executable, "-c", code))
    prober.patience = 3.0
    signs: list[None] = []
    with pytest.raises(BadInput, match="read to its end"):
        prober.probe(OWN, CLIP, ANY, lambda: signs.append(None))
    assert len(signs) == 14


def test_what_progress_raises_ends_the_work(prober: Prober, long: Path) -> None:
    def cancel() -> None:
        raise Cancelled("cancelled")

    with pytest.raises(Cancelled):
        prober.probe(OWN, long, ANY, cancel)
    assert prober._child is None
    assert prober.probe(OWN, long, ANY).codec == "mpeg2video"


def test_errors_keep_their_kind(shared: Prober, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_bytes(b"no video")
    with pytest.raises(BadInput, match="is not a video file"):
        shared.probe(OWN, tmp_path / "text.mp4", ANY)
    with pytest.raises(BadInput, match="does not exist"):
        shared.probe(OWN, tmp_path / "none.mp4", ANY)
    with pytest.raises(BadInput, match=r"limits\.side") as caught:
        shared.probe(OWN, CLIP, FileLimits(side=16))
    assert caught.value.fault is Fault.TOO_WIDE
    gone = replace(shared.probe(OWN, CLIP, ANY), video_index=77)
    with pytest.raises(Crashed, match="the log has the details"):
        shared.examine(OWN, gone)


def test_links_in_shares_are_not_followed_there_either(shared: Prober, tmp_path: Path) -> None:
    (tmp_path / "link.mp4").symlink_to(CLIP)
    assert shared.probe(OWN, tmp_path / "link.mp4", ANY).codec == "h264"
    with pytest.raises(Transient, match="symbolic link"):
        shared.probe(Trees((tmp_path,)), tmp_path / "link.mp4", ANY)


@pytest.mark.parametrize("known", [True, False])
def test_nor_by_the_child_when_one_is_put_there_after_the_look(known: bool, shared: Prober, tmp_path: Path) -> None:
    link = tmp_path / "link.mp4"
    link.symlink_to(CLIP)
    request = {"what": "probe", "path": str(link), "limits": to_plain(ANY), "size": 1}
    told = shared._exchange(request | {"roots": [str(tmp_path)] if known else None}, link, nothing)
    assert told["error"] == TRANSIENT
    assert "symbolic link" in told["message"]


def test_names_that_are_no_text(shared: Prober, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"f\xe4hre.mp4")
    path.write_bytes(CLIP.read_bytes())
    assert shared.probe(OWN, path, ANY).path == path


PARENT = """
import sys, time
from pathlib import Path
from flashvsr.files.trees import OWN
from flashvsr.video.limits import Limits
from flashvsr.upscaling.prober import Prober
prober = Prober(1 << 30)
prober.probe(OWN, Path(sys.argv[1]), Limits())
print(prober._child._process.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda number: number.name)
def test_it_does_not_outlive_its_worker(number: signal.Signals) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(CLIP)], env=python_environment(), stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = Path("/proc") / parent.stdout.readline().strip()
    assert child.name.isdigit()
    assert child.exists()
    parent.send_signal(number)
    parent.wait()
    deadline = time.monotonic() + 10
    while child.exists() and "\nState:\tZ" not in (child / "status").read_text() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not child.exists() or "\nState:\tZ" in (child / "status").read_text()
    parent.stdout.close()


def test_a_worker_does_the_next_file_after_one_that_asks_for_much(tmp_path: Path) -> None:
    settings = Config(limits=SourceLimits(memory=MEMORY))
    for name in ("bad", "good"):
        (tmp_path / name).mkdir()
    with pytest.raises(BadInput, match=r"limits\.memory"):
        chain(attachments(tmp_path / "fonts.mkv"), tmp_path / "bad", settings, width=128)
    assert chain(CLIP, tmp_path / "good", settings, width=128).frames == 35


class Exchanging(Watching):
    """Puts another file in the source's place, once what is to be made is known, or all frames are made."""

    def __init__(self, moment: str, source: Path, other: Path) -> None:
        super().__init__()
        self._moment, self._source, self._other = moment, source, other

    def check_room(self, needs: object) -> None:
        if self._moment == "after the look":
            self._other.replace(self._source)

    def progress(self, done: int, total: int | None, fps: float) -> None:
        if self._moment == "before the joining" and done == total and self._other.exists():
            self._other.replace(self._source)


def test_a_file_that_is_exchanged_before_it_was_examined_is_not_opened(tmp_path: Path) -> None:
    source = tmp_path / "clip.mp4"
    source.write_bytes(CLIP.read_bytes())
    bomb = attachments(tmp_path / "fonts.mkv", 1, MIB)
    with pytest.raises(Transient, match=r"clip\.mp4 was changed or exchanged"):
        chain(source, tmp_path, control=Exchanging("after the look", source, bomb))
    assert not bomb.exists()
    assert list((tmp_path / "out").iterdir()) == []


def test_a_file_that_is_exchanged_later_does_not_count(tmp_path: Path) -> None:
    """The one that was opened is held until the end: sound and picture are of one file."""
    source = tmp_path / "clip.mp4"
    source.write_bytes(CLIP.read_bytes())
    bomb = attachments(tmp_path / "fonts.mkv", 1, MIB)
    made = chain(source, tmp_path, control=Exchanging("before the joining", source, bomb), width=128)
    assert not bomb.exists()
    assert (made.frames, made.audio_tracks) == (35, 1)


def test_what_is_known_without_opening_is_checked_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(*_: object) -> None:
        raise AssertionError("opened")

    monkeypatch.setattr("flashvsr.video.media._reader", opened)
    with pytest.raises(BadInput, match=r"limits\.file_bytes"):
        probe(attachments(tmp_path / "fonts.mkv"), FileLimits(file_bytes=MIB))
