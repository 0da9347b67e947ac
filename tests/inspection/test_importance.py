"""What a score loses where a modality is shuffled between utterances."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.inspection import permutation_importance
from sklearn.metrics import make_scorer, r2_score
from sklearn.pipeline import make_pipeline

from sk_mer import MultimodalArray, PooledLinearClassifier, PooledLinearRegressor
from sk_mer.inspection import modality_importance
from sk_mer.inspection._importance import _shuffled
from sk_mer.metrics import roc_auc_scorer, weighted_accuracy_scorer
from sk_mer.preprocessing import MultimodalScaler

from ..systems import CLASSES, EVERY, LABELS, X, fitted, targets, without


@pytest.fixture(scope="module")
def spoken():
    """Numbers of which text knows most, audio some and vision nothing."""
    rng = np.random.default_rng(0)
    table = rng.normal(size=(300, 3))
    y = table[:, 0] + 0.3 * table[:, 1]
    names = ("text", "audio", "vision")
    return MultimodalArray({n: table[:, [k]] for k, n in enumerate(names)}), table, y


def test_it_is_what_scikit_learn_finds_for_columns(spoken):
    A, table, y = spoken

    class Columns(BaseEstimator):
        def fit(self, X, y):
            return self

        def __sklearn_is_fitted__(self):
            return True

        def predict(self, X):
            X = X if isinstance(X, np.ndarray) else X.to_matrix()[:, 1::2]
            return X[:, 0] + 0.3 * X[:, 1]

    scoring = make_scorer(r2_score)
    expected = permutation_importance(
        Columns(), table, y, scoring=scoring, n_repeats=30, random_state=0
    )
    found = modality_importance(
        Columns(), A, y, scoring=scoring, n_repeats=30, random_state=0
    )
    np.testing.assert_allclose(found.importances_mean, expected.importances_mean, atol=0.05)
    np.testing.assert_array_equal(found.importances_mean, found.importances.mean(axis=1))
    np.testing.assert_array_equal(found.importances_std, found.importances.std(axis=1))
    assert found.importances_mean[2] == pytest.approx(0, abs=1e-12)


def test_a_regressor(spoken):
    A, _, y = spoken
    estimator = PooledLinearRegressor(alpha=1.0).fit(A[:200], y[:200])
    found = modality_importance(estimator, A[200:], y[200:], random_state=0)
    text, audio, vision = found.table["mean"]
    assert text > 1 > audio > 0.05 > abs(vision)


@EVERY
def test_every_system(name):
    y = targets(name)
    found = modality_importance(fitted(name), X, y, n_repeats=1, random_state=0)
    assert found.modalities == list(X.modalities) == list(found.table.index)
    assert np.isfinite(found.importances).all()
    assert all(0.3 < share <= 1 for share in found.moved.values())


def test_scorers_weights_and_pipelines():
    pipeline = make_pipeline(MultimodalScaler(), PooledLinearClassifier(C=0.01))
    pipeline.fit(X, LABELS)
    given = {name: [u[name] for u in X] for name in X.modalities}
    settings = {"n_repeats": 2, "random_state": 1, "scoring": roc_auc_scorer}
    found = modality_importance(pipeline, X, LABELS, **settings)
    again = modality_importance(pipeline, given, LABELS, **settings)
    np.testing.assert_array_equal(found.importances, again.importances)
    assert found.table["mean"].max() > 0
    weights = np.arange(96) % 2.0
    weighed = modality_importance(
        pipeline, X, LABELS, sample_weight=weights, scoring=weighted_accuracy_scorer
    )
    assert weighed.importances.shape == (3, 5)
    classes = modality_importance(fitted("LFLSTMClassifier", "classes"), X, CLASSES)
    assert isinstance(classes.table, pd.DataFrame)


def test_who_gets_whose():
    rng = np.random.RandomState(0)
    lengths = np.array([0, 3, 3, 5, 0, 5, 7])
    for _ in range(9):
        rows = _shuffled(lengths, rng, same_steps=False)
        assert sorted(rows) == list(range(7))
        assert rows[[0, 4]].tolist() == [0, 4]
        same = _shuffled(lengths, rng, same_steps=True)
        np.testing.assert_array_equal(lengths[same], lengths)
    assert len({tuple(_shuffled(lengths, rng, same_steps=False)) for _ in range(9)}) > 1


def test_no_utterance_loses_its_last_modality():
    rest = without("vision", *range(1, 96), X=without("audio", *range(48)))
    found = modality_importance(fitted("MTEClassifier"), rest, LABELS, random_state=0)
    assert found.importances[2].tolist() == [0] * 5
    assert found.moved["vision"] == 0
    assert 0.3 < found.moved["audio"] <= 0.5


def test_errors():
    with pytest.raises(TypeError, match="X is a ndarray; expected a MultimodalArray"):
        modality_importance(fitted("MTEClassifier"), np.eye(3), [1, 2, 3])
    with pytest.raises(ValueError, match="n_repeats=0 was given; expected 1 or more"):
        modality_importance(fitted("MTEClassifier"), X, LABELS, n_repeats=0)
