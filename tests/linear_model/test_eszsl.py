"""ESZSL: the closed form, penalties chosen on labels left out, other labels, files."""

from __future__ import annotations

import json

import joblib
import numpy as np
import pytest
from safetensors.torch import load_file, safe_open, save_file
from scipy.special import expit, softmax
from sklearn.linear_model import Ridge
from sklearn.utils.estimator_checks import parametrize_with_checks

import sk_mer
from sk_mer import ESZSLClassifier
from sk_mer.linear_model._base import _dealt
from sk_mer.linear_model._eszsl_solve import Moments, chosen_penalties
from sk_mer.metrics import label_auc_score, ranking_auc

from ..systems import CLASSES, DATA, LABELS, X, answers, close, with_holes, without
from .test_pooled_linear import array, by_hand, told

same = np.testing.assert_array_equal
VECTORS = DATA.label_vectors
SEEN, NEW = list(LABELS)[:3], list(LABELS)[3]


@parametrize_with_checks([ESZSLClassifier(alpha=(1.0, 100.0), cv=2)])
def test_sklearn_check(estimator, check):
    check(estimator)


def made(**changes):
    """A model that fits in no time."""
    settings = {"alpha": 10.0, "label_alpha": 0.1, "cv": 2, "label_vectors": VECTORS}
    return ESZSLClassifier(**{**settings, **changes})


def table(names):
    return np.array([VECTORS[name] for name in names], dtype=float)


# What is learned.


def plain_scores(y, asked, alpha=10.0, label_alpha=0.1):
    """``x' V s`` with V as in the paper, of standardised features and labels."""
    Z, y, S = by_hand(X), y.to_numpy(float), table(y.columns).T
    y = (y - y.mean(axis=0)) / y.std(axis=0)
    left = np.linalg.inv(Z.T @ Z + alpha * np.eye(Z.shape[1]))
    right = np.linalg.inv(
        S @ S.T + label_alpha * (S**2).sum(axis=0).mean() * np.eye(len(S))
    )
    return Z @ left @ Z.T @ y @ S.T @ right @ table(asked).T


def scaled(scores):
    return (scores - scores.mean(axis=0)) / scores.std(axis=0)


def test_scores_are_those_of_the_closed_form():
    model = made().fit(X, LABELS[SEEN])
    for asked in (SEEN, [NEW, SEEN[1]]):
        found = model.set_labels(asked).decision_function(X)
        close(scaled(found), scaled(plain_scores(LABELS[SEEN], asked)), 1e-3, 1e-3)
        stds = found.std(axis=0)
        close(stds, stds[0])  # one slope for all
    close(by_hand(X) @ model.coef_[:, :-3].T + model.intercept_, found, 1e-3, 1e-3)


def test_a_label_is_a_weighted_sum_of_those_of_fit():
    vectors = dict(zip(SEEN, np.random.default_rng(0).normal(size=(3, 6)), strict=True))
    model = made(label_alpha=1e-9, label_vectors=vectors).fit(X, LABELS[SEEN])
    own = model.label_weights_
    close(own, np.diag(np.diag(own)))  # each stands for itself
    mixed = 0.5 * vectors[SEEN[0]] + vectors[SEEN[1]]
    weights = model.set_labels({"mixed": mixed}).label_weights_[0]
    close(weights / weights[1], [0.5, 1, 0])


def test_middles_are_those_of_held_out_rows():
    halves = [(np.arange(48), np.arange(48, 96)), (np.arange(48, 96), np.arange(48))]
    model = made(cv=halves, label_vectors=None).fit(X, LABELS[SEEN])
    Z, held = model._features(X)[:, :-1], np.empty((96, 3))
    for rows, places in halves:
        for k, name in enumerate(SEEN):
            ridge = Ridge(alpha=10.0).fit(Z[rows], LABELS[name].iloc[rows])
            seen = ridge.predict(Z[rows])
            held[places, k] = (ridge.predict(Z[places]) - seen.mean()) / seen.std()
    yes = LABELS[SEEN].to_numpy() == 1
    middles = [(h[t].mean() + h[~t].mean()) / 2 for h, t in zip(held.T, yes.T, strict=True)]
    slope = answers(model).std(axis=0)[0]
    close(-answers(model).mean(axis=0) / slope, middles, 1e-3, 1e-3)
    new = made(cv=halves).fit(X, LABELS[SEEN])
    mean = np.mean(-answers(new).mean(axis=0) / answers(new).std(axis=0))
    found = answers(new.set_labels([NEW]))
    close(-found.mean() / found.std(), mean, 1e-3, 1e-3)


