"""Contents of status pages as a service might have them, and a browser that shows pages."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from flashvsr.jobs.inbox_view import EVERY_INBOX
from flashvsr.jobs.schema import STATES
from flashvsr.page.content import Content
from flashvsr.page.roots import Root
from flashvsr.page.troubles import Discretion, Trouble
from flashvsr.status.estimate import GUESSED, MEASURED, Estimate
from flashvsr.status.snapshot import SERVING, JobState
from kits.snapshots import INBOX, MOMENT, job, snapshot

OUTBOX = Path("/srv/flashvsr/outbox")
ROOT = Root(OUTBOX, EVERY_INBOX)
HOSTILE = (
    "<script>document.title='taken'</script>.mp4",
    "\"'><img src=x onerror=document.title='taken'>.mp4",
    "\u202egpj.4pm\u2066 turned.mp4",
    "{{ 7 * 7 }} {% raw %}.mp4",
    "javascript:document.title='taken'",
    b"caf\xe9 \xff.mp4".decode("utf-8", "surrogateescape"),
    "long " + "name " * 48 + ".mp4",
    "x" * 246 + ".mp4",
    "line\nbreak --> </style></script>.mp4",
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
TRIES = 3  # to take a picture
# Shows one page after the other in a frame, each as if it were the first that the browser sees; what they hold at the
# end, as text of this page.
_SHOW_EACH = """
(async () => {
    const texts = [], frame = document.querySelector("iframe");
    for (const page of PAGES) {
        sessionStorage.clear();
        await new Promise(loaded => { frame.onload = loaded; frame.src = page; });
        texts.push(frame.contentDocument.documentElement.outerHTML);
    }
    document.body.appendChild(document.createElement("pre")).textContent = encodeURIComponent(JSON.stringify(texts));
})();
"""
NO_CHROMIUM = "there is no chromium here: apt-get install chromium"


def page_job(number: int, state: str, name: str, inbox: str = "films", /, **values: Any) -> JobState:
    """A job of an inbox of this name."""
    source = INBOX / inbox / name
    return job(number, state, inbox=str(INBOX / inbox), source=str(source), relative=name, **values)


def done_job(number: int, name: str, inbox: str = "films", **values: Any) -> JobState:
    """A job that is done, ten minutes after it was begun."""
    times = {"claimed": MOMENT - 900 * number, "finished": MOMENT - 900 * number + 600}
    sizes = {"source_size": (960, 540), "result_size": (1920, 1080)}
    return page_job(number, "done", name, inbox, **times | sizes | {"result": str(OUTBOX / inbox / name)} | values)


def content(
    jobs: Sequence[JobState] = (),
    *,
    condition: str = SERVING,
    troubles: Sequence[Trouble] = (),
    counts: Mapping[str, int] | None = None,
    drop: tuple[str, ...] | None = ("films", "holidays"),
    until: float | None = None,
) -> Content:
    """What a page shows of these jobs; `counts` beside those of `jobs`."""
    states = {state: tuple(one for one in jobs if one.state == state) for state in STATES}
    shown = ("running", "queued", "held")
    return Content(
        condition=condition,
        counts={state: len(states[state]) for state in STATES} | (counts or {}),
        running=states["running"],
        waiting=states["queued"],
        held=states["held"],
        ended=tuple(one for one in jobs if one.state not in shown),
        troubles=tuple(troubles),
        inboxes={str(INBOX / name): name for name in ("films", "holidays")},
        drop=drop,
        discretion=Discretion(snapshot(), ROOT, ()),
        until=until,
        ends=Estimate(5000, 7000, MEASURED) if states["queued"] else None,
    )


def busy_content() -> Content:
    """A service in the middle of its work."""
    sizes: dict[str, Any] = {"source_size": (960, 540), "result_size": (1920, 1080)}
    return content(
        [
            page_job(
                31, "running", "wedding 1998, second tape.mov", frames_done=5321, frames_total=12960, fps=31.2,
                phase="working", seconds_left=Estimate(230, 260, MEASURED), **sizes,
            ),
            page_job(32, "running", "Grandpa/harvest.avi", "holidays", phase="starting", frames_total=4400, **sizes),
            page_job(33, "queued", "christmas 2001.mpg", phase="turn", done_in=Estimate(600, 660, MEASURED), **sizes),
            page_job(34, "queued", "garden.mkv", phase="turn", done_in=Estimate(900, 1800, GUESSED), **sizes),
            page_job(35, "queued", "4k drone.mp4", "holidays", phase="turn", will_skip="it has 3840x2160 pixels"),
            page_job(36, "held", "lake.mp4", "holidays", error="preset.toml:3: width"),
            done_job(5, "birthday.mp4"),
            done_job(6, "first steps.mp4"),
            page_job(
                7, "failed", "scratched dvd.vob", finished=MOMENT - 5000,
                error="/srv/flashvsr/inbox/films/scratched dvd.vob: not one frame can be decoded; the file is damaged",
            ),
            page_job(8, "skipped", "tv recording.ts", finished=MOMENT - 9000, error="it has 1920x1080 pixels already"),
        ],
        counts={"done": 214, "queued": 17},
    )  # fmt: skip


def troubled_content() -> Content:
    """A service with something of each kind to mend."""
    return content(
        [page_job(33, "queued", "christmas 2001.mpg", phase="room")],
        troubles=[
            Trouble("disk", "", "4.1 GB are free, 1 GB more is needed", MOMENT - 600),
            Trouble("preset", "holidays", 'holidays/preset.toml:3: width = "big": expected a number', MOMENT - 4000),
            Trouble("outbox", "", "…/outbox cannot be written: give the service's user access", MOMENT - 90_000),
        ],
    )


def screenshot(
    page: Path,
    target: Path,
    *,
    width: int = 1000,
    height: int = 1400,
    dark: bool = False,
    language: str = "en",
    scripts: bool = True,
) -> Path:
    """Show a page and take its picture."""
    options = [f"--screenshot={target}", f"--window-size={width},{height}", "--hide-scrollbars"]
    if dark:
        options.append("--blink-settings=preferredColorScheme=0")
    shown = page if scripts else _without_scripts(page, height)
    for _ in range(TRIES):
        _browse(shown, options, language)
        if not _is_blank(target):
            break
    return target


def _is_blank(picture: Path) -> bool:
    """On a busy machine a browser may take its picture before the page is there."""
    image = pytest.importorskip("PIL.Image")
    with image.open(picture) as opened:
        return len(set(opened.convert("L").getextrema())) == 1


def _without_scripts(page: Path, height: int) -> Path:
    """A page that shows another one, whose scripts do not run."""
    around = page.with_name("around.html")
    style = f"border:0;width:100%;height:{height}px"
    around.write_text(f'<body style="margin:0"><iframe sandbox src="{page.as_uri()}" style="{style}"></iframe>')
    return around


def dom(page: Path, *, language: str = "en") -> str:
    """The document after its scripts have run."""
    return _browse(page, ["--dump-dom"], language)


def doms(pages: Sequence[Path], *, language: str = "en") -> list[str]:
    """The documents of pages of one directory after their scripts have run, shown by one browser: it starts slowly."""
    around = pages[0].with_name("frames.html")
    script = _SHOW_EACH.replace("PAGES", json.dumps([page.as_uri() for page in pages]))
    around.write_text(f"<body><iframe></iframe><script>{script}</script>")
    found = _browse(around, ["--dump-dom", "--allow-file-access-from-files"], language)
    documents: list[str] = json.loads(unquote(found.rpartition("<pre>")[2].partition("</pre>")[0]))
    return documents


def _browse(page: Path, options: Sequence[str], language: str) -> str:
    assert CHROMIUM is not None
    profile = page.parent / f".browser-{language}"
    preferences = profile / "Default" / "Preferences"
    preferences.parent.mkdir(parents=True, exist_ok=True)
    preferences.write_text(json.dumps({"intl": {"accept_languages": language, "selected_languages": language}}))
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
        f"--user-data-dir={profile}", f"--lang={language}", "--virtual-time-budget=3000", *options, page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, timeout=120, check=True)
    return done.stdout.decode("utf-8", "replace")
