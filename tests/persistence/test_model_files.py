"""Files of models that a stranger wrote: nothing runs, nothing else is opened."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

import sk_mer
from sk_mer import EFLSTMClassifier, LFLSTMClassifier, MTEClassifier
from sk_mer import models as systems
from sk_mer.persistence.model_header import FITTED

from .. import hostile_headers, points_to
from ..conftest import TINY, tiny_fit, tiny_settings
from ..hostile_headers import params


class Runs:
    """Unpickling it makes a file."""

    def __init__(self, mark):
        self.mark = str(mark)

    def __reduce__(self):
        return os.mkdir, (self.mark,)


@pytest.fixture
def kv(tmp_path, monkeypatch):
    """A ``.kv`` file that makes ``ran`` when it is opened, by a relative name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "glove.kv").write_bytes(pickle.dumps(Runs(tmp_path / "ran")))
    return tmp_path / "ran"


def test_no_named_file_is_opened(load_changed, tiny, kv):
    def name_a_file(header, tensors):
        names = header["params"]["label_vectors"]["mapping"]
        for _, where in names:
            del tensors[where["tensor"]]
        header["params"]["label_vectors"] = "glove.kv"

    message = (
        r"^The file names 'glove\.kv' as its source of label vectors; it was not opened: "
        r"give load\(path, label_vectors=\.\.\.\) to ask for further labels\.$"
    )
    with pytest.warns(UserWarning, match=message) as caught:
        model = load_changed(name_a_file)
    assert len(caught) == 1
    assert points_to(caught[0], "conftest.py")  # its caller
    assert model.label_vectors == {}
    assert model.predict(tiny.X[:2]).shape == (2, 6)
    with pytest.raises(ValueError, match="No vector for 'proud'"):
        model.set_labels(["proud"])
    y = tiny.y[tiny.seen].assign(proud=tiny.y[tiny.seen[0]])
    with pytest.raises(ValueError, match="No vector for 'proud'"):
        model.partial_fit(tiny.X, y)
    given = load_changed(name_a_file, label_vectors={"proud": np.ones(16)})
    assert given.set_labels(["proud"]).predict(tiny.X[:2]).shape == (2, 1)
    assert not kv.exists()


def test_no_string_of_a_header_is_opened(load_changed, saved_tiny, tiny, kv):
    strings = [n for n, v in saved_tiny[0]["params"].items() if isinstance(v, str)]
    assert {"device", "padding", "pos_weight", "precision"} <= set(strings)
    for name in [*strings, "labels", "modalities", "random_state", "threshold"]:
        change = params(**{name: "glove.kv"})
        if name == "device":
            with pytest.warns(
                UserWarning, match="device='glove.kv', which is not to be had"
            ):
                load_changed(change)
        else:
            with pytest.raises(ValueError, match=f"'{name}' parameter of MTEClassifier"):
                load_changed(change)
    assert not kv.exists()


def test_a_path_is_kept_by_save_only(tiny, tmp_path):
    lines = [f"{w} {' '.join(map(str, v))}" for w, v in tiny.label_vectors.items()]
    (tmp_path / "glove.txt").write_text("\n".join(lines))
    for source in (tmp_path / "glove.txt", str(tmp_path / "glove.txt")):
        model = MTEClassifier(label_vectors=source, **TINY)
        model.fit(tiny.X, tiny.y[tiny.seen]).save(tmp_path / "m")
        with pytest.warns(UserWarning, match=r"names '.*glove\.txt' as its source"):
            again = sk_mer.load(tmp_path / "m")
        np.testing.assert_array_equal(again.predict(tiny.X), model.predict(tiny.X))
        again = MTEClassifier.load(tmp_path / "m", label_vectors=source)
        again.set_labels(tiny.unseen)


