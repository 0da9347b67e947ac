"""Pseudo-labels: what is taken over, what is fitted on, and what stays known."""

from __future__ import annotations

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from sk_mer import PooledLinearClassifier, PseudoLabelClassifier
from sk_mer.metrics import roc_auc_scorer
from sk_mer.preprocessing import MultimodalScaler

from .systems import CLASSES, DATA, LABELS, X, make, with_holes

same = np.testing.assert_array_equal
HALF = np.arange(96) % 2 == 1
CODES = np.searchsorted(np.unique(CLASSES), CLASSES)
FEW = LABELS.astype(float).mask(np.repeat(~HALF[:, None], LABELS.shape[1], axis=1))


def linear(**more):
    return PooledLinearClassifier(C=0.1, **more)


@parametrize_with_checks([PseudoLabelClassifier(linear())])
def test_sklearn_check(estimator, check):
    check(estimator)


def test_columns_are_filled_cell_by_cell():
    few = FEW.copy()
    few.iloc[1, 0] = np.nan  # of a row that tells about other labels
    model = PseudoLabelClassifier(linear(), threshold=0.8, max_rounds=1).fit(X, few)
    told = few.notna().any(axis=1).to_numpy()
    first = linear().fit(X[np.flatnonzero(told)], few[told])
    proba, unknown = first.predict_proba(X), few.isna().to_numpy()
    expected = few.to_numpy().copy()
    expected[unknown & (proba >= 0.8)] = 1
    expected[unknown & (proba <= 0.2)] = 0
    same(model.transduction_, expected)
    found = unknown & ~np.isnan(expected)
    assert model.n_pseudo_labels_ == found.sum() > 0
    assert model.n_rounds_ == 1
    kept = np.flatnonzero(~np.isnan(expected).all(axis=1))
    table = FEW.iloc[kept].copy()
    table.iloc[:, :] = expected[kept]
    same(model.predict_proba(X), linear().fit(X[kept], table).predict_proba(X))


@pytest.mark.parametrize("kind", ["words", "codes"])
def test_classes_are_filled_row_by_row(kind):
    y = CLASSES.astype(object) if kind == "words" else CODES.copy()
    y[~HALF] = -1
    model = PseudoLabelClassifier(linear(), threshold=0.7, max_rounds=1).fit(X, y)
    first = linear().fit(X[HALF], (CLASSES if kind == "words" else CODES)[HALF])
    proba = first.predict_proba(X)
    sure = ~HALF & (proba.max(axis=1) >= 0.7)
    expected = np.where(HALF, y, -1)
    expected[sure] = first.classes_[proba.argmax(axis=1)[sure]]
    same(model.transduction_, expected)
    assert model.n_pseudo_labels_ == sure.sum() > 0
    assert set(model.classes_) == set(CLASSES if kind == "words" else CODES)
    kept = np.flatnonzero(expected != -1)
    labels = expected[kept].astype(str) if kind == "words" else expected[kept].astype(int)
    same(model.predict(X), linear().fit(X[kept], labels).predict(X))


def test_rounds():
    one, three, all_of_them = (
        PseudoLabelClassifier(linear(), threshold=0.8, max_rounds=n).fit(X, FEW)
        for n in (1, 3, None)
    )
    assert one.n_rounds_ == 1 < three.n_rounds_ <= 3
    assert one.n_pseudo_labels_ < three.n_pseudo_labels_ <= all_of_them.n_pseudo_labels_
    proba = all_of_them.predict_proba(X)
    unknown = np.isnan(all_of_them.transduction_)
    assert ((proba > 0.2) & (proba < 0.8))[unknown].all()
    none = PseudoLabelClassifier(linear(), threshold=1.0).fit(X, FEW)
    assert none.n_rounds_ == none.n_pseudo_labels_ == 0
    known = np.flatnonzero(HALF)
    same(none.predict_proba(X), linear().fit(X[known], FEW.iloc[known]).predict_proba(X))


