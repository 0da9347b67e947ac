"""A local server that answers as a model hub does; no test asks the real one."""

from __future__ import annotations

import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "a" * 40


class Hub(ThreadingHTTPServer):
    """Models by name; those of `gated` are shown and given to no one without a token."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.models, self.gated, self.asked = {}, set(), []


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        hub, path = self.server, self.path.partition("?")[0].strip("/")
        hub.asked.append(path)
        api = path.startswith("api/models/")
        name = "/".join(path.removeprefix("api/models/").split("/")[:2])
        if name not in hub.models:
            return self.answer(401, X_Error_Code="RepoNotFound")
        folder = hub.models[name]
        files = sorted(p for p in folder.iterdir() if p.is_file())
        revision = path.removeprefix("api/models/").split("/")[3:4]
        if revision and revision[0] not in ("main", COMMIT):
            return self.answer(404, X_Error_Code="RevisionNotFound")
        if api and "/tree/" in path:
            tree = [
                {"type": "file", "path": p.name, "size": p.stat().st_size, "oid": digest(p)}
                for p in files
            ]
            return self.answer(
                200, json.dumps(tree).encode(), Content_Type="application/json"
            )
        if api:
            about = {
                "id": name,
                "sha": COMMIT,
                "siblings": [{"rfilename": p.name} for p in files],
            }
            return self.answer(
                200, json.dumps(about).encode(), Content_Type="application/json"
            )
        if name in hub.gated and self.headers.get("Authorization") != "Bearer good":
            return self.answer(403, X_Error_Code="GatedRepo")
        file = folder / path.rpartition("/")[2]
        if not file.is_file():
            return self.answer(404, X_Error_Code="EntryNotFound")
        headers = {"ETag": f'"{digest(file)}"', "X_Repo_Commit": COMMIT}
        return self.answer(200, file.read_bytes(), **headers)

    do_HEAD = do_GET


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextmanager
def running(monkeypatch, folder):
    """The server, which huggingface_hub takes for its hub; what is fetched goes to a folder."""
    from huggingface_hub import constants

    with Hub() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE",
            address + "/{repo_id}/resolve/{revision}/{filename}",
        )  # fmt: skip
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
        yield server
        server.shutdown()