def test_no_program_is_chosen(load_changed, tiny, tiny_model, monkeypatch):
    """torch.compile would run the compiler that its options name."""
    monkeypatch.setattr(torch, "compile", None)
    options = {"mapping": [["cpp.cxx", {"tuple": [None, "./glove.kv"]}]]}
    settings = [
        *(["compile", True], ["compile__options", options], ["optimizer", "SGD"]),
        *(["callbacks", [1]], ["callbacks__print_log__sink", "print"], ["criterion", 1]),
        *(
            ["optimizer__eps", 1e-7],
            ["callbacks__valid_loss__lower_is_better", True],
            ["batch_size", 8],
        ),
        *(["criterion__reduction", "sum"], ["iterator_valid__batch_size", 2], [3, 4]),
        *(["iterator_train__collate_fn", 1], ["lr", 0.5], ["optimizer__betas", [0.5, 0.9]]),
        *(["callbacks__print_log__floatfmt", {"mapping": []}], ["lr__x", 1]),
    ]
    with pytest.warns(UserWarning, match=r"^net_params\[") as caught:
        found = load_changed(params(net_params={"mapping": settings}))
    assert found.net_params == {
        "optimizer__eps": 1e-7,
        "callbacks__valid_loss__lower_is_better": True,
        "criterion__reduction": "sum",
        "iterator_valid__batch_size": 2,
        "optimizer__betas": [0.5, 0.9],
    }
    assert str(caught[0].message) == (
        "net_params['compile'] was left out, because a file may not say which code runs; "
        "give it again with set_params to train on with it."
    )
    assert len(caught) == len(settings) - len(found.net_params)
    assert {str(warning.message) for warning in caught} >= {
        f"net_params[{name!r}] was left out, because {name} is a parameter of the "
        f"estimator itself; set it with set_params({name}=...)."
        for name in ("batch_size", "lr")
    }
    np.testing.assert_array_equal(found.predict(tiny.X), tiny_model.predict(tiny.X))


def test_what_a_header_lacks_is_the_default(load_changed):
    def drop(header, tensors):
        for _, where in header["params"].pop("label_vectors")["mapping"]:
            del tensors[where["tensor"]]
        del header["params"]["verbose"], header["params"]["net_params"]

    model = load_changed(drop)
    assert (model.label_vectors, model.verbose, model.net_params) == (None, 0, None)


def test_settings_that_are_not_plain_are_not_saved(tiny, tmp_path):
    model = tiny_fit(tiny, net_params={"optimizer__eps": 1e-7})
    model.net_params = {**model.net_params, "compile": True, "lr": 0.1}
    with pytest.warns(
        UserWarning, match=r"^net_params\['(compile|lr)'\] was not saved, because"
    ) as caught:
        model.save(tmp_path / "m")
    assert len(caught) == 2
    header, _ = hostile_headers.read_model(tmp_path / "m")
    assert header["params"]["net_params"] == {"mapping": [["optimizer__eps", 1e-7]]}


@pytest.mark.parametrize("name", ["mte", "MTEModule", "__all__", "layers", "", None, ["a"]])
def test_only_estimators_are_made(load_changed, name):
    message = rf"its class {name!r} is none of those that may be read here: \w+Classifier, "
    with pytest.raises(ValueError, match=message.replace("[", r"\[")):
        load_changed(lambda header, _: header.update({"class": name}))
    assert hasattr(systems, "mte")  # a name of the package, and no estimator


def test_files_that_are_no_models(tmp_path, tiny):
    with pytest.raises(
        FileNotFoundError, match=r"^No file at '.*nothing'; give one that sav"
    ):
        sk_mer.load(tmp_path / "nothing")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(ValueError, match="is a pipe, a device or a folder"):
            sk_mer.load(path)
    (tmp_path / "noise").write_bytes(b"noise" * 100)
    with pytest.raises(ValueError, match=r"^noise is damaged .* \(SafetensorError\); save"):
        sk_mer.load(tmp_path / "noise")
    save_file({"a": torch.ones(1)}, tmp_path / "other", metadata={"by": "others"})
    with pytest.raises(
        ValueError, match=r"its metadata is \['by'\], expected an entry 'sk_m"
    ):
        MTEClassifier.load(tmp_path / "other")


def test_a_model_can_be_saved_over_itself(tiny, tmp_path):
    path = tmp_path / "m"
    tiny_fit(tiny).save(path)
    model = sk_mer.load(path)
    expected = model._rows.copy()
    path.write_bytes(bytes(path.stat().st_size))
    np.testing.assert_array_equal(model._rows, expected)
    model.save(path)
    np.testing.assert_array_equal(sk_mer.load(path)._rows, expected)


@pytest.mark.parametrize("system", [MTEClassifier, EFLSTMClassifier, LFLSTMClassifier])
def test_weights_reach_torch_own_kernel(tiny, tmp_path, monkeypatch, system):
    """``nn.LSTM`` keeps a list of its weights, which has to be that of the file."""
    model = tiny_fit(tiny, system, num_layers=2)
    model.save(tmp_path / "m")
    monkeypatch.setattr(
        "sk_mer.models.layers.recurrent.has_fast_kernel", lambda steps: False
    )
    again = sk_mer.load(tmp_path / "m")
    np.testing.assert_array_equal(again.predict_proba(tiny.X), model.predict_proba(tiny.X))
    assert {w.device.type for w in again.net_.module_.parameters()} == {"cpu"}
    trained = [w.requires_grad for w in again.net_.module_.parameters()]
    assert trained == [w.requires_grad for w in model.net_.module_.parameters()]


