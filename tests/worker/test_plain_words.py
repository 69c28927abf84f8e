"""Each way a job can end has words for the person whose video it is."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import flashvsr
from flashvsr import errors
from flashvsr.errors import BadInput, Crashed, Fault, Transient
from flashvsr.jobs.plain_words import FAULTS, KINDS, Words, error_text, words_for
from flashvsr.jobs.schema import Job
from flashvsr.outbox.targets import inside
from flashvsr.video.limits import Limits, check_file, check_frames, check_side
from flashvsr.video.media import open_source
from flashvsr.worker import sweep
from flashvsr.worker.faults import judge
from kits.paths import CLIPS
from kits.played import Bench

# Rooms whose errors end no job.
ELSEWHERE = {"bench", "commands", "training", "library.py"}
CHINESE = re.compile(r"[\u4e00-\u9fff]")


def raised() -> Iterator[tuple[str, ast.Call]]:
    """Each call in the package that makes a BadInput."""
    root = Path(flashvsr.__file__).parent
    for path in sorted(root.rglob("*.py")):
        if ELSEWHERE.isdisjoint(path.relative_to(root).parts):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "BadInput":
                    yield f"{path.name}:{node.lineno}", node


def verdict_kind(error: Exception) -> str:
    """The kind of a job's end by this error, with no attempts left."""
    job = Job(attempts=3, mtime_ns=0, source="/in/clip.mov")
    return judge(error, job, settle_seconds=1, max_attempts=3, failures=0).kind


@pytest.mark.parametrize("words", [*FAULTS.values(), *KINDS.values()], ids=[*map(repr, FAULTS), *KINDS])
def test_words_are_short_plain_and_in_two_languages(words: Words) -> None:
    for text in (words.wrong, words.help):
        assert text[0].isupper()
        assert text.endswith(".")
        assert not CHINESE.search(text)
    assert CHINESE.search(words.chinese)
    assert "\n" not in words.wrong + words.help + words.chinese
    for unplain in ("flashvsr ", "decode", "codec", "FFmpeg", "GPU", "limits.", "/"):
        assert unplain not in words.wrong + words.help


def test_each_fault_has_words_and_is_raised_somewhere() -> None:
    assert set(FAULTS) == set(Fault)
    named = {
        keyword.value.attr
        for _, call in raised()
        for keyword in call.keywords
        if keyword.arg == "fault" and isinstance(keyword.value, ast.Attribute)
    }
    assert named | {"UNREADABLE"} == {fault.name for fault in Fault}


def test_only_what_opens_a_file_says_no_more_than_that_it_cannot_be_read() -> None:
    assert {where.partition(":")[0] for where, call in raised() if not call.keywords} == {"media.py"}


def test_each_class_of_errors_that_can_end_a_job_has_words() -> None:
    kinds = {
        verdict_kind(kind("why"))
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, Exception)
    }
    kinds |= {verdict_kind(RuntimeError("CUDA error: misaligned address")), verdict_kind(MemoryError())}
    assert {kind for kind in kinds if kind.partition(".")[0] not in KINDS} == {"bad_input"}
    assert kinds - {"bad_input"} == set(KINDS)
    for fault in Fault:
        assert words_for(verdict_kind(BadInput("why", fault=fault))) is FAULTS[fault]
    assert words_for(verdict_kind(Crashed("why"))) is KINDS["crash"]


def test_a_kind_of_another_version_has_words_too() -> None:
    assert words_for("bad_input.of_later") is FAULTS[Fault.UNREADABLE]
    assert words_for("of_later") is words_for(None) is KINDS["internal"]


def test_faults_are_those_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no video\n" * 1000)
    (tmp_path / "folder.mp4").mkdir()
    clip = CLIPS / "movie-hello.mp4"

    def opened(path: Path) -> None:
        with open_source(path):
            pass

    for fault, action in (
        (Fault.EMPTY, lambda: opened(tmp_path / "empty.mp4")),
        (Fault.UNREADABLE, lambda: opened(tmp_path / "text.mp4")),
        (Fault.GONE, lambda: opened(tmp_path / "gone.mp4")),
        (Fault.NO_FILE, lambda: opened(tmp_path / "folder.mp4")),
        (Fault.NO_FILE, lambda: inside(tmp_path, "../a.mp4")),
        (Fault.TOO_MANY_BYTES, lambda: check_file(clip, Limits(file_bytes=10))),
        (Fault.TOO_LONG, lambda: check_frames(11, clip, Limits(frames=10))),
        (Fault.TOO_WIDE, lambda: check_side(11, 9, clip, Limits(side=10))),
    ):
        with pytest.raises(BadInput) as caught:
            action()
        assert caught.value.fault is fault


def test_the_text_has_plain_words_first_and_the_message_below_a_line() -> None:
    text = error_text("clip.mov", "bad_input.empty", "/in/clip.mov is empty", "flashvsr retry 7", "clip_partial.mp4")
    plain, _, technical = text.partition("----------")
    words = FAULTS[Fault.EMPTY]
    assert plain.splitlines() == [
        'No result was made of "clip.mov". / 没有生成“clip.mov”的结果。',
        "",
        words.wrong,
        words.help,
        words.chinese,
        "",
        'What was finished until then: "clip_partial.mp4" / 已完成的部分：“clip_partial.mp4”',  # noqa: RUF001
        "",
    ]
    assert technical.endswith("----------\n/in/clip.mov is empty\nTo try again: flashvsr retry 7\n")


def test_a_text_that_had_to_wait_has_the_words_of_its_end(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    number = bench.add()
    bench.fail_at(5, BadInput("no byte in it", fault=Fault.EMPTY))
    bench.fail_at("salvage", Transient("no space"))
    bench.loop.step()
    assert bench.job(number).error_kind == "bad_input.empty"
    del bench.upscaling.at["salvage"]
    monkeypatch.setattr(sweep, "SWEEP_SECONDS", 0.0)
    bench.new_loop().step()
    assert FAULTS[Fault.EMPTY].wrong in (bench.outbox / "clip.mov.error.txt").read_text()