def test_without_gaps_it_is_the_estimator():
    model = PseudoLabelClassifier(linear()).fit(X, LABELS)
    assert model.n_rounds_ == 0
    same(model.predict_proba(X), linear().fit(X, LABELS).predict_proba(X))


def test_they_help_where_labels_are_few():
    few = LABELS.astype(float).mask(np.repeat(np.arange(96)[:, None] >= 16, 4, axis=1))
    model = PseudoLabelClassifier(linear(), threshold=0.6, max_rounds=5)
    model.fit(X[:64], few[:64])
    assert roc_auc_scorer(model, X[64:], LABELS[64:]) > 0.85


def seen_rows():
    """What the fits of a system were given."""
    given = []

    class Watching(type(make("LFLSTMClassifier"))):
        def fit(self, X, y, *, sample_weight=None, groups=None, X_val=None, y_val=None):
            given.append((X, y, sample_weight, groups, X_val, y_val))
            more = {"sample_weight": sample_weight, "groups": groups}
            return super().fit(X, y, **more, X_val=X_val, y_val=y_val)

    return Watching, given


def test_validation_rows_had_labels_from_the_start():
    watching, given = seen_rows()
    settings = {**make("LFLSTMClassifier").get_params(), "validation_fraction": 0.25}
    groups = np.arange(96) // 4
    model = PseudoLabelClassifier(watching(**settings), threshold=0.55, max_rounds=2)
    model.fit(X.with_groups(groups), FEW, sample_weight=np.arange(96) + 1.0)
    assert len(given) == model.n_rounds_ + 1 > 1
    for X_fit, y_fit, weights, by, X_val, y_val in given:
        assert y_val.notna().all(axis=None)
        assert len(X_val) == len(y_val) == len(given[0][4])
        assert not set(X_fit.groups) & set(X_val.groups) - set(groups[~HALF])
        assert y_fit.notna().any(axis=1).all()
        same(weights, y_fit.index + 1.0)
        assert by is None
        assert not set(y_fit.index) & set(y_val.index)
    assert len(given[1][0]) > len(given[0][0])


def test_a_validation_set_of_ones_own():
    watching, given = seen_rows()
    settings = {**make("LFLSTMClassifier").get_params(), "validation_fraction": 0.25}
    model = PseudoLabelClassifier(watching(**settings), threshold=0.55, max_rounds=1)
    model.fit(X[:64], FEW[:64], groups=np.arange(64), X_val=X[64:], y_val=LABELS[64:])
    for X_fit, y_fit, _, by, X_val, _ in given:
        assert len(X_val) == 32
        same(by, y_fit.index)
        assert len(X_fit) == len(y_fit)


def test_around_a_system_that_reads_unlabelled_rows():
    y = np.where(HALF, CODES, -1)
    inner = make("CMDMClassifier", max_epochs=1)
    model = PseudoLabelClassifier(inner, threshold=1.0).fit(X, y)
    same(model.predict_proba(X), clone(inner).fit(X, y).predict_proba(X))
    inner.set_params(max_epochs=8, lr=0.02)
    filled = PseudoLabelClassifier(inner, threshold=0.5, max_rounds=1).fit(X, y)
    assert filled.n_pseudo_labels_ > 0


def test_new_labels_and_temporary_ones():
    inner = linear(label_vectors=DATA.label_vectors)
    seen, new = list(LABELS)[:3], list(LABELS)[3]
    model = PseudoLabelClassifier(inner, threshold=0.8).fit(X, FEW[seen])
    assert model.seen_labels_ == model.labels_ == seen
    assert model.predict_proba(X, labels=[new]).shape == (96, 1)
    assert model.set_labels([new]).labels_ == [new]
    assert model.predict(X).shape == (96, 1)
    assert model.decision_function(X).shape == (96, 1)
    assert model.reset_labels().predict(X).shape == (96, 3)
    assert (
        model.score(X, LABELS[seen])
        == (model.predict(X) == LABELS[seen]).all(axis=1).mean()
    )
    assert len(model.thresholds_) == 3
    assert list(model.predict_proba(X, as_frame=True).columns) == seen


