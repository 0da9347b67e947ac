"""Larger jobs on existing engines: joblib's workers, dask, Accelerate."""

import json
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings

import joblib
import numpy as np
import pytest
import torch
from joblib.externals.loky import get_reusable_executor
from sklearn.model_selection import GridSearchCV

from sk_mer import MTEClassifier, MultimodalArray
from sk_mer.datasets import make_multimodal_emotions
from sk_mer.engine.threads import cores_for_micro_batches, n_cores
from sk_mer.feature_extraction import ActionUnitSequences


def search(mte, **settings):
    grid = {"lr": [0.01, 0.003]}
    return GridSearchCV(mte, grid, scoring="neg_log_loss", cv=3, **settings)


@pytest.fixture
def y(emotions):
    return np.where(emotions.y["happy"], "happy", "other")


def threads_inside():
    with cores_for_micro_batches():
        return n_cores(), torch.get_num_threads()


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_one_thread_in_each_worker(backend):
    calls = [joblib.delayed(threads_inside)() for _ in range(4)]
    found = joblib.Parallel(n_jobs=2, backend=backend)(calls)
    assert found == [(1, 1)] * 4


def test_same_scores_in_workers(emotions, mte, y):
    mte.set_params(label_vectors=None)
    alone = search(mte).fit(emotions.X, y).cv_results_["mean_test_score"]
    side_by_side = search(mte, n_jobs=2).fit(emotions.X, y).cv_results_["mean_test_score"]
    np.testing.assert_array_equal(alone, side_by_side)


def test_dask_gets_the_data_once(emotions, mte, y, monkeypatch):
    """Twelve candidates, and a worker that is killed in the middle."""
    distributed = pytest.importorskip("distributed", reason="needs the dask extra")
    sent = []
    plain = MultimodalArray.__reduce_ex__
    monkeypatch.setattr(
        MultimodalArray, "__reduce_ex__", lambda X, p: sent.append(len(X)) or plain(X, p)
    )
    mte.set_params(label_vectors=None, max_epochs=2)
    grid = {"lr": np.geomspace(0.001, 0.02, 12)}
    expected = GridSearchCV(mte, grid, scoring="neg_log_loss", cv=2).fit(emotions.X, y)
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None
    )
    with cluster, distributed.Client(cluster) as client:
        pids = client.run(os.getpid)
        killer = threading.Thread(target=kill_when_busy, args=(client, pids))
        killer.start()
        with joblib.parallel_config("dask"):
            found = GridSearchCV(mte, grid, scoring="neg_log_loss", cv=2).fit(emotions.X, y)
        killer.join()
        left = set(client.run(os.getpid).values())
    assert len(left & set(pids.values())) == 1  # one was replaced
    for key in ("mean_test_score", "rank_test_score"):
        np.testing.assert_allclose(
            found.cv_results_[key], expected.cv_results_[key], rtol=1e-5
        )
    assert 1 <= len(sent) <= 2  # 24 tasks


def kill_when_busy(client, pids):
    """Kill a worker as soon as results of others are there."""
    while len(client.processing()) == 0 or not any(client.processing().values()):
        time.sleep(0.01)
    while sum(map(len, client.has_what().values())) < 6:
        time.sleep(0.01)
    os.kill(min(pids.values()), signal.SIGKILL)


STEPS = {"hidden_sizes": (16, 6, 6), "num_layers": 1, "lr": 0.01, "max_epochs": 7}
STEPS |= {"patience": None, "validation_fraction": None, "dropout": 0.0, "random_state": 0}
LAUNCHED = """
    import json, sys
    import numpy as np, torch
    from accelerate import Accelerator
    from sk_mer import MTEClassifier
    from sk_mer.datasets import make_multimodal_emotions
    torch.set_num_threads(1)
    accelerator = Accelerator(cpu=True)
    assert accelerator.num_processes == 2
    path, steps = sys.argv[1], json.loads(sys.argv[2])

    def fitted(n, rows, **settings):
        data = make_multimodal_emotions(n, noise=0.5, random_state=0)
        settings["net_params"] = {"accelerator": accelerator}
        model = MTEClassifier(
            label_vectors=data.label_vectors, batch_size=16, **settings
        ).fit(data.X[:rows], data.y[data.seen][:rows])
        return model, [epoch["train_loss"] for epoch in model.history_]

    # No batch of two equal shares.
    settings = {"hidden_sizes": (16, 12, 8), "lr": 0.01, "max_epochs": 6, "random_state": 0}
    model, uneven = fitted(240, 237, **settings)
    state = model.net_.module_.state_dict()
    flat = torch.cat([w.double().ravel() for w in state.values()])
    both = accelerator.gather(flat[None])
    assert torch.equal(both[0], both[1]), "the processes went apart"
    _, shared = fitted(96, 96, **steps)
    if accelerator.is_main_process:
        model.save(path)
        print(json.dumps([uneven, shared]))
    accelerator.wait_for_everyone()
    accelerator.end_training()
"""


