"""A stand-in of the Hugging Face hub's API, for what the hub's own client asks of it when files are pushed and fetched.

It keeps repositories in memory. Files that end in a name of `LARGE` are uploaded by git-lfs's protocol, others within
the commit, as there. Faults can be put in: `fail(path_part, status, times)`.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

LARGE = (".tar", ".parquet", ".safetensors", ".png", ".bin", ".pkl")
LICENSES = ("cc-by-4.0", "apache-2.0", "mit", "other")
WRITER, READER = "hf_writer", "hf_reader"
"""Tokens: one that may write, one that may not."""


@dataclass
class StoredRepository:
    private: bool
    commits: list[dict[str, bytes]] = field(default_factory=lambda: [{}])

    @property
    def files(self) -> dict[str, bytes]:
        return self.commits[-1]

    def files_at(self, revision: str) -> dict[str, bytes] | None:
        if revision == "main":
            return self.files
        return next((files for number, files in enumerate(self.commits) if commit_id(number) == revision), None)


@dataclass
class Fault:
    part: str
    status: int
    times: int


class HubServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories: dict[tuple[str, str], StoredRepository] = {}
        self.blobs: dict[str, bytes] = {}
        self.uploads: list[str] = []
        self.fetched: list[str] = []
        self.faults: list[Fault] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def put(self, kind: str, name: str, files: dict[str, bytes], *, private: bool = False) -> None:
        """Have a repository with these files."""
        self.repositories[kind, name] = StoredRepository(private, [files])

    def fail(self, part: str, status: int, times: int = 1) -> None:
        """Answer the next requests whose path holds `part` with a status; 0 closes the connection."""
        self.faults.append(Fault(part, status, times))


@contextlib.contextmanager
def hub_server() -> Iterator[HubServer]:
    server = HubServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """The hub is this stand-in: with a token that may write, and a cache of its own."""
    import huggingface_hub.constants as constants
    from huggingface_hub import HfFileSystem

    from synthcl.pipeline.hub.fetching import fetch

    with hub_server() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr("huggingface_hub.hf_api.api.endpoint", server.url)  # what diffusers asks for lists of files
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("HF_TOKEN", WRITER)
        fetch.cache_clear()
        HfFileSystem.clear_instance_cache()
        yield server
    fetch.cache_clear()
    HfFileSystem.clear_instance_cache()


def commit_id(number: int) -> str:
    return hashlib.sha1(b"commit %d" % number).hexdigest()


def git_hash(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def is_large(path: str) -> bool:
    return path.endswith(LARGE)


class Handler(BaseHTTPRequestHandler):
    server: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_args: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = unquote(urlsplit(self.path).path)
        for fault in self.server.faults:
            if fault.part in path and fault.times > 0:
                fault.times -= 1
                if fault.status == 0:
                    self.close_connection = True
                    self.connection.close()
                    return
                self._send(fault.status, {"error": "a fault that was put in"})
                return
        for pattern, method in ROUTES:
            match = re.fullmatch(pattern, path)
            if match is not None:
                method(self, **match.groupdict())
                return
        self._send(404, {"error": f"no such path {path}"})

    # Answers

    def _send(self, status: int, value: object, headers: dict[str, str] | None = None) -> None:
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for name, text in (headers or {}).items():
            self.send_header(name, text)
        if "Content-Length" not in (headers or {}):
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _token(self) -> str | None:
        return (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None

    def _may_write(self) -> bool:
        if self._token() == WRITER:
            return True
        self._send(401 if self._token() is None else 403, {"error": "not allowed"})
        return False

    def _repository(self, kind: str, name: str) -> StoredRepository | None:
        repository = self.server.repositories.get((kind, name))
        if repository is None or (repository.private and self._token() not in (WRITER, READER)):
            self._send(401 if self._token() is None else 404, {"error": "?"}, {"X-Error-Code": "RepoNotFound"})
            return None
        return repository

    def _files(self, kind: str, name: str, revision: str) -> dict[str, bytes] | None:
        repository = self._repository(kind, name)
        if repository is None:
            return None
        files = repository.files_at(revision)
        if files is None:
            self._send(404, {"error": "?"}, {"X-Error-Code": "RevisionNotFound"})
        return files

    def create(self) -> None:
        asked = json.loads(self.body)
        name = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else asked["name"]
        kind = asked.get("type") or "model"
        if not self._may_write():
            return
        prefix = "" if kind == "model" else f"{kind}s/"
        url = {"url": f"{self.server.url}/{prefix}{name}"}
        if (kind, name) in self.server.repositories:
            self._send(409, url)
            return
        self.server.repositories[kind, name] = StoredRepository(asked.get("visibility") == "private")
        self._send(200, url)

    def info(self, kind: str, name: str, revision: str | None = None) -> None:
        files = self._files(kind, name, revision or "main")
        if files is not None:
            repository = self.server.repositories[kind, name]
            siblings = [{"rfilename": path} for path in sorted(files)]
            sha = commit_id(repository.commits.index(files))
            self._send(200, {"id": name, "sha": sha, "private": repository.private, "siblings": siblings, "tags": []})

    def tree(self, kind: str, name: str, revision: str, folder: str | None = None) -> None:
        files = self._files(kind, name, revision)
        if files is None:
            return
        below = f"{folder}/" if folder else ""
        recursive = "recursive=true" in self.path.lower()
        found: dict[str, dict[str, object]] = {}
        for path in sorted(files):
            if not path.startswith(below):
                continue
            inside = path.removeprefix(below)
            if not recursive and "/" in inside:
                sub = below + inside.split("/")[0]
                found[sub] = {"type": "directory", "path": sub, "oid": git_hash(sub.encode()), "size": 0}
            else:
                found[path] = entry(path, files[path])
        if folder and not found:
            self._send(404, {"error": "?"}, {"X-Error-Code": "EntryNotFound"})
            return
        self._send(200, list(found.values()))

    def paths_info(self, kind: str, name: str, revision: str) -> None:
        files = self._files(kind, name, revision)
        if files is None:
            return
        asked = json.loads(self.body)["paths"]
        answer = [entry(path, files[path]) for path in asked if path in files]
        for path in asked:
            if path not in files and any(file.startswith(f"{path}/") for file in files):
                answer.append({"type": "directory", "path": path, "oid": git_hash(path.encode()), "size": 0})
        self._send(200, answer)

    def preupload(self, kind: str, name: str, revision: str) -> None:
        if not self._may_write():
            return
        there = self.server.repositories[kind, name].files
        answer = []
        for file in json.loads(self.body)["files"]:
            path = file["path"]
            row = {"path": path, "uploadMode": "lfs" if is_large(path) else "regular", "shouldIgnore": False}
            if path in there:
                row["oid"] = hashlib.sha256(there[path]).hexdigest() if is_large(path) else git_hash(there[path])
            answer.append(row)
        self._send(200, {"files": answer})

    def batch(self, kind: str, name: str) -> None:
        if not self._may_write():
            return
        objects = []
        for asked in json.loads(self.body)["objects"]:
            row = {"oid": asked["oid"], "size": asked["size"]}
            if asked["oid"] not in self.server.blobs:
                row["actions"] = {"upload": {"href": f"{self.server.url}/upload/{asked['oid']}"}}
            objects.append(row)
        self._send(200, {"transfer": "basic", "objects": objects})

    def validate_card(self) -> None:
        """Licences are checked, as there, where only those of a list are taken."""
        card = json.loads(self.body)["content"]
        bad = [line for line in card.splitlines() if line.startswith("license: ") and line[9:] not in LICENSES]
        errors = [{"message": f'"license" must be one of {", ".join(LICENSES)}'}] if bad else []
        self._send(400 if errors else 200, {"errors": errors, "warnings": []})

    def upload(self, oid: str) -> None:
        if hashlib.sha256(self.body).hexdigest() != oid:
            self._send(400, {"error": "not the content of that checksum"})
            return
        self.server.blobs[oid] = self.body
        self.server.uploads.append(oid)
        self._send(200, {})

    def commit(self, kind: str, name: str, revision: str) -> None:
        if not self._may_write():
            return
        repository = self.server.repositories[kind, name]
        files = dict(repository.files)
        for line in self.body.decode().splitlines():
            step = json.loads(line)
            value = step["value"]
            if step["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif step["key"] == "lfsFile":
                if value["oid"] not in self.server.blobs:
                    self._send(400, {"error": f"{value['path']} was not uploaded"})
                    return
                files[value["path"]] = self.server.blobs[value["oid"]]
            elif step["key"] == "deletedFile":
                del files[value["path"]]
        repository.commits.append(files)
        oid = commit_id(len(repository.commits) - 1)
        page = f"{self.server.url}/{'datasets/' if kind == 'dataset' else ''}{name}/commit/{oid}"
        self._send(200, {"success": True, "commitOid": oid, "commitUrl": page})

    def resolve(self, kind: str, name: str, revision: str, path: str) -> None:
        files = self._files(kind, name, revision)
        if files is None:
            return
        if path not in files:
            self._send(404, {"error": "?"}, {"X-Error-Code": "EntryNotFound"})
            return
        data = files[path]
        repository = self.server.repositories[kind, name]
        headers = {
            "ETag": f'"{hashlib.sha256(data).hexdigest() if is_large(path) else git_hash(data)}"',
            "X-Repo-Commit": commit_id(repository.commits.index(files)),
        }
        if self.command == "HEAD":
            self._send(200, b"", {**headers, "Content-Length": str(len(data))})
            return
        self.server.fetched.append(path)
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if asked is None:
            self._send(200, data, headers)
            return
        first, last = int(asked[1]), int(asked[2] or len(data) - 1)
        part = data[first : last + 1]
        self._send(206, part, {**headers, "Content-Range": f"bytes {first}-{first + len(part) - 1}/{len(data)}"})


def entry(path: str, data: bytes) -> dict[str, object]:
    """A file, as the hub lists it."""
    row: dict[str, object] = {"type": "file", "path": path, "size": len(data), "oid": git_hash(data)}
    if is_large(path):
        row["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
    return row


def _of_both_kinds(pattern: str, method: str) -> list[tuple[str, object]]:
    """Routes of data sets and models."""

    def call(kind: str):
        return lambda handler, **parts: getattr(handler, method)(kind, **parts)

    return [
        (pattern.format(api=f"/api/{kind}s", web="/datasets" if kind == "dataset" else "", name=NAME), call(kind))
        for kind in ("dataset", "model")
    ]


NAME = r"(?P<name>[^/]+/[^/]+)"
REVISION = r"(?P<revision>[^/]+)"
ROUTES = [
    (r"/api/repos/create", Handler.create),
    (r"/api/validate-yaml", Handler.validate_card),
    (r"/upload/(?P<oid>\w+)", Handler.upload),
    *_of_both_kinds("{api}/{name}/tree/" + REVISION + "(?:/(?P<folder>.+))?", "tree"),
    *_of_both_kinds("{api}/{name}/paths-info/" + REVISION, "paths_info"),
    *_of_both_kinds("{api}/{name}/preupload/" + REVISION, "preupload"),
    *_of_both_kinds("{api}/{name}/commit/" + REVISION, "commit"),
    *_of_both_kinds("{api}/{name}(?:/revision/" + REVISION + ")?", "info"),
    *_of_both_kinds(r"{web}/{name}\.git/info/lfs/objects/batch", "batch"),
    *_of_both_kinds("{web}/{name}/resolve/" + REVISION + "/(?P<path>.+)", "resolve"),
]
"""Paths and what answers them; the first that fits."""
