"""Downloads from a server of the test's own: whole, cut off, changed, out of reach."""

from __future__ import annotations

import hashlib
import http.server
import io
import threading
import zipfile

import numpy as np
import pytest

from sk_mer import load_label_vectors
from sk_mer.datasets import _fetchers, fetch_glove, fetch_goemotions, fetch_ravdess


class Server:
    """Serves `files`; `cut` ends each answer half way."""

    def __init__(self):
        self.files: dict[str, bytes] = {}
        self.cut = False
        self.asked: list[str] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                name = self.path.lstrip("/")
                outer.asked.append(name)
                if name not in outer.files:
                    self.send_error(404)
                    return
                body = outer.files[name]
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: len(body) // 2] if outer.cut else body)

            def log_message(self, *args):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/"
        serve = self.http.serve_forever
        self.thread = threading.Thread(target=serve, args=(0.01,), daemon=True)
        self.thread.start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server()
    yield server
    server.close()


def zip_of(**files):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            # A date long ago, as in the published ones.
            info = zipfile.ZipInfo(name.replace("__", "/").replace("_dot_", "."))
            archive.writestr(info, content)
    return stream.getvalue()


@pytest.fixture
def goemotions(server, monkeypatch):
    files = {
        "labels.txt": b"joy\nanger\nneutral\n",
        "train.tsv": b'Fine "quote\t0,1\ta\nNA\t2\tb\nmeh\t1\tc\n',
    }
    server.files = files
    known = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    monkeypatch.setattr(_fetchers, "_GOEMOTIONS", known)
    return files


def test_goemotions(server, goemotions, tmp_path):
    data = fetch_goemotions(data_home=tmp_path, base_url=server.url)
    assert data.sentences == ['Fine "quote', "NA", "meh"]
    assert data.y.columns.tolist() == ["joy", "anger"]
    assert data.y.to_numpy().tolist() == [[1, 1], [0, 0], [0, 1]]
    assert data.neutral.tolist() == [0, 1, 0]
    assert data.ids == ["a", "b", "c"]
    asked = len(server.asked)
    fetch_goemotions(data_home=tmp_path, base_url=server.url)
    assert len(server.asked) == asked  # kept
    with pytest.raises(ValueError, match="expected 'train', 'valid' or 'test'"):
        fetch_goemotions("all")


def test_a_changed_file_is_not_used(server, goemotions, tmp_path):
    server.files["train.tsv"] += b"more\t1\td\n"
    with pytest.raises(
        ValueError, match=r"train.tsv from .* has another checksum than expected"
    ):
        fetch_goemotions(data_home=tmp_path, base_url=server.url)
    assert not (tmp_path / "goemotions" / "train.tsv").exists()


def test_an_interrupted_download_leaves_nothing(server, goemotions, tmp_path):
    server.cut = True
    with pytest.raises(
        (ConnectionError, ValueError), match=r"could not be downloaded|checksum"
    ):
        fetch_goemotions(data_home=tmp_path, base_url=server.url)
    assert not (tmp_path / "goemotions" / "labels.txt").exists()
    server.cut = False
    assert len(fetch_goemotions(data_home=tmp_path, base_url=server.url).sentences) == 3


def test_no_network(server, tmp_path):
    with pytest.raises(
        ConnectionError, match=r"could not be downloaded .* check the network"
    ):
        fetch_goemotions(data_home=tmp_path, base_url="http://127.0.0.1:9/")
    with pytest.raises(ConnectionError, match=r"could not be downloaded \(HTTPError\)"):
        fetch_goemotions(data_home=tmp_path, base_url=server.url)