def test_two_processes_of_accelerate(emotions, tmp_path):
    """One launch: of shares that are not equal, and of the steps of twice the batch."""
    pytest.importorskip("accelerate", reason="needs the accelerate extra")
    path, script = tmp_path / "model", tmp_path / "script.py"
    script.write_text(textwrap.dedent(LAUNCHED))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc_per_node=2", str(script), str(path), json.dumps(STEPS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    uneven, shared = json.loads(done.stdout.splitlines()[-1])
    learned(emotions, uneven, MTEClassifier.load(path))
    data = make_multimodal_emotions(96, noise=0.5, random_state=0)
    alone = MTEClassifier(label_vectors=data.label_vectors, batch_size=32, **STEPS)
    alone.fit(data.X, data.y[data.seen])
    expected = [epoch["train_loss"] for epoch in alone.history_]
    np.testing.assert_allclose(shared, expected, rtol=1e-5)  # 21 steps


def learned(emotions, losses, model):
    assert len(losses) == 6
    assert losses[-1] < 0.9 * losses[0]
    truth = emotions.y[emotions.seen].to_numpy()
    proba = model.predict_proba(emotions.X)
    assert proba[truth == 1].mean() > proba[truth == 0].mean() + 0.1


def test_one_process_of_accelerate_trains_as_without(emotions, mte):
    accelerate = pytest.importorskip("accelerate", reason="needs the accelerate extra")
    y = emotions.y[emotions.seen]
    plain = mte.fit(emotions.X, y).predict_proba(emotions.X)
    mte.set_params(net_params={"accelerator": accelerate.Accelerator(cpu=True)})
    found = mte.fit(emotions.X, y).predict_proba(emotions.X)
    np.testing.assert_allclose(found, plain, rtol=1e-4, atol=1e-6)
    assert not hasattr(mte.net_, "accelerator")


WITHOUT = """
    import pickle, sys
    sys.modules["accelerate"] = None
    model = pickle.load(open(sys.argv[1], "rb"))
    print(type(model).__name__, model.net_params, *model.modality_weights_)
"""


def test_a_pickle_opens_without_accelerate(emotions, mte, tmp_path):
    accelerate = pytest.importorskip("accelerate", reason="needs the accelerate extra")
    rate = {"optimizer__weight_decay": 0.1}
    accelerator = accelerate.Accelerator(cpu=True)
    mte.set_params(net_params={"accelerator": accelerator, **rate}, max_epochs=1)
    mte.fit(emotions.X, emotions.y[emotions.seen])
    (tmp_path / "model").write_bytes(pickle.dumps(mte))
    assert mte.net_params["accelerator"] is accelerator
    command = [sys.executable, "-c", textwrap.dedent(WITHOUT), str(tmp_path / "model")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip() == f"MTEClassifier {rate} text audio vision"


def test_accelerate_missing_is_one_sentence(emotions, mte, monkeypatch):
    class One:
        num_processes = 1
        device_placement = False

        def prepare(self, what):
            return what

    def refuse(name):
        raise ImportError(name)

    monkeypatch.setattr("importlib.import_module", refuse)
    mte.set_params(net_params={"accelerator": One()})
    with pytest.raises(ImportError, match=r"pip install 'sk-mer\[accelerate\]'"):
        mte.fit(emotions.X, emotions.y[emotions.seen])


def test_processes_need_a_seed(emotions, mte):
    class Two:
        num_processes = 2

    mte.set_params(random_state=None, net_params={"accelerator": Two()})
    with pytest.raises(ValueError, match="must draw the same validation rows"):
        mte.fit(emotions.X, emotions.y[emotions.seen])


def test_workers_that_read_files_first(tmp_path, emotions, mte, y):
    """joblib would take a worker that loads torch after its first task for a leak."""
    (tmp_path / "faces.csv").write_text("AU01_r,AU02_r\n1,2\n3,4\n")
    files = [tmp_path / "faces.csv"] * 4
    get_reusable_executor().shutdown()
    ActionUnitSequences(n_jobs=2).fit_transform(files)
    mte.set_params(label_vectors=None)
    with warnings.catch_warnings(record=True) as said:  # as an error it would hang joblib
        warnings.simplefilter("always")
        search(mte, n_jobs=2).fit(emotions.X, y)
    assert not [w for w in said if "worker stopped" in str(w.message)]
