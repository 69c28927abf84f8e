"""`flashvsr notify test`: one message to each address, and what came of it. No address is shown."""

from __future__ import annotations

import argparse
import socket

from flashvsr.commands.say import say
from flashvsr.errors import FlashVSRError
from flashvsr.notify.sending import MISSING, MISSING_TEXT, SENT, Message, name_of, outcome_text, send
from flashvsr.settings.config import Config


def test(config: Config, _options: argparse.Namespace) -> int:
    """Send them; 1 if one was not taken."""
    urls = config.notify.urls
    if not urls:
        raise FlashVSRError("there is nobody to tell: notify.urls is empty in the settings; write an address there")
    title = f"flashvsr on {socket.gethostname()}: a test"
    body = "This is a test of the messages of flashvsr. There is nothing to do."
    outcomes = send([Message(url, title, body) for url in urls])
    if MISSING in outcomes:
        raise FlashVSRError(MISSING_TEXT)
    for number, (url, outcome) in enumerate(zip(urls, outcomes, strict=True), 1):
        say(f"{'OK  ' if outcome == SENT else 'TODO'}  {name_of(number, url)}: {outcome_text(outcome)}")
    return int(any(outcome != SENT for outcome in outcomes))
