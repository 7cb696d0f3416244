"""An object store that fails on demand: moto's S3 server, behind a proxy that injects a fault into chosen requests.

For `object_store.py` beside it and for tests. Nothing leaves this machine.
"""

from __future__ import annotations

import http.client
import http.server
import json
import logging
import re
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from moto.server import ThreadedMotoServer

BUCKET = "bucket"
READ_TIMEOUT = 1
"""Seconds that clients wait for an answer, by `environment`."""
ERRORS = {"error": (500, "InternalError"), "busy": (503, "SlowDown"), "refused": (403, "AccessDenied")}
HOP_BY_HOP = ("connection", "transfer-encoding", "expect", "date")
CHECKSUMS = ("content-md5", "x-amz-checksum-", "x-amz-sdk-checksum-", "x-amz-trailer")
FAULTS = {
    "error": "answers 500 without doing anything",
    "busy": "answers 503 (SlowDown)",
    "refused": "answers 403 (AccessDenied)",
    "error after": "does it, and answers 500",
    "closed": "closes the connection in the middle of the upload, or before the answer",
    "lost answer": "does it, and closes the connection without an answer",
    "silent": "does nothing and gives no answer in time",
    "late": "does it, and answers too late",
    "cut upload": "stores the first half of an upload, and answers that all is well",
    "flipped upload": "gets an upload with a bit flipped: refuses it by its checksum, as S3 does, or stores it",
    "cut download": "breaks off in the middle of an answer",
    "killed before": "kills the client, and does nothing",
    "killed after": "does it, and kills the client before the answer",
    "cut upload, killed": "stores the first half of an upload, and kills the client",
}
"""What each fault does. `choose` gives one of these for a request, or None."""

Choose = Callable[[str, str], "str | None"]
"""Takes the method and the path of a request."""


class FaultyStore:
    """Use it as a context manager. The server holds one empty bucket, `BUCKET`.

    Attributes:
        choose: which fault to inject into a request.
        kill: ends the client, for the faults that do.
        lie: changes the headers of answers about objects: `lie(path, headers)`.
        checks: whether the store looks at the checksums that clients send.
        conditions: whether the store knows `If-None-Match`; if not, it answers 501 to it.
        requests: method and path of each request.
    """

    def __init__(self) -> None:
        self.choose: Choose = lambda method, path: None
        self.kill: Callable[[], Any] = lambda: None
        self.lie: Callable[[str, dict[str, str]], None] = lambda path, headers: None
        self.checks, self.conditions = True, True
        self.requests: list[tuple[str, str]] = []

    def __enter__(self) -> FaultyStore:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._moto.start()
        self.port = self._moto.get_host_and_port()[1]
        self._proxy = _Proxy(("127.0.0.1", 0), _Handler)
        self._proxy.store = self
        self._thread = threading.Thread(target=self._proxy.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self.empty()
        return self

    def __exit__(self, *error: object) -> None:
        self._proxy.shutdown()
        self._thread.join()
        self._proxy.server_close()
        self._moto.stop()

    def environment(self, *, direct: bool = False) -> dict[str, str]:
        """Variables with which s3fs finds this store: through the proxy, or `direct`."""
        port = self.port if direct else self._proxy.server_port
        options = {"config_kwargs": {"read_timeout": READ_TIMEOUT, "connect_timeout": 5}}
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1",
            "FSSPEC_S3": json.dumps(options),
        }

    def empty(self) -> None:
        """Begin with an empty bucket."""
        self._ask("POST", "/moto-api/reset")
        self._ask("PUT", f"/{BUCKET}")

    def objects(self, prefix: str = "") -> dict[str, bytes]:
        """What the bucket holds, by the names after `prefix`. Nothing goes wrong here."""
        text = self._ask("GET", f"/{BUCKET}?list-type=2&prefix={prefix}").decode()
        names = re.findall(r"<Key>(.*?)</Key>", text)
        return {name.removeprefix(prefix): self._ask("GET", f"/{BUCKET}/{name}") for name in names}

    def put(self, name: str, data: bytes) -> None:
        """Put an object there. Nothing goes wrong here."""
        self._ask("PUT", f"/{BUCKET}/{name}", data)

    def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(
                method, path, body, {"Authorization": "AWS4-HMAC-SHA256 Credential=key/1/us-east-1/s3/x"}
            )
            answer = connection.getresponse()
            data = answer.read()
            assert answer.status < 300, (method, path, answer.status, data)
            return data
        finally:
            connection.close()


class _Proxy(http.server.ThreadingHTTPServer):
    daemon_threads = True
    store: FaultyStore

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # which is what a client that was killed leaves
            super().handle_error(request, client_address)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Proxy

    def log_message(self, *arguments: object) -> None:
        pass

    def _serve(self) -> None:
        store, length = self.server.store, int(self.headers.get("Content-Length") or 0)
        store.requests.append((self.command, self.path))
        fault = store.choose(self.command, self.path)
        if fault == "closed":
            self.rfile.read(length // 2)
            return self._close()
        body = self.rfile.read(length)
        if fault == "silent":
            time.sleep(1.5 * READ_TIMEOUT)
            return self._close()
        if fault == "killed before":
            store.kill()
            return self._close()
        if not store.conditions and "If-None-Match" in self.headers:
            return self._error(501, "NotImplemented")
        if fault in ERRORS:
            return self._error(*ERRORS[fault])
        if fault in ("cut upload", "cut upload, killed"):
            body = body[: length // 2]
        elif fault == "flipped upload":
            if store.checks and any(name.lower().startswith(CHECKSUMS) for name in self.headers):
                return self._error(400, "BadDigest")
            body = body[: length // 2] + bytes([body[length // 2] ^ 1]) + body[length // 2 + 1 :]
        status, headers, data = self._forward(body, len(body) != length or fault == "flipped upload")
        if fault == "late":
            time.sleep(1.5 * READ_TIMEOUT)
        elif fault == "error after":
            return self._error(*ERRORS["error"])
        elif fault in ("killed after", "cut upload, killed"):
            store.kill()
        if fault in ("lost answer", "late", "killed after", "cut upload, killed"):
            return self._close()
        store.lie(self.path, headers)
        self._answer(status, headers, data, broken=fault == "cut download")

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve

    def _forward(self, body: bytes, changed: bool) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.store.port, timeout=60)
        headers = {n: v for n, v in self.headers.items() if n.lower() not in HOP_BY_HOP}
        headers = {name: value for name, value in headers.items() if name.lower() != "content-length"}
        if changed:  # a store that does not look at these
            headers = {name: value for name, value in headers.items() if not name.lower().startswith(CHECKSUMS)}
        try:
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            kept = {
                n: v for n, v in answer.getheaders() if n.lower() not in ("connection", "transfer-encoding", "date")
            }
            data = answer.read()
            if self.command != "HEAD":
                kept = {name: value for name, value in kept.items() if name.lower() != "content-length"}
                kept["Content-Length"] = str(len(data))
            return answer.status, kept, data
        finally:
            connection.close()

    def _answer(self, status: int, headers: dict[str, str], data: bytes, *, broken: bool = False) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if broken else data)
        if broken:
            self._close()

    def _error(self, status: int, code: str) -> None:
        text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>injected {code}</Message></Error>".encode()
        text = b"" if self.command == "HEAD" else text
        self._answer(status, {"Content-Type": "application/xml", "Content-Length": str(len(text))}, text)

    def _close(self) -> None:
        self.close_connection = True
        try:
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the client has closed it
