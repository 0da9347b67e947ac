"""Models that travel: joblib and save/load, in a new process, bit for bit."""

import subprocess
import sys

import joblib
import numpy as np
import pytest
import torch
from gensim.models import KeyedVectors

import sk_mer
from sk_mer import EFLSTMClassifier, LFLSTMClassifier, MTEClassifier
from sk_mer.models import mte as mte_module

from ..conftest import SMALL, encoder_size, with_vectors

PREDICT = """
import sys, joblib, numpy as np, torch, sk_mer
torch.set_num_threads(1)
data, *paths = sys.argv[1:]
X = joblib.load(data)
for path in paths:
    model = joblib.load(path) if path.endswith("joblib") else sk_mer.load(path)
    np.save(path + ".npy", model.predict_proba(X))
"""


def test_round_trip(aligned, tmp_path):
    expected = {}
    for system in (MTEClassifier, EFLSTMClassifier, LFLSTMClassifier):
        own = with_vectors(system, aligned.label_vectors)
        model = system(**encoder_size(system, (16, 6, 5)), **own, **SMALL)
        model.fit(aligned.X, aligned.y[aligned.seen])
        if system is MTEClassifier:
            model.set_labels([*aligned.unseen, "happy"])
        path = str(tmp_path / system.__name__)
        joblib.dump(model, f"{path}.joblib")
        model.save(f"{path}.safetensors")
        proba = model.predict_proba(aligned.X)
        expected |= {f"{path}.{suffix}": proba for suffix in ("joblib", "safetensors")}
    joblib.dump(aligned.X, tmp_path / "data")
    command = [sys.executable, "-c", PREDICT, tmp_path / "data", *expected]
    subprocess.run(command, check=True)
    for path, proba in expected.items():
        np.testing.assert_array_equal(np.load(f"{path}.npy"), proba)


@pytest.mark.parametrize("how", ["joblib", "save"])
def test_everything_is_kept(emotions, mte, tmp_path, how):
    mte.set_params(threshold="tune", random_state=3)
    mte.fit(emotions.X, emotions.y[emotions.seen]).set_labels(["excited", "happy"])
    if how == "joblib":
        joblib.dump(mte, tmp_path / "m")
        again = joblib.load(tmp_path / "m")
    else:
        mte.save(tmp_path / "m")
        again = MTEClassifier.load(tmp_path / "m")
    assert again.labels_ == ["excited", "happy"]
    np.testing.assert_array_equal(again.thresholds_, mte.thresholds_)
    assert again.history_ == mte.history_
    assert again.modality_weights_ == mte.modality_weights_
    params, expected = again.get_params(), mte.get_params()
    vectors, expected_vectors = params.pop("label_vectors"), expected.pop("label_vectors")
    assert params == expected
    np.testing.assert_equal(vectors, expected_vectors)
    again.reset_labels(), mte.reset_labels()
    np.testing.assert_array_equal(again.predict(emotions.X), mte.predict(emotions.X))
    again.set_labels(["frustrated"])
    again.fit(emotions.X, emotions.y[emotions.seen])


def test_learned_vectors(emotions, tmp_path):
    model = MTEClassifier(hidden_sizes=(8, 8, 8), **SMALL)
    names = np.array(["yes", "no"])[emotions.y["happy"]]
    model.fit(emotions.X, names).set_labels(["yes"])
    model.save(tmp_path / "m")
    again = sk_mer.load(tmp_path / "m").reset_labels()
    assert list(again.classes_) == ["no", "yes"]
    np.testing.assert_array_equal(
        again.predict(emotions.X), model.reset_labels().predict(emotions.X)
    )


def test_single_precision_classes_and_matrix(rng, tmp_path):
    X = rng.normal(size=(40, 3))
    model = MTEClassifier(hidden_sizes=4, labels=None, **SMALL).fit(X, np.arange(40) % 3)
    model.save(tmp_path / "m")
    again = sk_mer.load(tmp_path / "m")
    assert again.n_features_in_ == 3
    assert again.classes_.dtype == model.classes_.dtype
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


