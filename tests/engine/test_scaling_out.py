"""Larger jobs on existing engines: joblib's workers, dask, Accelerate."""

import subprocess
import sys
import textwrap
import warnings

import joblib
import numpy as np
import pytest
import torch
from joblib.externals.loky import get_reusable_executor
from sklearn.model_selection import GridSearchCV

from sk_mer import MTEClassifier, MultimodalArray
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
    distributed = pytest.importorskip("distributed", reason="needs the dask extra")
    sent = []
    plain = MultimodalArray.__reduce_ex__
    monkeypatch.setattr(
        MultimodalArray, "__reduce_ex__", lambda X, p: sent.append(len(X)) or plain(X, p)
    )
    mte.set_params(label_vectors=None)
    expected = search(mte).fit(emotions.X, y).cv_results_["mean_test_score"]
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None
    )
    with cluster, distributed.Client(cluster), joblib.parallel_config("dask"):
        found = search(mte).fit(emotions.X, y).cv_results_["mean_test_score"]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert 1 <= len(sent) <= 2  # six tasks


LAUNCHED = """
    import sys
    import numpy as np, torch
    from accelerate import Accelerator
    from sk_mer import MTEClassifier
    from sk_mer.datasets import make_multimodal_emotions
    torch.set_num_threads(1)
    accelerator = Accelerator(cpu=True)
    assert accelerator.num_processes == 2
    data = make_multimodal_emotions(240, noise=0.5, random_state=0)
    model = MTEClassifier(
        label_vectors=data.label_vectors, hidden_sizes=(16, 12, 8), lr=0.01, batch_size=16,
        max_epochs=6, random_state=0, net_params={"accelerator": accelerator},
    ).fit(data.X, data.y[data.seen])
    state = model.net_.module_.state_dict()
    flat = torch.cat([w.double().ravel() for w in state.values()])
    both = accelerator.gather(flat[None])
    assert torch.equal(both[0], both[1]), "the processes went apart"
    losses = [epoch["train_loss"] for epoch in model.history_]
    if accelerator.is_main_process:
        model.save(sys.argv[1])
        print(len(losses), losses[0], losses[-1])
    accelerator.wait_for_everyone()
    accelerator.end_training()
"""


def test_two_processes_of_accelerate(emotions, tmp_path):
    pytest.importorskip("accelerate", reason="needs the accelerate extra")
    script, path = tmp_path / "script.py", tmp_path / "model"
    script.write_text(textwrap.dedent(LAUNCHED))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc_per_node=2", str(script), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    n_epochs, first, last = done.stdout.split()[-3:]
    assert int(n_epochs) == 6
    assert float(last) < 0.9 * float(first)
    model = MTEClassifier.load(path)
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
