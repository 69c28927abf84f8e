"""A stand-in for ModelScope: the requests that its client 1.40 makes for a snapshot, and ways to go wrong."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

REPOSITORY = "/api/v1/models/kuohao/FlashVSR-v1.1/repo"
BLOCK = 4096


@dataclass
class Behaviour:
    """What the server does; tests change it while it runs.

    Attributes:
        files: name -> content.
        listed_sizes: name -> size to announce in the listing instead of the true one.
        wrong: name -> content to send instead, under the listed checksum.
        cut_after: name -> bytes after which the connection breaks, once for each entry of the list.
        listing_status, file_status: HTTP status instead of an answer.
        delay: seconds between blocks of a file.
    """

    files: Mapping[str, bytes]
    listed_sizes: dict[str, int] = field(default_factory=dict)
    wrong: dict[str, bytes] = field(default_factory=dict)
    cut_after: dict[str, list[int]] = field(default_factory=dict)
    listing_status: int = 200
    file_status: int = 200
    delay: float = 0.0


@dataclass
class ModelScopeServer:
    """A running server: address, behaviour, and what it was asked: (path, file or "", Range or "")."""

    endpoint: str
    behaviour: Behaviour
    requests: list[tuple[str, str, str]] = field(default_factory=list)

    def ranges(self, file: str) -> list[str]:
        """Range headers of the requests for a file, in order."""
        return [asked for path, name, asked in self.requests if path == REPOSITORY and name == file]

    def downloads(self) -> list[str]:
        """Files asked for, in order."""
        return [name for path, name, _ in self.requests if path == REPOSITORY]


@contextmanager
def serve(files: Mapping[str, bytes]) -> Iterator[ModelScopeServer]:
    """Run a server for the block."""
    http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server = ModelScopeServer(f"http://127.0.0.1:{http.server_address[1]}", Behaviour(files))
    http.served = server  # type: ignore[attr-defined]
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def served(self) -> ModelScopeServer:
        return self.server.served  # type: ignore[attr-defined,no-any-return]

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        name = parse_qs(address.query).get("FilePath", [""])[0]
        self.served.requests.append((address.path, name, self.headers.get("Range", "")))
        if address.path == f"{REPOSITORY}/files":
            self._send_listing()
        elif address.path == REPOSITORY:
            self._send_file(name)
        elif address.path == "/api/v1/repos/internalAccelerationInfo":
            self._send_json(200, {"Code": 200, "Data": {}})
        else:
            self._send_json(404, {"Code": 404, "Message": "unknown path"})

    def _send_listing(self) -> None:
        behaviour = self.served.behaviour
        if behaviour.listing_status != 200:
            self._send_json(behaviour.listing_status, {"Code": behaviour.listing_status, "Message": "no listing"})
            return
        entries = [
            {
                "Path": name,
                "Name": name,
                "Type": "blob",
                "Size": behaviour.listed_sizes.get(name, len(content)),
                "Sha256": hashlib.sha256(content).hexdigest(),
            }
            for name, content in behaviour.files.items()
        ]
        self._send_json(200, {"Code": 200, "Success": True, "Data": {"Files": entries}})

    def _send_file(self, name: str) -> None:
        behaviour = self.served.behaviour
        if behaviour.file_status != 200 or name not in behaviour.files:
            status = 404 if behaviour.file_status == 200 else behaviour.file_status
            self._send_json(status, {"Code": status, "Message": "no file"})
            return
        content = behaviour.wrong.get(name, behaviour.files[name])
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])
        self.send_response(206 if "Range" in self.headers else 200)
        if "Range" in self.headers:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        stop, cuts = len(content), behaviour.cut_after.get(name)
        cut = cuts.pop(0) if cuts else None
        if cut is not None:
            stop = min(stop, start + cut)
        for position in range(start, stop, BLOCK):
            try:
                self.wfile.write(content[position : min(stop, position + BLOCK)])
            except OSError:  # the client was ended, as some tests do
                self.close_connection = True
                return
            time.sleep(behaviour.delay)
        self.close_connection = self.close_connection or cut is not None

    def _send_json(self, status: int, answer: object) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""
