"""An object store on loopback, a process of its own, that fails as often as it is told: moto's S3 server,
with faults before and after it. It also takes what Google Cloud Storage has of its own in its XML API, as far
as a run needs it: `x-goog-if-generation-match: 0` for `If-None-Match: *`, and a token for a signature.

`python -m tests.s3d FAULTS [SEED]` prints its address and serves until its stdin is closed. FAULTS is the
share of requests that fail; how is drawn by the seed:

    slow        503 SlowDown, nothing was done
    conflict    409 to a conditional write that nobody else has made
    failed      412 to a conditional write that nobody else has made
    reset       the connection is reset, nothing was done
    lost        it was done, and then the connection is reset

`GET /-/log` is a line of JSON for each request served; `PUT /-/faults?share=0.05` changes the share.
"""

from __future__ import annotations

import io
import json
import os
import random
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from maker import objects
from tests.support import ROOT

BUCKET = "runs"
KINDS = ("slow", "conflict", "failed", "reset", "lost")
_BODY = "<?xml version='1.0'?><Error><Code>{}</Code><Message>as told</Message></Error>"
_NOBODYS = "HTTP_X_GOOG_IF_GENERATION_MATCH"
_SIGNATURE = (
    "AWS4-HMAC-SHA256 Credential=AKIATESTONLY/20260101/us-east-1/s3/aws4_request, "
    "SignedHeaders=host, Signature=0"
)
"""Moto looks at who signs, and not whether that is true."""
_REFUSALS = {
    "slow": ("503 Slow Down", "SlowDown"),
    "conflict": ("409 Conflict", "ConditionalRequestConflict"),
    "failed": ("412 Precondition Failed", "PreconditionFailed"),
}


class _Faulty:
    """A WSGI application around moto's."""

    def __init__(self, inner: Any, share: float, seed: int) -> None:
        self.inner, self.share, self.lot = inner, share, random.Random(seed)
        self.log: list[dict[str, Any]] = []
        self.lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path, query = environ["PATH_INFO"], environ.get("QUERY_STRING", "")
        if path.startswith("/-/"):
            return self._own(path, query, start)
        with self.lock:  # a conditional write is one step, whatever moto's threads do
            kind = self._fault(environ)
            method = environ["REQUEST_METHOD"]
            self.log.append({"method": method, "path": path, "query": query, "fault": kind})
            if kind in _REFUSALS:
                status, code = _REFUSALS[kind]
                start(status, [("Content-Type", "application/xml")])
                return [_BODY.format(code).encode()]
            if kind == "reset":
                return _reset(environ)
            answer = self._served(environ)
            if kind == "lost":
                return _reset(environ)
        start(*answer[:2])
        return [answer[2]]

    def _fault(self, environ: dict[str, Any]) -> str | None:
        if self.lot.random() >= self.share:
            return None
        kind = self.lot.choice(KINDS)
        conditional = {"HTTP_IF_NONE_MATCH", _NOBODYS} & environ.keys()
        return "slow" if kind in ("conflict", "failed") and not conditional else kind

    def _served(self, environ: dict[str, Any]) -> tuple[str, list[Any], bytes]:
        if environ.get("HTTP_AUTHORIZATION", "Bearer").startswith("Bearer"):
            environ["HTTP_AUTHORIZATION"] = _SIGNATURE
        if environ.get(_NOBODYS) == "0":
            environ["HTTP_IF_NONE_MATCH"] = "*"
        told: list[Any] = []
        length = int(environ.get("CONTENT_LENGTH") or 0)
        environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(length))
        body = b"".join(self.inner(environ, lambda status, headers, *_: told.extend([status, headers])))
        return told[0], told[1], body

    def _own(self, path: str, query: str, start: Callable[..., Any]) -> Iterable[bytes]:
        if path == "/-/faults":
            self.share = float(query.partition("=")[2])
        start("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(self.log).encode()]


def _reset(environ: dict[str, Any]) -> Iterable[bytes]:
    """Without an answer: RST in place of FIN."""
    connection: socket.socket = environ["werkzeug.socket"]
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.shutdown(socket.SHUT_RD)
    raise ConnectionResetError


@dataclass(frozen=True)
class S3:
    """A server that runs."""

    url: str
    bucket = f"s3://{BUCKET}"
    secrets = ("AKIATESTONLY", "a-secret-of-tests")
    """What is in no file and no message."""

    @property
    def environment(self) -> dict[str, str]:
        """What a client of it needs."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": self.secrets[0],
            "AWS_SECRET_ACCESS_KEY": self.secrets[1],
            "AWS_REGION": "us-east-1",
        }

    def fail(self, share: float) -> None:
        urlopen(Request(f"{self.url}/-/faults?share={share}", method="PUT")).read()

    @property
    def log(self) -> list[dict[str, Any]]:
        """Every request so far: method, path, query, fault."""
        found: list[dict[str, Any]] = json.loads(urlopen(f"{self.url}/-/log").read())
        return found


@dataclass(frozen=True)
class Google(S3):
    """The same as Google Cloud Storage."""

    key_file: Path
    """Of a service account that asks nobody for a token."""
    bucket = f"gs://{BUCKET}"
    secrets = ("a-google-secret-of-tests",)

    @property
    def environment(self) -> dict[str, str]:
        account = {"client_email": "", "private_key": self.secrets[0], "private_key_id": ""}
        where = {"gcs_base_url": self.url, "disable_oauth": True}
        self.key_file.write_text(json.dumps({**account, **where}))
        return {"GOOGLE_SERVICE_ACCOUNT": str(self.key_file), "GOOGLE_ALLOW_HTTP": "true"}


@contextmanager
def served(faults: float = 0.0, seed: int = 0) -> Iterator[S3]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.s3d", str(faults), str(seed)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None and process.stdin is not None
        objects._store.cache_clear()  # it may know a server that went before, by the same bucket
        yield S3(process.stdout.readline().strip())
    finally:
        process.stdin.close()
        process.wait(timeout=30)


def main() -> None:
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Handler(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_request(self, *_: object) -> None:
            pass

        def make_environ(self) -> dict[str, Any]:
            return {**super().make_environ(), "werkzeug.socket": self.connection}

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    inner = DomainDispatcherApplication(create_backend_app)
    app = _Faulty(inner, 0.0, int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.port}"
    urlopen(Request(f"{url}/{BUCKET}", method="PUT")).read()
    app.share = float(sys.argv[1])
    app.log.clear()
    print(url, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
