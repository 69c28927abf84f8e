"""The page in a real browser: its scripts run under its own policy, and choose the language and the alarm."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from flashvsr.page.content import STOPPED, Content
from flashvsr.page.render import Signs, html_page
from kits.pages import CHROMIUM, HOSTILE, NO_CHROMIUM, OUTBOX, busy_content, content, dom, doms, page_job, screenshot

pytestmark = [pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM), pytest.mark.slow]

ALARM = re.compile(r'<section class="alarm"[^>]*>')


def written(
    tmp_path: Path, shown: Content, ago: float = 0.0, lasts: float | None = 20.0, name: str = "STATUS.html"
) -> Path:
    """A page as it was written so long ago, and valid for so long."""
    moment = time.time() - ago
    signs = Signs(moment, None if lasts is None else moment + lasts)
    path = tmp_path / name
    path.write_text(html_page(shown, signs, OUTBOX, {}))
    return path


@pytest.mark.parametrize(("language", "chosen"), [("zh-CN", "zh"), ("zh-TW", "zh"), ("de-DE", "en")])
def test_the_language_is_the_reader_s(tmp_path: Path, language: str, chosen: str) -> None:
    assert f'<html lang="{chosen}" class="one">' in dom(written(tmp_path, busy_content()), language=language)


SIGNS = [(5, 20, False), (40, 20, False), (70, 20, True), (1800, 3600, False), (3700, 3600, True), (9000, None, False)]


def test_a_service_that_gives_no_sign_is_told_and_hostile_names_run_nothing(tmp_path: Path) -> None:
    """In one browser, whose language is American English."""
    pages = []
    for number, (ago, lasts, _) in enumerate(SIGNS):
        shown = content() if lasts is not None else content(condition=STOPPED)
        pages.append(written(tmp_path, shown, ago, lasts, f"{number}.html"))
    jobs = [page_job(number, "queued", name) for number, name in enumerate(HOSTILE)]
    pages.append(written(tmp_path, content(jobs), name="hostile.html"))
    *documents, hostile = doms(pages, language="en-US")
    for (*_, down), document in zip(SIGNS, documents, strict=True):
        (alarm,) = ALARM.findall(document)
        assert ("hidden" not in alarm) == down
        assert ('<span data-of="down">' in document) == down
        assert '<html lang="en" class="one">' in document
    assert "<title>flashvsr: 0 / 9</title>" in hostile
    assert hostile.count("<script>") == 1


def test_without_scripts_both_languages_are_there(tmp_path: Path) -> None:
    """The same page is longer then, and no alarm is shown that nobody could take back."""
    image = pytest.importorskip("PIL.Image")
    path = written(tmp_path, busy_content(), ago=9000)
    lowest = []
    for scripts in (True, False):
        shot = screenshot(path, tmp_path / "p.png", width=500, height=3000, scripts=scripts)
        picture = image.open(shot).convert("RGB")
        paper, pixels = picture.getpixel((2, 2)), picture.load()
        rows = [y for y in range(picture.height) if any(pixels[x, y] != paper for x in range(0, picture.width, 3))]
        red = [y for y in rows[:500] if pixels[30, y][0] > pixels[30, y][2] + 10]
        assert bool(red) == scripts
        lowest.append(rows[-1])
    assert lowest[1] > lowest[0] + 100


def test_it_fits_a_phone_and_follows_the_dark(tmp_path: Path) -> None:
    """The narrow picture has nothing cut off on its right: its last columns are all of the paper's colour."""
    image = pytest.importorskip("PIL.Image")
    jobs = [page_job(number, "queued", name) for number, name in enumerate(HOSTILE)]
    path = written(tmp_path, content(jobs))
    for dark in (False, True):
        picture = image.open(screenshot(path, tmp_path / "p.png", width=500, height=1600, dark=dark)).convert("RGB")
        edge = {picture.getpixel((picture.width - 3, y)) for y in range(picture.height)}
        assert len(edge) == 1
        assert (sum(edge.pop()) < 200) == dark
