"""Which inboxes' results go below which outbox."""

from __future__ import annotations

from pathlib import Path

from flashvsr.page.roots import MOST, roots_of
from flashvsr.settings.config import Config
from flashvsr.settings.service_tables import ExtraInbox, Paths

OUT = Path("/srv/out")


def config(*extras: tuple[str, str]) -> Config:
    return Config(
        paths=Paths(inbox=Path("/srv/in"), outbox=OUT),
        extra_inboxes=tuple(ExtraInbox(Path(path), Path(outbox)) for path, outbox in extras),
    )


def held(extras: Config, *inboxes: str) -> dict[str, list[str]]:
    return {str(root.path): [inbox for inbox in inboxes if root.inboxes.holds(inbox)] for root in roots_of(extras)}


def test_one_outbox_has_all() -> None:
    assert held(config(), "/srv/in/a", "/gone/b") == {"/srv/out": ["/srv/in/a", "/gone/b"]}


def test_another_outbox_has_its_own() -> None:
    extras = config(("/x", "/xout"), ("/y", "/xout"), ("/z", "/srv/out/z"))
    assert held(extras, "/srv/in/a", "/x", "/y", "/z") == {
        "/srv/out": ["/srv/in/a", "/z"],
        "/xout": ["/x", "/y"],
        "/srv/out/z": ["/z"],
    }


def test_an_outbox_around_the_main_one_sees_that_too() -> None:
    assert held(config(("/x", "/srv")), "/srv/in/a", "/x") == {"/srv/out": ["/srv/in/a"], "/srv": ["/srv/in/a", "/x"]}


def test_a_flood_is_bounded() -> None:
    assert len(roots_of(config(*((f"/i{n}", f"/o{n}") for n in range(3 * MOST))))) == MOST
