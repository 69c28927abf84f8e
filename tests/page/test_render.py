"""What the two texts say, and that no name of a file and no path of the server does any harm in them."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import unquote_to_bytes

import pytest

from flashvsr.errors import Fault
from flashvsr.jobs.plain_words import FAULTS, KINDS, Words
from flashvsr.page.content import STOPPED, Content
from flashvsr.page.render import GRACE, Signs, html_page, text_page
from flashvsr.status.snapshot import RESTING
from flashvsr.system.text import printable
from kits.pages import HOSTILE, OUTBOX, busy_content, content, done_job, page_job, troubled_content
from kits.snapshots import MOMENT

SIGNS = Signs(MOMENT, MOMENT + 20)
PICTURE = b"\xff\xd8\xff a small picture"


class Seen(HTMLParser):
    """Elements and text of a page. `open`: those that wait for their end."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == [], "every element ends"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return "".join(self.texts)


def page(shown: Content, signs: Signs = SIGNS, pictures: dict[int, bytes] | None = None) -> str:
    return html_page(shown, signs, OUTBOX, pictures or {})


def test_it_tells_what_runs_waits_and_came_out() -> None:
    seen = Seen(page(busy_content(), pictures={5: PICTURE}))
    for words in (
        *(
            "wedding 1998, second tape.mov",
            "41 %",
            "about 4 minutes left",
            "5321 of 12960 frames",
            "31.2 frames a second",
        ),
        *("Grandpa/harvest.avi", "begins: the first frames take a moment", "960 × 540 → 1920 × 1080"),  # noqa: RUF001
        *("christmas 2001.mpg", "done in about 10 minutes", "perhaps 15 to 30 minutes", "and 14 more"),
        *("will be left alone", "On hold", "lake.mp4", "birthday.mp4", "took 10 minutes", "Everything will be done in"),
        *("scratched dvd.vob", "not one frame can be decoded", "tv recording.ts", "left alone", "it has 1920x1080"),
        *("还需大约 4 分钟", "排队中", "最近完成"),
    ):
        assert words in seen.text, words
    assert [bar.get("value") for bar in seen.all("progress")] == ["411", None]
    assert [image["src"] for image in seen.all("img")] == [
        f"data:image/jpeg;base64,{base64.b64encode(PICTURE).decode()}"
    ]
    assert [link["href"] for link in seen.all("a")] == ["./films/birthday.mp4", "./films/first%20steps.mp4"]
    order = [seen.text.index(name) for name in ("christmas 2001", "garden", "4k drone")]
    assert order == sorted(order)


def test_the_plain_text_tells_the_same_in_one_language_after_the_other() -> None:
    english, chinese = text_page(busy_content(), SIGNS, OUTBOX).split("-" * 72)
    assert "[############..................] 41 %  about 4 minutes left" in english
    assert "  1 films/christmas 2001.mpg: 960" in english
    assert "and 14 more" in english
    assert "(inbox/films/scratched dvd.vob: not one frame" in english
    assert not re.search("[\u4e00-\u9fff]", english)
    assert "还需大约 4 分钟" in chinese
    assert "Working" not in chinese


@pytest.mark.parametrize("made", [page, lambda shown: text_page(shown, SIGNS, OUTBOX)])
@pytest.mark.parametrize("shown", [busy_content(), troubled_content(), content()])
def test_no_path_of_the_server(shown: Content, made: object) -> None:
    assert callable(made)
    text = made(shown)
    assert not re.search(r"/(srv|var|mnt|etc|home|tmp)\b", text)


def hostile_content() -> Content:
    jobs = []
    for number, name in enumerate(HOSTILE):
        jobs += [
            page_job(100 + number, "running", name, frames_done=1, frames_total=3),
            page_job(200 + number, "queued", name, will_skip=name),
            page_job(300 + number, "failed", name, error=f"/srv/flashvsr/inbox/films/{printable(name)}: no"),
            done_job(400 + number, name, result=f"{OUTBOX}/films/{name}"),
            done_job(500 + number, name, inbox=name, result=f"{OUTBOX}/{name}"),
        ]
    shown = content(jobs, drop=tuple(map(printable, HOSTILE)))
    return replace(shown, troubles=tuple(replace(one, name=HOSTILE[0]) for one in troubled_content().troubles))


def test_hostile_names_are_texts_and_nothing_else() -> None:
    text = page(hostile_content())
    seen = Seen(text)
    assert len(seen.all("script")) == len(seen.all("style")) == 1
    assert seen.all("img") == []
    assert not any(name.startswith("on") for _, attributes in seen.elements for name in attributes)
    for name in HOSTILE:
        assert seen.text.count(printable(name)) >= 4
    assert all(character.isprintable() for character in text_page(hostile_content(), SIGNS, OUTBOX).replace("\n", ""))
    assert all(character.isprintable() for character in text.replace("\n", ""))
    text.encode("utf-8")  # a byte that is no UTF-8 is an escape


