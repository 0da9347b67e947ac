"""A validation set beside a pipeline: transformed by the right route, else a warning."""

import warnings

import numpy as np
import pytest
import sklearn
from sklearn.pipeline import Pipeline

from sk_mer import MultimodalArray, _standardised
from sk_mer.preprocessing import MultimodalScaler

from .systems import LABELS, NUMBERS, X, make

ROWS, HELD = np.arange(64), np.arange(64, 96)
WARNED = pytest.warns(UserWarning, match="'audio' is standardised in X and not in X_val")


def changed(X, scale=7.0, shift=0.0):
    """X with another scale of audio."""
    rows = {name: [u[name] for u in X] for name in X.modalities}
    rows["audio"] = [row * scale + shift for row in rows["audio"]]
    return MultimodalArray(rows)


def pipeline(name="EFLSTMClassifier", **given):
    return Pipeline([("scale", MultimodalScaler()), ("model", make(name))], **given)


@pytest.mark.parametrize("change", [{"scale": 7.0}, {"scale": 1.0, "shift": 30.0}])
def test_what_was_not_transformed_is_told(change):
    data = changed(X, **change)
    given = {"model__X_val": data[HELD], "model__y_val": LABELS.iloc[HELD]}
    with WARNED:
        pipeline().fit(data[ROWS], LABELS.iloc[ROWS], **given)


def test_of_regressors_too():
    given = {"model__X_val": changed(X)[HELD], "model__y_val": NUMBERS.iloc[HELD]}
    with WARNED:
        pipeline("EFLSTMRegressor").fit(changed(X)[ROWS], NUMBERS.iloc[ROWS], **given)


def test_the_route_that_works():
    data = changed(X)
    scaler = MultimodalScaler().fit(data[ROWS])
    expected = make("EFLSTMClassifier").fit(
        scaler.transform(data[ROWS]), LABELS.iloc[ROWS],
        X_val=scaler.transform(data[HELD]), y_val=LABELS.iloc[HELD],
    )  # fmt: skip
    with sklearn.config_context(enable_metadata_routing=True):
        model = pipeline(transform_input=["X_val"])
        model["model"].set_fit_request(X_val=True, y_val=True)
        model.fit(data[ROWS], LABELS.iloc[ROWS], X_val=data[HELD], y_val=LABELS.iloc[HELD])
    losses = [[row["valid_loss"] for row in m.history_] for m in (expected, model["model"])]
    assert losses[0] == losses[1]


def test_silent_where_there_is_nothing_to_tell(monkeypatch):
    scaled = MultimodalScaler().fit_transform(X)
    assert _standardised.standardised_alone(scaled[ROWS], changed(scaled, 1.2)) is None
    assert _standardised.standardised_alone(X, changed(X)) is None  # X is not scaled
    assert _standardised.standardised_alone(scaled, changed(scaled)) == "audio"
    # Much alike: only some rows are read.
    read = []
    whole = _standardised.moments
    monkeypatch.setattr(_standardised, "_FEW", 10)
    monkeypatch.setattr(
        _standardised, "moments", lambda X, name: (read.append(len(X)), whole(X, name))[1]
    )
    assert _standardised.standardised_alone(scaled, scaled) is None
    assert max(read) < 20


def test_features_that_do_not_vary():
    flat = MultimodalArray(text=np.zeros((4, 2)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert _standardised.standardised_alone(flat, flat) is None
        mixed = MultimodalArray(text=np.array([[0, 1.0], [0, -1.0]]))
        other = MultimodalArray(text=np.array([[0, 9.0], [0, 8.0]]))
        assert _standardised.standardised_alone(mixed, other) == "text"