@pytest.mark.parametrize("device", ["meta", "mps:0", "not a device", "privateuseone"])
def test_devices_that_do_not_compute(load_changed, tiny, device):
    if device == "mps:0" and torch.backends.mps.is_available():
        pytest.skip("there is such a device here")
    with pytest.warns(
        UserWarning, match=rf"device='{device}', which is not to be had here"
    ):
        model = load_changed(params(device=device))
    assert model.device == "cpu"
    assert model.predict(tiny.X[:2]).shape == (2, 6)


def test_precision_that_is_not_here(load_changed, monkeypatch):
    monkeypatch.setattr("sk_mer.engine.devices.has_bf16", lambda device: False)
    message = (
        r"^The model was saved with precision='bf16', which .*; it is loaded with preci"
    )
    with pytest.warns(UserWarning, match=message):
        assert load_changed(params(precision="bf16")).precision == "fp32"


@pytest.mark.parametrize("system", [MTEClassifier, EFLSTMClassifier, LFLSTMClassifier])
def test_every_attribute_has_a_check(tiny, system):
    """A new one belongs into FITTED, or it is lost with a saved model."""
    model = system(**tiny_settings(system, tiny), memory_size=4)
    if system is not MTEClassifier:
        model.set_params(unseen_labels="random")
    table = pd.DataFrame(np.eye(40)).add_prefix("column")
    for X in (tiny.X, table):
        model.fit(X, tiny.y[tiny.seen])
        model.partial_fit(X, tiny.y[tiny.seen]).set_labels(tiny.unseen)
    left = set(vars(model)) - set(model.get_params()) - {"net_", "memory_"}
    assert left <= set(FITTED)
    assert {"feature_names_in_", "continual_report_", "_rows"} <= left


def test_names_of_columns_are_kept(tiny, tmp_path):
    table = pd.DataFrame(np.eye(40)).add_prefix("column")
    model = EFLSTMClassifier(**tiny_settings(EFLSTMClassifier)).fit(
        table, np.arange(40) % 2
    )
    model.save(tmp_path / "m")
    again = sk_mer.load(tmp_path / "m")
    assert again.feature_names_in_.tolist() == list(table.columns)
    np.testing.assert_array_equal(again.predict(table), model.predict(table))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda m: m.set_params(lr=-1.0),
            r"'lr' parameter of MTEClassifier must be a float",
        ),
        (lambda m: m.set_params(num_layers=2), r"bias_hh_l1 is none, but"),
        (
            lambda m: m.set_params(padding="none"),
            r"_n_steps is None, expected numbers by mod",
        ),
        (
            lambda m: setattr(m, "thresholds_", 0.5),
            r"thresholds_ is 0.5, expected 6 numbers",
        ),
        (
            lambda m: m.set_params(net_params=[1]),
            r"net_params is \[1\], expected a mapping",
        ),
    ],
)
def test_save_refuses_what_load_would(tiny, tmp_path, change, message):
    model = tiny_fit(tiny)
    change(model)
    frame = (
        r"^This MTEClassifier cannot be saved as it is \(.*\); set back what was changed"
    )
    with pytest.raises(ValueError, match=message) as caught:
        model.save(tmp_path / "m")
    assert caught.match(frame)
    assert not (tmp_path / "m").exists()


class Mine(MTEClassifier):
    """A user's own system."""


def test_systems_of_users_are_read_by_their_class(tiny, tmp_path):
    model = tiny_fit(tiny, Mine)
    model.save(tmp_path / "m")
    again = Mine.load(tmp_path / "m")
    assert type(again) is Mine
    np.testing.assert_array_equal(again.predict_proba(tiny.X), model.predict_proba(tiny.X))
    with pytest.raises(ValueError, match="its class 'Mine' is none of those that may be"):
        sk_mer.load(tmp_path / "m")
    with pytest.raises(ValueError, match="m holds a Mine, not a MTEClassifier; use sk_m"):
        MTEClassifier.load(tmp_path / "m")


def test_notes_on_an_estimator_are_not_saved(tiny, tmp_path):
    model = tiny_fit(tiny)
    model.note_ = "mine"
    with pytest.warns(
        UserWarning, match=r"^note_ is no attribute of fit and was not saved\.$"
    ):
        model.save(tmp_path / "m")
    assert not hasattr(sk_mer.load(tmp_path / "m"), "note_")