def test_size_is_free_of_training_data(emotions, mte, tmp_path):
    sizes = []
    for rows in (120, 240):
        mte.fit(emotions.X[:rows], emotions.y[emotions.seen][:rows])
        n_weights = sum(p.numel() for p in mte.net_.module_.parameters())
        joblib.dump(mte, tmp_path / "joblib")
        mte.save(tmp_path / "save")
        sizes.append([(tmp_path / name).stat().st_size for name in ("joblib", "save")])
        # Four bytes a weight, once, and some tens of kilobytes of everything else.
        assert max(sizes[-1]) < 4 * n_weights + 60_000
    np.testing.assert_allclose(sizes[0], sizes[1], atol=2_000)


def test_what_cannot_be_saved_is_told(emotions, mte, tmp_path):
    keyed = KeyedVectors(16)
    keyed.add_vectors(
        list(emotions.label_vectors), np.stack(list(emotions.label_vectors.values()))
    )
    mte.set_params(label_vectors=keyed).fit(emotions.X, emotions.y[emotions.seen])
    with pytest.warns(UserWarning, match="KeyedVectors and was not saved"):
        mte.save(tmp_path / "m")
    again = sk_mer.load(tmp_path / "m")
    np.testing.assert_array_equal(again.predict(emotions.X), mte.predict(emotions.X))
    with pytest.raises(ValueError, match="No vector for 'excited'"):
        again.set_labels(["excited"])
    sk_mer.load(tmp_path / "m", label_vectors=keyed).set_labels(["excited"])

    mte.set_params(
        label_vectors=emotions.label_vectors,
        net_params={"optimizer__eps": 1e-7, "optimizer": torch.optim.AdamW},
        random_state=np.random.RandomState(0),
    ).fit(emotions.X, emotions.y[emotions.seen])
    with (
        pytest.warns(UserWarning, match="random_state holds a RandomState"),
        pytest.warns(UserWarning, match=r"net_params\['optimizer'\] was not saved"),
    ):
        mte.save(tmp_path / "m")
    again = sk_mer.load(tmp_path / "m")
    assert again.net_params == {"optimizer__eps": 1e-7}
    assert again.random_state is None
    np.testing.assert_array_equal(again.predict(emotions.X), mte.predict(emotions.X))


def test_foreign_safetensors(fitted_mte, tmp_path):
    import json

    from safetensors.torch import save_file

    save_file({"a": torch.zeros(2)}, tmp_path / "other")
    with pytest.raises(ValueError, match="not written by sk_mer"):
        sk_mer.load(tmp_path / "other")
    header = {"version": 99, "class": "MTEClassifier", "params": {}, "fitted": {}}
    save_file(
        {"a": torch.zeros(2)}, tmp_path / "newer", metadata={"sk_mer": json.dumps(header)}
    )
    with pytest.raises(ValueError, match="format version 99"):
        sk_mer.load(tmp_path / "newer")
    for name, match in (
        ("os.system", "none of those that may be read"),
        ("MTEClassifier", "damaged"),
    ):
        header.update({"version": 3, "class": name})
        save_file(
            {"a": torch.zeros(2)}, tmp_path / "odd", metadata={"sk_mer": json.dumps(header)}
        )
        with pytest.raises(ValueError, match=match):
            sk_mer.load(tmp_path / "odd")
    assert mte_module.__all__  # loading looks classes up by name in sk_mer.models only


def test_device_that_is_not_here(emotions, mte, tmp_path):
    mte.fit(emotions.X, emotions.y[emotions.seen])
    mte.set_params(device="cuda:77").save(tmp_path / "m")
    with pytest.warns(UserWarning, match="device='cuda:77', which is not to be had here"):
        again = sk_mer.load(tmp_path / "m")
    assert again.device == "cpu"
    assert again.predict(emotions.X[:2]).shape == (2, 6)


def test_global_random_state_is_untouched(aligned, tmp_path):
    model = EFLSTMClassifier(hidden_size=4, unseen_labels="random", **SMALL)
    model.fit(aligned.X, aligned.y[aligned.seen]).save(tmp_path / "m")
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    sk_mer.load(tmp_path / "m").set_labels(["happy", "excited"])
    assert torch.equal(torch.rand(2), expected)