def test_probabilities():
    model = made().fit(X, LABELS)
    close(model.predict_proba(X), expit(answers(model)))
    same(model.predict(X), model.predict_proba(X) > 0.5)
    classes = made().fit(X, CLASSES)
    close(classes.predict_proba(X), softmax(answers(classes), axis=1))
    same(classes.predict(X), classes.classes_[answers(classes).argmax(axis=1)])
    assert classes.score(X, CLASSES) > 0.8
    two = made().fit(X, np.where(LABELS[SEEN[0]], *SEEN[:2]))
    assert two.set_labels([NEW, SEEN[0]]).predict_proba(X).shape == (96, 2)


def test_thresholds_are_tuned_on_held_out_rows():
    model = made(threshold="tune").fit(X, LABELS)
    assert ((model.thresholds_ > 0) & (model.thresholds_ < 1)).all()
    assert not (model.thresholds_ == 0.5).all()
    same(model.predict(X), model.predict_proba(X) > model.thresholds_)


# What is chosen.


def slow_choice(F, y, weights, folds, vectors, options):
    """The same by fitting every model anew."""
    totals = np.zeros([len(o) for o in options])
    for i, alpha in enumerate(options[0]):
        for j, label_alpha in enumerate(options[1]):
            scores = {True: [], False: []}
            for train, held in folds:
                for left_out in [None, *range(y.shape[1])]:
                    kept = [k for k in range(y.shape[1]) if k != left_out]
                    asked = kept if left_out is None else [left_out]
                    rows = train
                    if left_out is not None:
                        rows = train[y[train, left_out] == 0]
                    ridge = Ridge(alpha=alpha)
                    ridge.fit(F[rows], y[rows][:, kept], sample_weight=weights[rows])
                    S = vectors[kept]
                    K = S @ S.T
                    K += label_alpha * np.trace(K) / len(K) * np.eye(len(K))
                    way = np.linalg.solve(K, S) @ vectors[asked].T
                    p = np.average(y[rows][:, kept], axis=0, weights=weights[rows])
                    found = F[held] @ ridge.coef_.T / np.sqrt(p * (1 - p)) @ way
                    aucs = [
                        ranking_auc(y[held, k] == 1, found[:, n], weights[held])
                        for n, k in enumerate(asked)
                    ]
                    scores[left_out is None].append(np.nanmean(aucs))
            totals[i, j] = sum(np.mean(part) for part in scores.values())
    best = np.unravel_index(totals.argmax(), totals.shape)
    return options[0][best[0]], options[1][best[1]]


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("seed", range(2))
def test_penalties_are_those_with_the_highest_auc(wide, seed):
    rng = np.random.default_rng(seed)
    F = rng.normal(size=(60, 90 if wide else 8))
    way, vectors = rng.normal(size=(F.shape[1], 4)), rng.normal(size=(4, 5))
    y = (F @ way + 4 * rng.normal(size=(60, 4)) > 1).astype(float)
    weights = rng.integers(1, 3, 60).astype(float)
    folds = _dealt(np.arange(60), y, 3)
    options = np.array([0.1, 3.0, 30.0, 300.0]), np.array([0.01, 0.3, 10.0])
    given = F, y, weights, folds, vectors, options
    assert chosen_penalties(*given) == slow_choice(*given)


def test_sums_without_some_rows_give_the_regressions_of_the_others():
    """Of labels of variance 1, also where one is rare."""
    rng = np.random.default_rng(0)
    F, weights = rng.normal(size=(60, 5)), rng.integers(1, 3, 60).astype(float)
    y = (F[:, :3] > [0, 1, -1]).astype(float)
    gone = y[:, 1] == 1
    moments = Moments.of(F, y, weights).without(
        Moments.of(F[gone], y[gone], weights[gone]), 1
    )
    rest, rows = weights[~gone], y[~gone][:, [0, 2]]
    ridge = Ridge(alpha=3.0).fit(F[~gone], rows, sample_weight=rest)
    share = np.average(rows, axis=0, weights=rest)
    close(moments.ridge(3.0), ridge.coef_.T / np.sqrt(share * (1 - share)))