def test_glove(server, tmp_path, monkeypatch):
    text = "happy 1 2\nsad -1 0.5\n"
    server.files["glove.6B.zip"] = zip_of(
        glove_dot_6B_dot_50d_dot_txt=text, glove_dot_6B_dot_100d_dot_txt="x 1 2 3\n"
    )
    monkeypatch.setenv("SK_MER_DATA_HOME", str(tmp_path))
    path = fetch_glove("6B.50d", base_url=server.url)
    assert path.read_text() == text
    vectors = load_label_vectors(path, ["sad"])
    np.testing.assert_array_equal(vectors["sad"], [-1, 0.5])
    assert fetch_glove("6B.100d", base_url=server.url).read_text() == "x 1 2 3\n"
    assert server.asked == ["glove.6B.zip"]  # one archive for both
    with pytest.raises(ValueError, match=r"expected one of 840B.300d, 42B"):
        fetch_glove("6B")


def test_the_first_checksum_is_kept(server, tmp_path):
    server.files["glove.6B.zip"] = zip_of(glove_dot_6B_dot_50d_dot_txt="a 1\n")
    fetch_glove("6B.50d", data_home=tmp_path, base_url=server.url)
    (tmp_path / "glove" / "glove.6B.zip").unlink()
    server.files["glove.6B.zip"] = zip_of(glove_dot_6B_dot_50d_dot_txt="a 2\n")
    kept = tmp_path / "glove" / "glove.6B.zip.sha256"
    with pytest.raises(ValueError, match=f"another checksum than .* remove '{kept}'"):
        fetch_glove("6B.50d", data_home=tmp_path, base_url=server.url)
    kept.unlink()
    path = fetch_glove("6B.50d", data_home=tmp_path, base_url=server.url)
    assert path.read_text() == "a 2\n"


def glove(server, tmp_path, name="6B.50d"):
    return fetch_glove(name, data_home=tmp_path, base_url=server.url)


PAGE = b"<html>Log in to the hotel's network</html>"


def test_a_page_instead_of_an_archive_does_not_stay(server, tmp_path):
    name = "glove.6B.zip"
    whole = zip_of(glove_dot_6B_dot_50d_dot_txt="happy 1 2\n")
    others = zip_of(readme_dot_txt="nothing of the kind")
    folder = tmp_path / "glove"
    for wrong in (PAGE, whole[:-10], whole.replace(b"happy", b"hippy"), others):
        server.files[name] = wrong
        with pytest.raises(
            ValueError,
            match=rf"{server.url}{name} is no zip .* it was removed, so try again",
        ):
            glove(server, tmp_path)
        assert list(folder.iterdir()) == []
    server.files[name] = whole
    assert glove(server, tmp_path).read_text() == "happy 1 2\n"


def test_a_page_left_by_an_earlier_call(server, tmp_path):
    (tmp_path / "ravdess").mkdir()
    archive = tmp_path / "ravdess" / _fetchers._RAVDESS
    archive.write_bytes(PAGE)
    clip = "Actor_01/03-01-05-02-01-02-01.wav"
    server.files[_fetchers._RAVDESS] = zip_of(**{clip: b"RIFF"})
    with pytest.raises(ValueError, match="it was removed"):
        fetch_ravdess(data_home=tmp_path, base_url=server.url)
    assert server.asked == []
    (found,) = fetch_ravdess(data_home=tmp_path, base_url=server.url)["file"]
    assert found == str(tmp_path / "ravdess" / "speech" / clip)


@pytest.mark.parametrize(
    "changed",
    ["happy 1 2\nsa", "happy 1 2\nsad 3 5\n", "happy 1 2\nsad 3 4\nmore 1 2\n", ""],
)
def test_a_changed_unpacked_file_is_unpacked_anew(server, tmp_path, changed):
    text = "happy 1 2\nsad 3 4\n"
    server.files["glove.6B.zip"] = zip_of(glove_dot_6B_dot_50d_dot_txt=text)
    path = glove(server, tmp_path)
    path.write_text(changed)
    assert glove(server, tmp_path) == path
    assert path.read_text() == text
    assert sorted(p.name for p in path.parent.iterdir()) == [
        "glove.6B.50d.txt", "glove.6B.zip", "glove.6B.zip.sha256",
    ]  # fmt: skip
    assert len(server.asked) == 1


