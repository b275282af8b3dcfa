"""A small stand-in for the Hugging Face hub, on a loopback port: repositories at one commit.

`datasets` fixes endpoint and cache when it is imported, so whoever reads one asks in a child.
"""

from __future__ import annotations

import hashlib
import inspect
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

COMMIT = "0123456789abcdef0123456789abcdef01234567"
DOWN = "http://127.0.0.1:9"
_CHILD = """
import json, sys
from pathlib import Path
import saeflow.hub
saeflow.hub._WAITS_S = (0.01,)
answers = []
for number, settings in enumerate(json.loads(sys.argv[1])):
    try:
        answers.append(answer(settings, Path(sys.argv[2]) / str(number)))
    except Exception as error:
        answers.append(f"{type(error).__name__} {error}")
print(json.dumps(answers))
"""


class Hub(ThreadingHTTPServer):
    """The server; `files` maps "models/org/name" or "datasets/org/name" to {path: bytes}."""

    def __init__(self, files: dict[str, dict[str, bytes]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files = files
        self.requests: list[str] = []
        self.failures = 0  # so many requests are answered with 503 first

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._respond(with_body=False)

    def do_GET(self) -> None:
        self._respond(with_body=True)

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        self._body = json.loads(self.rfile.read(length) or b"{}")
        self._respond(with_body=True)

    def _respond(self, *, with_body: bool) -> None:
        path = unquote(urlsplit(self.path).path).strip("/")
        self.server.requests.append(path)
        if path == "api/agent-harnesses":
            self._send(404, b"", with_body=with_body)
        elif self.server.failures:
            self.server.failures -= 1
            self._send(503, b"busy", with_body=with_body)
        elif path.startswith("api/"):
            self._api(path.removeprefix("api/"), with_body)
        else:
            self._file(path, with_body)

    def _api(self, path: str, with_body: bool) -> None:
        kind, owner, name, *rest = path.split("/")
        files = self.server.files.get(f"{kind}/{owner}/{name}")
        if files is None:
            self._error("RepoNotFound", with_body)
            return
        revision = rest[1] if len(rest) > 1 else "main"
        if revision not in ("main", COMMIT):
            self._error("RevisionNotFound", with_body)
            return
        if rest and rest[0] in ("tree", "paths-info"):
            answer: object = self._tree(files, rest, "/".join(rest[2:]))
        else:
            siblings = [{"rfilename": file} for file in files]
            answer = {"id": f"{owner}/{name}", "sha": COMMIT, "siblings": siblings, "tags": []}
        self._send(200, json.dumps(answer).encode(), with_body=with_body, kind="application/json")

    def _tree(self, files: dict[str, bytes], rest: list[str], under: str) -> list[object]:
        wanted = self._body["paths"] if rest[0] == "paths-info" else None
        return [
            {"type": "file", "path": file, "size": len(data), "oid": _oid(data)}
            for file, data in files.items()
            if (wanted is None or file in wanted) and file.startswith(under)
        ]

    def _file(self, path: str, with_body: bool) -> None:
        kind = "datasets" if path.startswith("datasets/") else "models"
        owner, name, verb, revision, *rest = path.removeprefix("datasets/").split("/")
        if revision != COMMIT:
            self._error("RevisionNotFound", with_body)
            return
        data = self.server.files.get(f"{kind}/{owner}/{name}", {}).get("/".join(rest))
        if verb != "resolve" or data is None:
            self._error("EntryNotFound", with_body)
            return
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{_oid(data)}"', "Accept-Ranges": "bytes"}
        wanted = self.headers.get("Range")
        if wanted:
            begin, _, end = wanted.removeprefix("bytes=").partition("-")
            stop = min(int(end) + 1 if end else len(data), len(data))
            headers["Content-Range"] = f"bytes {begin}-{stop - 1}/{len(data)}"
            self._send(206, data[int(begin) : stop], with_body=with_body, headers=headers)
        else:
            self._send(200, data, with_body=with_body, headers=headers)

    def _error(self, code: str, with_body: bool) -> None:
        self._send(404, b"", with_body=with_body, headers={"X-Error-Code": code})

    def _send(self, status, body, *, with_body, kind="text/plain", headers=None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(body)


def _oid(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@contextmanager
def local_hub(files: dict[str, dict[str, bytes]]) -> Iterator[Hub]:
    """Run a hub with these files until the block ends."""
    hub = Hub(files)
    thread = threading.Thread(target=hub.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
        thread.join()


def ask_in_child(
    answer: Callable[[dict, Path], object], asked: list[dict], home: Path, url: str, made: Path
) -> list:
    """Return what ``answer`` says of settings and a directory of their own, or its error, of each.

    Its source runs in a child process, with ``home`` for the hub's cache, which outlives a call.
    """
    code = inspect.getsource(answer).replace(answer.__name__, "answer", 1) + _CHILD
    environment = {"HF_ENDPOINT": url, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}
    child = [sys.executable, "-c", code, json.dumps(asked), str(made)]
    done = subprocess.run(child, env=os.environ | environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def parquet(rows: list[dict]) -> bytes:
    """Return rows as the bytes of a Parquet file."""
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer)
    return buffer.getvalue()