def test_what_was_chosen_is_used():
    options = {"alpha": [1e-3, 30.0], "label_alpha": [1e3, 0.3]}
    model = made(**options).fit(X, LABELS)
    chosen = {"alpha": model.alpha_, "label_alpha": model.label_alpha_}
    assert all(value in options[name] for name, value in chosen.items())
    close(answers(model), answers(made(**chosen).fit(X, LABELS)))
    alone = made(alpha=30.0, label_alpha=[1.0, 0.1], label_vectors=None).fit(X, LABELS)
    assert alone.label_alpha_ == 1.0  # without vectors it says nothing


def test_validation_rows_of_your_own():
    y, noise = LABELS, LABELS.sample(frac=1, random_state=0)
    model = made(alpha=[10.0, 1e6])
    told = {
        model.fit(X[:64], y[:64], X_val=X[64:], y_val=v[64:]).alpha_ for v in (y, -y + 1)
    }
    assert told == {10.0, 1e6}
    other = made().fit(X[:64], y[:64], X_val=X[64:], y_val=noise[64:])
    plain = made().fit(X[:64], y[:64])
    close(scaled(answers(other)), scaled(answers(plain)))  # they move the middle only
    assert not np.allclose(answers(other), answers(plain), atol=1e-3)


def test_groups_reach_the_folds(monkeypatch):
    seen = []
    monkeypatch.setattr(
        sk_mer.linear_model._base, "_dealt", lambda u, *a: seen.append(u) or _dealt(u, *a)
    )
    speakers = np.arange(96) // 8
    made().fit(X, LABELS, groups=speakers)
    same(seen[0], speakers)


# Rows, cells and modalities that are not there.


def test_weights_count_rows():
    weights = np.random.default_rng(0).integers(0, 3, 96)
    repeated = np.repeat(np.arange(96), weights)
    rows = np.flatnonzero(weights)
    halves = [(rows[::2], rows[1::2]), (rows[1::2], rows[::2])]
    twice = [tuple(np.flatnonzero(np.isin(repeated, h)) for h in fold) for fold in halves]
    model = made(cv=halves).fit(X, LABELS, sample_weight=weights)
    expected = made(cv=twice).fit(X[repeated], LABELS.iloc[repeated])
    close(answers(model), answers(expected), 1e-3, 1e-3)
    assert not np.allclose(answers(model), answers(made().fit(X, LABELS)), atol=1e-3)


def test_unknown_cells_are_left_out_of_their_column():
    holes = LABELS.astype(float)
    holes.iloc[:40, 1] = np.nan
    settings = {"label_vectors": None}
    found = answers(made(**settings).fit(X, holes))
    whole = answers(made(**settings).fit(X, LABELS))
    close(scaled(found)[:, [0, 2, 3]], scaled(whole)[:, [0, 2, 3]])
    Z = made(**settings).fit(X, LABELS)._features(X)[:, :-1]
    ridge = Ridge(alpha=10.0).fit(Z[40:], LABELS.iloc[40:, 1])
    close(scaled(found)[:, 1], scaled(ridge.predict(Z)), 1e-3, 1e-3)
    assert np.isfinite(
        answers(made(alpha=[1, 10], label_alpha=[0.1, 1]).fit(X, holes))
    ).all()


def test_a_label_that_a_fold_lacks():
    y = LABELS.copy()
    y.iloc[:, 0] = 0
    y.iloc[17, 0] = 1
    model = made(alpha=[1.0, 10.0], threshold="tune", cv=5).fit(X, y)
    assert np.isfinite(answers(model)).all()


@pytest.mark.parametrize("modality", X.modalities)
def test_absent_modalities(modality):
    model, holes = made().fit(X, LABELS), without(modality, 3, 5)
    expected, found = answers(model), answers(model, holes)
    others = np.delete(np.arange(96), [3, 5])
    close(found[others], expected[others])
    close(found[[3, 5]], answers(model, X.drop(modality))[[3, 5]])
    assert not np.allclose(found[3], expected[3])


def test_utterances_without_a_step():
    rest = np.delete(np.arange(96), [2, 5])
    with pytest.warns(UserWarning, match="2 of 96 .* are left out"):
        model = made().fit(with_holes(2, 5), LABELS)
    close(answers(model), answers(made().fit(X[rest], LABELS.iloc[rest])))
    with pytest.warns(UserWarning, match="answered with what is most common"):
        found = model.predict_proba(with_holes(2, 5))
    close(found[[2, 5]], np.tile(LABELS.iloc[rest].mean(), (2, 1)))


# Other labels.


