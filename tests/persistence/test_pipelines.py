"""Pipelines in one file: transformers as they were fitted, and nothing else."""

import copy

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

import sk_mer
from sk_mer import LFLSTMRegressor, MTEClassifier
from sk_mer.preprocessing import MultimodalScaler, SegmentStatistics, SilenceTrimmer

from .. import hostile_headers
from ..conftest import tiny_settings
from ..systems import LABELS, NUMBERS, X, make


@pytest.fixture(scope="module")
def pipeline():
    steps = [
        ("trim", SilenceTrimmer(threshold=0.1)),
        ("scale", MultimodalScaler(modalities=["text", "audio"], handle_nonfinite="zero")),
        ("sum", SegmentStatistics(n_segments=2, statistics=["mean", "max"])),
        ("model", make("LFLSTMClassifier", max_epochs=1)),
    ]
    return Pipeline(steps).fit(X, LABELS)


@pytest.fixture
def held(pipeline, tmp_path):
    sk_mer.save(pipeline, tmp_path / "model")
    return hostile_headers.read_model(tmp_path / "model")


def test_a_pipeline_answers_as_before(pipeline, tmp_path):
    sk_mer.save(pipeline, tmp_path / "model")
    again = sk_mer.load(tmp_path / "model")
    assert [name for name, _ in again.steps] == ["trim", "scale", "sum", "model"]
    np.testing.assert_array_equal(again.predict_proba(X), pipeline.predict_proba(X))
    for (_, old), (_, new) in zip(pipeline.steps[:-1], again.steps[:-1], strict=True):
        assert type(new) is type(old)
        assert str(new.get_params()) == str(old.get_params())
        assert set(vars(new)) == set(vars(old))
    assert again["scale"].mean_["text"].dtype == np.float64


@pytest.mark.parametrize("table", [False, True])
def test_of_a_matrix(tmp_path, rng, table):
    pd = pytest.importorskip("pandas")
    matrix = rng.normal(size=(20, 3))
    matrix = pd.DataFrame(matrix, columns=["a", "b", "c"]) if table else matrix
    model = MTEClassifier(**tiny_settings(MTEClassifier))
    fitted = make_pipeline(MultimodalScaler(), model).fit(matrix, np.arange(20) % 2)
    sk_mer.save(fitted, tmp_path / "model")
    again = sk_mer.load(tmp_path / "model")
    assert again.n_features_in_ == 3
    np.testing.assert_array_equal(again.predict_proba(matrix), fitted.predict_proba(matrix))


def test_regressors_and_single_estimators(tmp_path):
    model = LFLSTMRegressor(hidden_sizes=2, num_layers=1, max_epochs=1)
    both = make_pipeline(MultimodalScaler(), model).fit(X, NUMBERS)
    for fitted in (both, both[-1], both[1:]):
        sk_mer.save(fitted, tmp_path / "model")
        again = sk_mer.load(tmp_path / "model")
        assert type(again) is type(fitted)
        np.testing.assert_array_equal(again.predict(X), fitted.predict(X))


def test_scaled_by_groups(tmp_path):
    speakers = X.with_groups(np.arange(len(X)) % 4)
    scaler = MultimodalScaler(by_groups=True, prior_utterances=1.5)
    fitted = make_pipeline(scaler, make("LFLSTMClassifier", max_epochs=1))
    proba = fitted.fit(speakers, LABELS).predict_proba(speakers)
    sk_mer.save(fitted, tmp_path / "model")
    again = sk_mer.load(tmp_path / "model")
    np.testing.assert_array_equal(again.predict_proba(speakers), proba)


def test_what_is_no_pipeline_of_ours(pipeline, tmp_path):
    path = tmp_path / "model"
    for other in (LogisticRegression(), make_pipeline(LogisticRegression()), 3):
        with pytest.raises(TypeError, match=r"expected a system of sk_mer or a Pipeline"):
            sk_mer.save(other, path)
    search = GridSearchCV(make("LFLSTMClassifier", max_epochs=1), {"lr": [0.1]}, cv=2)
    with pytest.raises(TypeError, match=r"such as its best_estimator_"):
        sk_mer.save(search.fit(X, LABELS), path)
    sk_mer.save(search.best_estimator_, path)
    with pytest.raises(NotFittedError):
        sk_mer.save(make_pipeline(MultimodalScaler(), make("LFLSTMClassifier")), path)


def test_other_steps(tmp_path):
    model = make("LFLSTMClassifier", max_epochs=1)
    fitted = make_pipeline(FunctionTransformer(), MultimodalScaler(), model).fit(X, LABELS)
    with pytest.raises(ValueError, match=r"'functiontransformer' is a Fun.*pipeline\[1:\]"):
        sk_mer.save(fitted, tmp_path / "model")
    assert not (tmp_path / "model").exists()
    sk_mer.save(fitted[1:], tmp_path / "model")
    again = sk_mer.load(tmp_path / "model")
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))


def test_parameters_of_fit_alone(pipeline, tmp_path):
    other = Pipeline(pipeline.steps, memory=str(tmp_path))
    with pytest.warns(UserWarning, match=r"^memory of the Pipeline, .*not saved"):
        sk_mer.save(other, tmp_path / "model")


