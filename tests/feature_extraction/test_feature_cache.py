"""What was computed is not computed again: by later calls, folds, processes, after a kill."""

from __future__ import annotations

import os
import time
from multiprocessing import get_context

import numpy as np
import pandas as pd
import pytest
import soundfile
from joblib.externals.loky import get_reusable_executor
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sk_mer import MTEClassifier
from sk_mer.feature_extraction import ModalityColumns, PretrainedSpeech, PretrainedText
from sk_mer.feature_extraction._feature_cache import FeatureCache, bytes_of


class Counted(PretrainedSpeech):
    """Writes a line for each item that is computed, in whichever process."""

    def _encode(self, contents):
        with open(os.environ["COUNTED"], "a", encoding="utf-8") as log:
            log.writelines("item\n" for _ in contents)
        return super()._encode(contents)


@pytest.fixture
def counted(tmp_path, monkeypatch):
    """How many items were computed so far."""
    log = tmp_path / "counted"
    log.touch()
    monkeypatch.setenv("COUNTED", str(log))
    return lambda: len(log.read_text(encoding="utf-8").splitlines())


def sounds(folder, n, seconds=0.2):
    rng, paths = np.random.default_rng(0), []
    for k in range(n):
        paths.append(folder / f"{k}.wav")
        samples = rng.normal(size=int(16000 * seconds)) * (0.05 + 0.1 * (k % 2))
        soundfile.write(paths[-1], samples, 16000)
    return paths


def test_a_second_run_touches_no_model(encoder_folder, tmp_path, counted, monkeypatch):
    paths = sounds(tmp_path, 3)
    step = Counted(encoder_folder("wav2vec2"), memory=tmp_path / "kept")
    first = step.fit_transform([*paths, paths[0]])
    assert counted() == 3
    with monkeypatch.context() as patch:
        patch.setattr(Counted, "_loaded", lambda self: pytest.fail("the model was loaded"))
        again = Counted(encoder_folder("wav2vec2"), memory=tmp_path / "kept", batch_size=1)
        found = again.fit_transform([*paths, paths[0]])
    np.testing.assert_array_equal(found.values("audio"), first.values("audio"))
    paths[1].rename(tmp_path / "other name.wav")  # the content counts
    again.transform([tmp_path / "other name.wav"])
    assert counted() == 3
    soundfile.write(paths[0], np.ones(4000), 16000)  # as does a change of it
    again.transform(paths[:1])
    assert counted() == 4


@pytest.mark.parametrize(
    "changed", [{"layers": -1}, {"pooling": "mean"}, {"steps_per_second": 3},
                {"dtype": "bfloat16"}, {"model": "hubert"}],
)  # fmt: skip
def test_a_changed_setting_computes_anew(encoder_folder, tmp_path, counted, changed):
    paths = sounds(tmp_path, 1)
    settings = {"model": "wav2vec2", "memory": tmp_path / "kept", **changed}
    base = Counted(encoder_folder("wav2vec2"), memory=tmp_path / "kept").fit(paths)
    base.transform(paths)
    model = encoder_folder(settings.pop("model"))
    Counted(model, **settings).fit_transform(paths)
    assert counted() == 2


def test_other_versions_compute_anew(encoder_folder, tmp_path, counted, monkeypatch):
    from sk_mer.feature_extraction import _pretrained

    paths = sounds(tmp_path, 1)
    step = Counted(encoder_folder("wav2vec2"), memory=tmp_path / "kept").fit(paths)
    step.transform(paths)
    monkeypatch.setattr(_pretrained, "version", lambda name: "99")
    step.transform(paths)
    assert counted() == 2


def test_what_has_nothing_is_kept_too(encoder_folder, tmp_path, counted):
    path = tmp_path / "silent.wav"
    soundfile.write(path, np.zeros(8000), 16000)
    step = Counted(encoder_folder("wav2vec2"), memory=tmp_path / "kept").fit([path])
    for _ in range(2):
        with pytest.warns(UserWarning, match="count as missing.*it has no sound"):
            assert step.transform([path]).lengths("audio").tolist() == [0]
    assert not counted()
    assert len(list((tmp_path / "kept").glob("*/*.npy"))) == 1


