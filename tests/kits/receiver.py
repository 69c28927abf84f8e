"""A server on this machine that takes messages as Apprise's `json://` sends them, and pings; or does so badly."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = "hunter2-and-more"  # in each of its addresses


class Receiver:
    """`status`: what it answers; `hangs`: it takes the request and answers only when it is closed."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.paths: list[str] = []  # of pings
        self.status = 200
        self.hangs = False
        self.asked = threading.Event()
        self._closing = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.asked.set()
                if receiver.hangs:
                    receiver._closing.wait()
                if receiver.status < 400:
                    receiver.messages.append(json.loads(body))
                self._answer()

            def do_GET(self) -> None:
                receiver.paths.append(self.path)
                receiver.asked.set()
                if receiver.hangs:
                    receiver._closing.wait()
                self._answer()

            def _answer(self) -> None:
                self.send_response(receiver.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """For Apprise."""
        return f"json://someone:{SECRET}@127.0.0.1:{self.port}/{SECRET}/path"

    @property
    def ping(self) -> str:
        return f"http://127.0.0.1:{self.port}/{SECRET}"

    @property
    def texts(self) -> list[str]:
        """Title and body of each message."""
        return [f"{message['title']}\n{message['message']}" for message in self.messages]

    def close(self) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()


def receivers() -> Iterator[Receiver]:
    """Body of a fixture."""
    made = Receiver()
    yield made
    made.close()