def test_links_lead_to_the_results_whatever_their_names() -> None:
    links = [str(link["href"]) for link in Seen(page(hostile_content())).all("a")]
    assert all(link.startswith("./") and re.fullmatch(r"[\w./%~-]+", link, re.ASCII) for link in links)
    wanted = {b"./" + name.encode("utf-8", "surrogateescape") for name in HOSTILE}
    wanted |= {b"./films/" + name.encode("utf-8", "surrogateescape") for name in HOSTILE}
    assert {unquote_to_bytes(link) for link in links} == wanted


def test_a_result_elsewhere_is_no_link() -> None:
    seen = Seen(page(content([done_job(1, "a.mp4", result="/mnt/other/a.mp4")])))
    assert seen.all("a") == []
    assert "films/a.mp4" in seen.text
    assert "/mnt" not in seen.text


def test_nothing_is_loaded_and_nothing_else_runs() -> None:
    text = page(busy_content(), pictures={5: PICTURE})
    policy = next(str(meta["content"]) for meta in Seen(text).all("meta") if meta.get("http-equiv", "") != "refresh"
                  and "http-equiv" in meta)  # fmt: skip
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "*" not in policy
    for kind in ("style", "script"):
        content_of = re.findall(rf"<{kind}>(.*?)</{kind}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content_of[0].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert not re.search(r"(src|href|url)\s*[=(]\s*[\"']?(https?:|//|file:)", text)
    assert not any("style" in attributes for _, attributes in Seen(text).elements)


def test_the_signs_of_life_are_data() -> None:
    (body,) = Seen(page(content())).all("body")
    assert (body["data-written"], body["data-due"], body["data-grace"]) == (
        f"{MOMENT:.0f}", f"{MOMENT + 20:.0f}", f"{GRACE:.0f}",
    )  # fmt: skip
    stopped = page(content(condition=STOPPED), Signs(MOMENT, None))
    (body,) = Seen(stopped).all("body")
    assert "data-due" not in body
    assert "It was stopped in good order" in Seen(stopped).text


@pytest.mark.parametrize(("until", "words"), [(MOMENT + 60, "No video is worked on until "), (None, "on now, until ")])
def test_a_rest_is_told_with_its_end(until: float | None, words: str) -> None:
    waiting = content([page_job(1, "queued", "a.mp4")], condition=RESTING, until=until)
    for seen in (Seen(page(waiting)).text, text_page(waiting, Signs(MOMENT, MOMENT + 20), OUTBOX)):
        assert "Resting" in seen
        assert words in seen
        assert "休息中" in seen
    assert words not in Seen(page(content())).text


def test_an_empty_queue_says_what_to_do() -> None:
    seen = Seen(page(content(drop=("films", "holidays"))))
    assert "Put a video into one of these folders" in seen.text
    assert "holidays" in seen.text
    assert "Put a video into an inbox" in Seen(page(content(drop=None))).text


def test_every_kind_of_trouble_says_what_to_do() -> None:
    seen = Seen(page(troubled_content()))
    assert "The server's disk is full" in seen.text
    assert "preset.error.txt" in seen.text
    assert 'width = "big": expected a number' in seen.text


def test_a_page_is_small() -> None:
    shown = content(
        [done_job(number, f"{number}.mp4") for number in range(12)]
        + [page_job(100 + number, "queued", "x" * 250) for number in range(20)],
        troubles=[replace(one, detail="y" * 1500) for one in troubled_content().troubles * 7][:20],
    )
    assert len(page(shown, pictures=dict.fromkeys(range(12), b"z" * 20_000))) < 600_000
    assert len(page(content())) < 30_000


@pytest.mark.parametrize(
    ("kind", "words"), [("bad_input.no_picture", FAULTS[Fault.NO_PICTURE]), ("space", KINDS["space"])]
)
def test_a_failure_is_told_in_plain_words_of_both_languages(kind: str, words: Words) -> None:
    failed = page_job(7, "failed", "sound.mp4", error="no video stream", error_kind=kind, finished=MOMENT)
    shown = replace(content(), ended=(failed,))
    seen = Seen(page(shown))
    assert f"{words.wrong} {words.help}" in seen.text
    assert words.chinese in seen.text
    english, chinese = text_page(shown, SIGNS, OUTBOX).split("-" * 72)
    assert f"{words.wrong} {words.help}" in english
    assert words.chinese in chinese