def test_a_class_alone_reads_no_pipeline(pipeline, tmp_path):
    sk_mer.save(pipeline, tmp_path / "model")
    with pytest.raises(ValueError, match=r"^model holds a Pipeline, .*use sk_mer.load\.$"):
        type(pipeline[-1]).load(tmp_path / "model")


def test_what_was_changed_after_fit(tmp_path):
    model = make("LFLSTMClassifier", max_epochs=1)
    fitted = make_pipeline(MultimodalScaler(), model).fit(X, LABELS)
    fitted[0].scale_["text"][0] = 0
    with pytest.raises(ValueError, match=r"scale_ of 'text'.*set back what was changed"):
        sk_mer.save(fitted, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def step(place, **changes):
    return lambda header: header["steps"]["before"][place].update(changes)


def part(place, key, **changes):
    return lambda header: header["steps"]["before"][place][key].update(changes)


SIZES = {"mapping": [["text", 5], ["audio", 4], ["vision", 3]]}
CHANGES = [
    (lambda h: h.update(steps=[]), r"the steps of its pipeline is \[\], expected those"),
    (lambda h: h["steps"].pop("last"), r"the steps of its pipeline is .*expected those"),
    (lambda h: h["steps"].update(before=3), r"the steps of its pipeline is .*"),
    (lambda h: h["steps"].update(last="trim"), r"names of steps is .*expected each once"),
    (lambda h: h["steps"].update(last="a__b"), r"names of steps is .*expected each once"),
    (lambda h: h["steps"].update(last=3), r"names of steps is .*expected each once"),
    (lambda h: h["steps"]["before"].append(3), r"a step of its pipeline is 3"),
    (step(0, name=""), r"names of steps is"),
    (step(0, more=1), r"a step of its pipeline is"),
    (
        step(0, **{"class": "FunctionTransformer"}),
        r"the class of a step is 'FunctionTransf",
    ),
    (step(0, **{"class": ["x"]}), r"the class of a step is \['x'\]"),
    (step(0, params=[]), r"'params' of a step is \[\]"),
    (
        part(0, "params", func="os.system"),
        r"a parameter is 'func', expected one of Silence",
    ),
    (part(0, "params", column=-1), r"column is -1, expected a column"),
    (part(0, "params", column=4), r"column is 4, expected below 4"),
    (part(0, "params", threshold="x"), r"threshold is 'x'"),
    (part(0, "params", modalities=[]), r"modalities is \[\], expected names of modal"),
    (part(0, "fitted", func=1), r"what a step was fitted to is"),
    (part(0, "fitted", modalities_=["x"]), r"a modality of a step is 'x'"),
    (part(0, "fitted", modalities_=None), r"modalities_ is None, expected names"),
    (part(0, "fitted", n_features_={"mapping": []}), r"n_features_ is \{\}"),
    (part(0, "fitted", n_features_in_=0), r"n_features_in_ is 0"),
    (part(0, "fitted", feature_names_in_=["a"]), r"feature_names_in_ is \['a'\]"),
    (part(1, "params", with_mean=1), r"with_mean is 1, expected true or false"),
    (part(1, "params", handle_nonfinite="x"), r"handle_nonfinite is 'x'"),
    (part(1, "params", by_groups=1), r"by_groups is 1, expected true or false"),
    (part(1, "params", prior_utterances=-1), r"prior_utterances is -1, expected a number"),
    (part(1, "fitted", mean_={"mapping": []}), r"the modalities of mean_ is \{\}"),
    (part(1, "fitted", n_nonfinite_=SIZES), r"the modalities of n_nonfinite_"),
    (part(2, "params", n_segments=0), r"n_segments is 0"),
    (part(2, "params", statistics=["sum"]), r"statistics is 'sum'"),
    (part(2, "params", statistics=[]), r"statistics is \[\]"),
]


@pytest.mark.parametrize(("change", "message"), CHANGES)
def test_files_that_do_not_fit(held, tmp_path, change, message):
    header, tensors = copy.deepcopy(held)
    change(header)
    hostile_headers.write_model(tmp_path / "bad", header, tensors)
    with pytest.raises(ValueError, match=message) as error:
        sk_mer.load(tmp_path / "bad")
    assert str(error.value).startswith("bad is damaged or was not written by")


@pytest.mark.parametrize(
    "value", [np.zeros(5), np.full(5, np.nan), np.ones(4), np.ones(5, "f4")]
)
def test_scales_that_do_not_fit(held, tmp_path, value):
    header, tensors = copy.deepcopy(held)
    pairs = dict(header["steps"]["before"][1]["fitted"]["scale_"]["mapping"])
    tensors[pairs["text"]["tensor"]] = torch.from_numpy(value)
    hostile_headers.write_model(tmp_path / "bad", header, tensors)
    with pytest.raises(
        ValueError, match=r"scale_ of 'text' is .*expected 5 finite numbers"
    ):
        sk_mer.load(tmp_path / "bad")