def test_a_search_encodes_each_item_once(encoder_folder, tmp_path, counted):
    """Two workers, two folds, two candidates and the fit on all rows."""
    table = pd.DataFrame({"file": map(str, sounds(tmp_path, 12))})
    y = pd.Series(["loud" if k % 2 else "quiet" for k in range(12)])
    step = Counted(encoder_folder("wav2vec2"), memory=tmp_path / "kept", batch_size=2)
    model = MTEClassifier(
        hidden_sizes=4, num_layers=1, max_epochs=1, validation_fraction=None, random_state=0
    )
    pipeline = make_pipeline(ModalityColumns([("audio", step, "file")]), model)
    search = GridSearchCV(pipeline, {"mteclassifier__lr": [1e-3, 1e-2]}, cv=2, n_jobs=2)
    get_reusable_executor().shutdown()  # workers of earlier tests do not know where to count
    search.fit(table, y)
    assert counted() == 12
    assert set(search.predict(table)) <= {"loud", "quiet"}
    assert counted() == 12


def encode(folder, model, pause, queue):
    """Run in a process of its own."""

    class Slow(Counted):
        def _encode(self, contents):
            found = super()._encode(contents)
            queue.put("batch")
            time.sleep(pause)
            return found

    step = Slow(model, memory=folder / "kept", batch_size=2)
    found = step.fit_transform(sorted(folder.glob("*.wav")))
    np.save(folder / f"{os.getpid()}.answer.npy", found.values("audio"))


def test_two_processes_and_a_kill(encoder_folder, tmp_path, counted):
    """Killed in its third batch, two are kept; two at once then compute the rest, once."""
    paths, model = sounds(tmp_path, 10), encoder_folder("wav2vec2")
    plain = PretrainedSpeech(model).fit_transform(paths).values("audio")
    spawn = get_context("spawn")  # a fork of a process with threads may wait for ever
    queue = spawn.Queue()
    victim = spawn.Process(target=encode, args=(tmp_path, model, 0.2, queue))
    victim.start()
    for _ in range(3):
        queue.get(timeout=120)
    victim.kill()
    victim.join()
    assert not list(tmp_path.glob("*.answer.npy"))
    kept, before = len(list((tmp_path / "kept").glob("*/*.npy"))), counted()
    assert 4 <= kept < 10
    queue = spawn.Queue()  # the victim may have died with the lock of its own
    both = [
        spawn.Process(target=encode, args=(tmp_path, model, 0.02, queue)) for _ in range(2)
    ]
    for process in both:
        process.start()
    for process in both:
        process.join(120)
    assert [process.exitcode for process in both] == [0, 0]
    assert counted() - before == 10 - kept
    answers = list(tmp_path.glob("*.answer.npy"))
    assert len(answers) == 2
    for answer in answers:
        np.testing.assert_allclose(np.load(answer), plain, atol=1e-4)


def test_damaged_files_of_the_cache(encoder_folder, tmp_path):
    step = PretrainedText(encoder_folder("bert"), memory=tmp_path).fit(["so"])
    first = step.transform(["so happy"]).values("text")
    (path,) = tmp_path.glob("*/*.npy")
    for content in (b"", path.read_bytes()[:-7], b"\x93NUMPY nothing"):
        path.write_bytes(content)
        np.testing.assert_array_equal(step.transform(["so happy"]).values("text"), first)


def test_a_limit(tmp_path):
    steps = np.ones((25, 10), dtype=np.float32)  # 1,128 bytes with its header
    cache = FeatureCache(tmp_path, {"a": 1}, bytes_of("5K", "memory_limit"))
    for k in range(6):
        cache.put(str(k), steps)
        os.utime(cache._path(str(k)), (k, k))
    np.testing.assert_array_equal(cache.get("0"), steps)  # used: goes last
    left = cache._path("9").parent
    left.mkdir(exist_ok=True)
    (left / "x.tmp").touch()
    old = time.time() - 7200
    (left / "y.tmp").touch()
    os.utime(left / "y.tmp", (old, old))
    cache.prune()
    there = [k for k in range(6) if cache.get(str(k)) is not None]
    assert there == [0, 3, 4, 5]
    assert [p.name for p in tmp_path.glob("*/*.tmp")] == ["x.tmp"]
    assert bytes_of("1.5 mb", "memory_limit") == 1.5 * 2**20
    assert bytes_of(None, "memory_limit") is None
    for wrong in ("G", "-1G", 0, True, "1X"):
        with pytest.raises(ValueError, match="expected bytes"):
            bytes_of(wrong, "memory_limit")