def test_labels_never_trained_on():
    """Vectors that tell nothing are at chance in tests/test_zero_shot.py."""
    data = sk_mer.datasets.make_multimodal_emotions(
        400, n_unseen=4, noise=0.5, mean_steps=4.0, random_state=0
    )
    model = ESZSLClassifier(alpha=[100.0, 1000.0], cv=2, label_vectors=data.label_vectors)
    model.fit(data.X[:300], data.y[data.seen][:300]).set_labels(data.unseen)
    scores = model.decision_function(data.X[300:])
    assert label_auc_score(data.y[data.unseen][300:], scores) > 0.9


def test_order_and_company_of_labels_do_not_matter():
    asked = [NEW, *SEEN]
    model = made().fit(X, LABELS[SEEN])
    before = answers(model)
    found = answers(model.set_labels(asked))
    turned = made().fit(X, LABELS[SEEN[::-1]]).set_labels(asked)
    close(scaled(answers(turned)), scaled(found), 1e-3, 1e-3)
    same(found[:, 1:], before)
    same(model.decision_function(X, labels=[NEW])[:, 0], found[:, 0])
    same(answers(model.reset_labels()), before)
    own = model.set_labels({"again": VECTORS[SEEN[0]]})
    close(scaled(answers(own))[:, 0], scaled(before)[:, 0])


def test_labels_that_cannot_be_scored():
    model = made(label_vectors=None).fit(X, LABELS)
    with pytest.raises(ValueError, match="label_vectors is None"):
        model.set_labels(["awe"])
    model = made().fit(X, LABELS)
    with pytest.raises(ValueError, match="No vector for 'awe'"):
        model.set_labels(["awe"])
    with pytest.raises(ValueError, match="have 2 values, but those of fit 6"):
        model.set_labels({"awe": [1.0, 2.0]})


@pytest.mark.parametrize("name", ["alpha", "label_alpha"])
@pytest.mark.parametrize("given", [0, -1, [], [1, "a"], [np.nan]])
def test_penalties_that_are_none(name, given):
    model = made(**{name: given})
    with pytest.raises(ValueError, match=name):
        model.fit(X, LABELS)
    assert not hasattr(model, "mean_")


def test_rows_that_cannot_be_held_out():
    """The advice works."""
    one = np.zeros(96)
    with pytest.raises(ValueError, match=r"two groups, but there is one .*; give X_val"):
        made().fit(X, LABELS, groups=one)
    made().fit(X, LABELS, groups=one, X_val=X, y_val=LABELS)


# Files.


@pytest.mark.parametrize("form", ["columns", "classes", "alone"])
def test_saved_and_loaded(form, tmp_path):
    vectors = {"label_vectors": None} if form == "alone" else {}
    model = made(**vectors).fit(X, CLASSES if form == "classes" else LABELS)
    model.save(tmp_path / "model")
    joblib.dump(model, tmp_path / "pickle")
    for other in (sk_mer.load(tmp_path / "model"), joblib.load(tmp_path / "pickle")):
        same(answers(other), answers(model))
        assert set(vars(other)) == set(vars(model))
        if not vectors:
            asked = list(VECTORS)[::-1]
            same(answers(other.set_labels(asked)), model.decision_function(X, labels=asked))


HOSTILE = [
    (array("_regressions", lambda t: t[:, :-1].clone()), "_regressions is"),
    (array("_regressions", lambda t: t * np.nan), "_regressions is .* finite"),
    (array("_covariance", lambda t: t[:-1].clone()), "_covariance is"),
    (array("_label_map", lambda t: t[:-1].clone()), "_label_map is"),
    (array("_label_map", lambda t: t[0, 0].clone()), "_label_map is"),
    (array("_calibration", lambda t: t[:1].clone()), "_calibration is"),
    (array("_rows", lambda t: t[:, :-1].clone()), "the width of _rows"),
    (told("alpha_", "one"), "alpha_ is"),
    (told("label_alpha_", None), "label_alpha_ is"),
    (told("C_", 1.0), "a fitted attribute is 'C_'"),
]


@pytest.mark.parametrize(("edit", "sentence"), HOSTILE)
def test_files_that_do_not_fit(edit, sentence, tmp_path):
    path = tmp_path / "model"
    made().fit(X, LABELS).save(path)
    with safe_open(str(path), "pt") as stream:
        header = json.loads(stream.metadata()["sk_mer"])
    arrays = load_file(path)
    edit(header["fitted"], arrays, header)
    save_file(arrays, path, metadata={"sk_mer": json.dumps(header)})
    with pytest.raises(ValueError, match=f"is damaged .*({sentence})"):
        sk_mer.load(path)