def test_some_of_the_columns():
    chosen = list(LABELS)[:3][::-1]
    model = PseudoLabelClassifier(linear(labels=chosen), threshold=0.8).fit(X, FEW)
    assert model.labels_ == chosen
    assert np.isnan(model.transduction_[~HALF, 3]).all()
    plain = PseudoLabelClassifier(linear(), threshold=0.8).fit(X, FEW[chosen])
    same(model.predict_proba(X), plain.predict_proba(X))


def test_forms_of_utterances_and_pipelines(tmp_path):
    plain = PseudoLabelClassifier(linear(), threshold=0.8).fit(X, FEW)
    mapping = {m: [u[m] for u in X] for m in X.modalities}
    as_mapping = PseudoLabelClassifier(linear(), threshold=0.8).fit(mapping, FEW)
    same(as_mapping.predict_proba(mapping), plain.predict_proba(X))
    table = PseudoLabelClassifier(linear(modalities=X.matrix_form), threshold=0.8)
    table.fit(X.to_matrix(), FEW.to_numpy())
    np.testing.assert_allclose(table.predict_proba(X.to_matrix()), plain.predict_proba(X))
    assert table.n_features_in_ == X.to_matrix().shape[1]
    piped = PseudoLabelClassifier(
        make_pipeline(MultimodalScaler(), linear()), threshold=0.8
    )
    piped.fit(X, FEW, sample_weight=np.ones(96))
    assert piped.labels_ == list(LABELS)
    joblib.dump(piped, tmp_path / "model")
    loaded = joblib.load(tmp_path / "model")
    same(loaded.predict_proba(X), piped.predict_proba(X))
    assert loaded.n_pseudo_labels_ == piped.n_pseudo_labels_ > 0


def test_in_a_search():
    grid = {"threshold": [0.6, 0.9], "estimator__C": [1e-9, 0.1]}
    search = GridSearchCV(PseudoLabelClassifier(linear()), grid, cv=2)
    assert search.fit(X, LABELS).best_params_["estimator__C"] == 0.1


def test_utterances_without_a_step():
    holes = with_holes(2, 5)
    system = make("LFLSTMClassifier", on_empty="skip", max_epochs=1)
    model = PseudoLabelClassifier(system, threshold=0.55)
    message = r"LFLSTMClassifier answers for 46 of 48 .* set its on_empty to 'prior'"
    few = FEW.copy()
    few.iloc[5] = np.nan
    few.iloc[0] = LABELS.iloc[0]
    with pytest.raises(ValueError, match=message):
        model.fit(holes, few)
    assert not hasattr(model, "estimator_")
    assert not hasattr(model, "labels_")


def test_what_the_estimator_does_not_take():
    neighbours = PseudoLabelClassifier(KNeighborsClassifier())
    with pytest.raises(
        ValueError, match="sample_weight was given, but KNeighborsClassifier"
    ):
        neighbours.fit(X.to_matrix(), CODES, sample_weight=np.ones(96))
    system = make_pipeline(MultimodalScaler(), make("LFLSTMClassifier"))
    with pytest.raises(
        ValueError, match=r"would read a validation set without its first st"
    ):
        PseudoLabelClassifier(system).fit(X, FEW, X_val=X, y_val=LABELS)
    with pytest.raises(ValueError, match="Only one of X_val and y_val"):
        PseudoLabelClassifier(make("LFLSTMClassifier")).fit(X, FEW, X_val=X)
    for threshold in (0.4, 1.1):
        with pytest.raises(ValueError, match="'threshold' parameter of PseudoLabelClass"):
            PseudoLabelClassifier(linear(), threshold=threshold).fit(X, FEW)