def test_a_whole_file_is_neither_unpacked_nor_read_again(server, tmp_path, monkeypatch):
    server.files["glove.6B.zip"] = zip_of(glove_dot_6B_dot_50d_dot_txt="happy 1 2\n")
    path = glove(server, tmp_path)
    inode = path.stat().st_ino
    path.touch()  # as a copy of the folder: read once, and then known again
    assert glove(server, tmp_path).stat().st_ino == inode
    monkeypatch.setattr(_fetchers.zlib, "crc32", lambda *given: pytest.fail("was read"))
    assert glove(server, tmp_path).stat().st_ino == inode


def test_a_full_disk_is_no_fault_of_the_archive(server, tmp_path, monkeypatch):
    server.files["glove.6B.zip"] = zip_of(glove_dot_6B_dot_50d_dot_txt="happy 1 2\n")

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    for place, there in {
        "pooch.core.stream_download": [],
        "zipfile.ZipFile.extract": ["glove.6B.zip"],
    }.items():
        with monkeypatch.context() as patch:
            patch.setattr(place, full)
            with pytest.raises(OSError, match="No space left") as error:
                glove(server, tmp_path)
        assert not isinstance(error.value, ConnectionError)
        assert [p.name for p in (tmp_path / "glove").iterdir()] == there
    assert glove(server, tmp_path).read_text() == "happy 1 2\n"


def test_an_archive_damaged_where_nobody_had_looked(server, tmp_path):
    whole = zip_of(glove_dot_6B_dot_50d_dot_txt="happy 1 2\n", glove_dot_6B_dot_100d_dot_txt="sad 3\n")  # fmt: skip
    server.files["glove.6B.zip"] = whole.replace(b"sad 3", b"sad 4")
    glove(server, tmp_path)
    with pytest.raises(ValueError, match=r"damaged one .* it was removed"):
        glove(server, tmp_path, "6B.100d")
    server.files["glove.6B.zip"] = whole
    assert glove(server, tmp_path, "6B.100d").read_text() == "sad 3\n"


@pytest.mark.parametrize(
    "name", ["../outside.wav", "/tmp/outside.wav", "a/../../outside.wav"]
)
def test_nothing_is_unpacked_elsewhere(server, tmp_path, name):
    server.files[_fetchers._RAVDESS] = zip_of(**{name: b"RIFF"})
    with pytest.raises(ValueError, match="would lie outside of the folder"):
        fetch_ravdess(data_home=tmp_path, base_url=server.url)
    assert not list(tmp_path.rglob("*.wav"))


def test_ravdess(server, tmp_path):
    name = "Audio_Speech_Actors_01-24.zip"
    server.files[name] = zip_of(
        **{"Actor_04__03-01-05-02-01-02-04_dot_wav": b"RIFF", "readme_dot_txt": b""}
    )
    (clip,) = fetch_ravdess(data_home=tmp_path, base_url=server.url).to_dict("records")
    assert clip.pop("file").endswith("03-01-05-02-01-02-04.wav")
    assert clip == {
        "sentence": "Kids are talking by the door", "emotion": "angry", "intensity": "strong",
        "repetition": 2, "actor": 4, "gender": "female",
    }  # fmt: skip
    server.files[name] = zip_of(readme_dot_txt=b"")
    with pytest.raises(ValueError, match="holds no clips"):
        fetch_ravdess(data_home=tmp_path / "other", base_url=server.url)


def test_pooch_missing(monkeypatch):
    def refuse(name):
        raise ImportError(name)

    monkeypatch.setattr("importlib.import_module", refuse)
    for fetch in (fetch_glove, fetch_goemotions, fetch_ravdess):
        with pytest.raises(ImportError, match=r"pip install 'sk-mer\[fetch\]'"):
            fetch()
