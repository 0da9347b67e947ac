"""Models of the hub, for which a local server stands; no test asks the real one."""

from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from sk_mer.feature_extraction import PretrainedText

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


@pytest.fixture
def hub(monkeypatch, tmp_path):
    from huggingface_hub import constants

    with Hub() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE",
            address + "/{repo_id}/resolve/{revision}/{filename}",
        )  # fmt: skip
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
        yield server
        server.shutdown()


def test_a_model_of_the_hub(hub, encoder_folder):
    hub.models["someone/tiny-bert"] = encoder_folder("bert")
    step = PretrainedText("someone/tiny-bert").fit(["so"])
    assert step.provenance_["model"] == "someone/tiny-bert"
    assert step.provenance_["revision"] == COMMIT
    local = PretrainedText(encoder_folder("bert")).fit(["so"])
    assert step.provenance_["weights"] == local.provenance_["weights"]
    found, expected = (s.transform(["so happy"]).values("text") for s in (step, local))
    np.testing.assert_array_equal(found, expected)
    hub.asked.clear()
    offline = PretrainedText("someone/tiny-bert", local_files_only=True).fit(["so"])
    assert offline.provenance_ == step.provenance_
    assert not hub.asked


def says(pattern, step):
    with pytest.raises(ValueError, match=pattern) as told:
        step.fit(["so"])
    assert "\n" not in str(told.value)


def test_what_the_hub_does_not_give(hub, encoder_folder, monkeypatch):
    hub.models["someone/gated"] = encoder_folder("bert")
    hub.gated.add("someone/gated")
    says(r"terms accepted before it gives 'someone/gated': .* give token_env='HF_TOKEN'",
         PretrainedText("someone/gated"))  # fmt: skip
    says("token_env='MY_TOKEN': there is no such environment variable",
         PretrainedText("someone/gated", token_env="MY_TOKEN"))  # fmt: skip
    monkeypatch.setenv("MY_TOKEN", "bad")
    says("with the account of the token in it",
         PretrainedText("someone/gated", token_env="MY_TOKEN"))  # fmt: skip
    monkeypatch.setenv("MY_TOKEN", "good")
    step = PretrainedText("someone/gated", token_env="MY_TOKEN").fit(["so"])
    assert "good" not in repr(vars(step))
    says("no model 'someone/none' that it would show", PretrainedText("someone/none"))
    says("'someone/gated' has no revision 'v9' on the hub",
         PretrainedText("someone/gated", revision="v9", token_env="MY_TOKEN"))  # fmt: skip
    says(r"'someone/other' is not on this machine and nothing may be fetched; .*hf download",
         PretrainedText("someone/other", local_files_only=True))  # fmt: skip
    hub.shutdown()
    hub.server_close()
    says("'someone/other' is not on this machine and no hub answers",
         PretrainedText("someone/other"))  # fmt: skip
