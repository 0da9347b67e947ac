"""The pooled linear baselines: what is learned, what is left out, new labels, files."""

from __future__ import annotations

import copy
import json

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, safe_open, save_file
from scipy.special import expit
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.utils.estimator_checks import parametrize_with_checks

import sk_mer
from sk_mer import MultimodalArray, PooledLinearClassifier, PooledLinearRegressor
from sk_mer.linear_model._base import _dealt
from sk_mer.metrics import concordance_score, label_auc_score
from sk_mer.preprocessing import SegmentStatistics

from ..systems import CLASSES, DATA, LABELS, NUMBERS, X, answers, close, with_holes, without

same = np.testing.assert_array_equal
EVERY = pytest.mark.parametrize("kind", [PooledLinearClassifier, PooledLinearRegressor])


@parametrize_with_checks([PooledLinearClassifier(), PooledLinearRegressor()])
def test_sklearn_check(estimator, check):
    check(estimator)


def made(kind, **changes):
    """A model that fits in no time."""
    strength = {"C": 0.1} if kind is PooledLinearClassifier else {"alpha": 10.0}
    return kind(**{**strength, **changes})


def targets(kind):
    return LABELS if kind is PooledLinearClassifier else NUMBERS


# What is learned.


def by_hand(X):
    """Scaled statistics of all modalities, by numpy alone."""
    rows = []
    for utterance in X:
        row = []
        for steps in utterance.values():
            change = np.diff(steps, axis=0) if len(steps) > 1 else 0 * steps
            kinds = [steps.mean(0), steps.std(0), steps.min(0), steps.max(0), change.std(0)]
            row += kinds
        rows.append(np.concatenate(row))
    Z = np.array(rows)
    return (Z - Z.mean(axis=0)) / Z.std(axis=0)


def test_labels_are_balanced_logistic_regressions_of_statistics():
    model, Z = made(PooledLinearClassifier).fit(X, LABELS), by_hand(X)
    for k, label in enumerate(LABELS):
        plain = LogisticRegression(C=0.1, class_weight="balanced", max_iter=1000)
        plain.fit(Z, LABELS[label])
        close(model.decision_function(X)[:, k], plain.decision_function(Z), 1e-3, 1e-3)
    assert model.coef_.shape == (4, Z.shape[1] + 3)
    close(model.predict_proba(X), expit(model.decision_function(X)))
    same(model.predict(X), model.predict_proba(X) > 0.5)


@pytest.mark.parametrize("two", [True, False])
def test_classes_are_one_balanced_regression(two):
    y = np.where(CLASSES[0] == CLASSES, "yes", "no") if two else CLASSES
    model, Z = made(PooledLinearClassifier).fit(X, y), by_hand(X)
    plain = LogisticRegression(C=0.1, class_weight="balanced", max_iter=1000).fit(Z, y)
    same(model.classes_, plain.classes_)
    close(model.predict_proba(X), plain.predict_proba(Z), 1e-3, 1e-3)
    same(model.predict(X), plain.predict(Z))


def test_numbers_are_ridge_regressions():
    model = made(PooledLinearRegressor).fit(X, NUMBERS)
    plain = Ridge(alpha=10.0).fit(by_hand(X), NUMBERS)
    close(model.predict(X), plain.predict(by_hand(X)), 1e-3, 1e-3)
    assert model.targets_ == list(NUMBERS)
    assert model.predict(X).shape == (96, 2)
    one = made(PooledLinearRegressor).fit(X, NUMBERS["arousal"])
    close(one.predict(X), model.predict(X)[:, 1])


def test_learns():
    model = PooledLinearClassifier().fit(X[:64], LABELS[:64])
    assert label_auc_score(LABELS[64:], model.decision_function(X[64:])) > 0.9
    model = PooledLinearRegressor().fit(X[:64], NUMBERS[:64])
    assert concordance_score(NUMBERS[64:], model.predict(X[64:])) > 0.75


def test_one_step_has_one_statistic():
    vectors = SegmentStatistics(modalities=None, statistics=("mean",)).fit_transform(X)
    model = made(PooledLinearClassifier).fit(vectors, LABELS)
    assert set(model.statistics_.values()) == {("mean",)}
    assert model.coef_.shape == (4, sum(X.n_features.values()) + 3)
    means = made(PooledLinearClassifier, statistics=["mean"]).fit(X, LABELS)
    close(answers(model, vectors), answers(means))


# What is chosen.


@EVERY
def test_the_strength_is_chosen_on_held_out_rows(kind):
    """Of two, the one that is far off is never taken."""
    name, good, bad = ("C", 0.01, 1e-9) if "Cl" in kind.__name__ else ("alpha", 10, 1e9)
    for options in ([good, bad], [bad, good]):
        model = kind(**{name: options}).fit(X, targets(kind))
        assert getattr(model, f"{name}_") == good
        close(answers(model), answers(kind(**{name: good}).fit(X, targets(kind))))


@EVERY
def test_validation_rows_of_your_own_choose(kind):
    """Rows whose answers are noise ask for the strongest penalty."""
    y = targets(kind)
    noise = y.sample(frac=1, random_state=0)
    name, options = ("C", [1e-6, 1.0]) if "Cl" in kind.__name__ else ("alpha", [1e6, 1.0])
    model = kind(**{name: options})
    assert getattr(model.fit(X, y, X_val=X, y_val=y), f"{name}_") == options[1]
    chosen = model.fit(X[:64], y[:64], X_val=X[64:], y_val=noise[64:])
    assert getattr(chosen, f"{name}_") == options[0]
    alone = kind(**{name: options[0]}).fit(X[:64], y[:64])
    close(answers(chosen), answers(alone))  # they only choose
    with pytest.raises(ValueError, match="give both or none"):
        kind().fit(X, y, X_val=X)


def test_folds_keep_groups_and_copies_whole():
    y = np.tile([0.0, 1.0], 10)
    groups = np.repeat(np.arange(5), 4)
    for n_folds in (2, 5):
        folds = _dealt(groups, y, n_folds)
        assert len(folds) == n_folds
        same(np.sort(np.concatenate([held for _, held in folds])), np.arange(20))
        for train, held in folds:
            assert not set(groups[train]) & set(groups[held])
            assert len(train) + len(held) == 20
    for _, held in _dealt(np.arange(20), y, 5):
        assert y[held].mean() == 0.5  # stratified


def test_groups_reach_the_folds(monkeypatch):
    seen = []
    monkeypatch.setattr(
        sk_mer.linear_model._base, "_dealt", lambda u, *a: seen.append(u) or _dealt(u, *a)
    )
    speakers = np.arange(96) // 8
    PooledLinearClassifier(C=[0.1, 1]).fit(X, LABELS, groups=speakers)
    PooledLinearClassifier(C=[0.1, 1]).fit(X.with_groups(speakers), LABELS)
    PooledLinearClassifier(C=[0.1, 1]).fit(X[np.r_[:96, :96]], pd.concat([LABELS] * 2))
    same(seen[0], speakers)
    same(seen[1], speakers)
    same(seen[2][:96], seen[2][96:])


def test_folds_of_a_splitter_of_your_own():
    speakers = np.arange(96) // 8
    by_hand = list(GroupKFold(4).split(X, groups=speakers))
    weights = np.r_[np.zeros(8), np.ones(88)]
    for cv in (GroupKFold(4), by_hand):
        model = PooledLinearClassifier(C=[0.1, 1e-9], cv=cv)
        model.fit(X, LABELS, groups=speakers, sample_weight=weights)
        assert model.C_ == 0.1


def test_thresholds_are_tuned_on_held_out_rows():
    model = PooledLinearClassifier(threshold="tune").fit(X, LABELS)
    assert ((model.thresholds_ > 0) & (model.thresholds_ < 1)).all()
    assert not (model.thresholds_ == 0.5).all()
    same(model.predict(X), model.predict_proba(X) > model.thresholds_)
    named = PooledLinearClassifier(C=0.1, threshold={LABELS.columns[1]: 0.9}).fit(X, LABELS)
    assert named.thresholds_.tolist() == [0.5, 0.9, 0.5, 0.5]


# Rows and cells that do not count.


@EVERY
def test_weights_count_rows(kind):
    y = targets(kind)
    weights = np.random.default_rng(0).integers(0, 3, 96)
    repeated = np.repeat(np.arange(96), weights)
    weighted = made(kind).fit(X, y, sample_weight=weights)
    close(answers(weighted), answers(made(kind).fit(X[repeated], y.iloc[repeated])))
    assert not np.allclose(answers(weighted), answers(made(kind).fit(X, y)), atol=1e-3)


@EVERY
def test_unknown_cells_are_left_out_of_their_column(kind):
    y = targets(kind).astype(float)
    holes = y.copy()
    holes.iloc[:40, 1] = np.nan
    model = made(kind).fit(X, holes)
    expected, found = answers(made(kind).fit(X, y)), answers(model)
    others = [0, *range(2, y.shape[1])]
    close(found[:, others], expected[:, others])
    assert not np.allclose(found[:, 1], expected[:, 1], atol=1e-3)
    assert np.isfinite(answers(kind().fit(X, holes))).all()


def test_a_class_of_weight_zero_is_no_class():
    weights = (CLASSES[0] != CLASSES).astype(float)
    model = made(PooledLinearClassifier).fit(X, CLASSES, sample_weight=weights)
    assert CLASSES[0] not in model.classes_
    assert len(model.classes_) == len(set(CLASSES)) - 1


def test_a_label_that_a_fold_lacks():
    """One positive: of five folds one cannot learn it, and its rows are not judged."""
    y = LABELS.copy()
    y.iloc[:, 0] = 0
    y.iloc[17, 0] = 1
    model = PooledLinearClassifier(threshold="tune").fit(X, y)
    assert np.isfinite(answers(model)).all()
    assert model.thresholds_[0] == 0.5  # as no positive was judged
    rare = np.where(np.arange(96) == 17, "rare", CLASSES)
    assert "rare" in PooledLinearClassifier().fit(X, rare).classes_


# Modalities that utterances lack.


@EVERY
@pytest.mark.parametrize("modality", X.modalities)
def test_absent_modalities(kind, modality):
    model, holes = made(kind).fit(X, targets(kind)), without(modality, 3, 5)
    expected, found = answers(model), answers(model, holes)
    others = np.delete(np.arange(96), [3, 5])
    close(found[others], expected[others])
    close(found[[3, 5]], answers(model, X.drop(modality))[[3, 5]])
    assert not np.allclose(found[3], expected[3])


def test_an_absent_modality_counts_as_the_mean_and_may_tell_by_itself():
    y = LABELS.iloc[:, [0]].copy()
    y.iloc[:] = np.arange(96)[:, None] % 2
    holes = without("audio", *np.flatnonzero(y.iloc[:, 0]))
    model = PooledLinearClassifier(C=1.0).fit(holes, y)
    assert (model.predict(holes) == y).all(axis=None)
    mean = {name: X.values(name) for name in X.modalities}
    plain = made(PooledLinearClassifier, statistics=["mean"])
    steps = MultimodalArray({name: values[:, None] for name, values in mean.items()})
    plain.fit(steps, np.arange(len(steps)) % 2)
    average = MultimodalArray({n: v.mean(axis=0, keepdims=True) for n, v in mean.items()})
    close(answers(plain, average.drop("audio")), answers(plain, average), atol=1e-4)


@pytest.mark.parametrize("holes", [(), range(0, 96, 3)])
@pytest.mark.parametrize("classes", [True, False])
def test_an_absent_modality_speaks_for_no_side(classes, holes):
    """It is read as the middle between the classes, however rare one of them is."""
    given = without("audio", *holes)
    y = np.where(np.arange(96) % 5, CLASSES[0], CLASSES) if classes else LABELS.iloc[:, 0]
    model = PooledLinearClassifier(statistics=["mean"], C=0.1)
    model.fit(given, y if classes else y.to_frame())

    def scaled(X):
        means = [
            [u[m].mean(axis=0) if m in u and len(u[m]) else np.full(n, np.nan) for u in X]
            for m, n in model.n_features_.items()
        ]
        return (np.hstack(means) - model.mean_) / model.scale_

    Z = scaled(given)
    middle = np.mean([np.nanmean(Z[y == one], axis=0) for one in set(y)], axis=0)

    def features(Z):
        absent = np.isnan(Z[:, [0, 5, 9]])
        return np.hstack([np.where(np.isnan(Z), middle, Z), absent])

    plain = LogisticRegression(C=0.1, max_iter=1000, class_weight="balanced")
    plain.fit(features(Z), y)
    for asked in (given, X.drop("audio"), X.select("vision")):
        expected = plain.decision_function(features(scaled(asked))).reshape(96, -1)
        close(model.decision_function(asked), expected, atol=1e-4)


def test_a_modality_that_nobody_has():
    nobody = without("vision", *range(80))[:80]
    model = made(PooledLinearClassifier).fit(nobody, LABELS[:80])
    close(answers(model, nobody), answers(model, X[:80].drop("vision")))
    assert np.isfinite(answers(model, X)).all()


@EVERY
def test_values_that_are_not_finite(kind):
    steps = {name: [u[name].copy() for u in X] for name in X.modalities}
    steps["audio"][4][0, 1] = np.inf
    zeros = copy.deepcopy(steps)
    zeros["audio"][4][0, 1] = 0
    broken = MultimodalArray(steps)
    with pytest.raises(ValueError, match="'audio' has 1 values that are NaN or infinite"):
        made(kind).fit(broken, targets(kind))
    model = made(kind, handle_nonfinite="zero").fit(broken, targets(kind))
    assert model.n_nonfinite_ == {"text": 0, "audio": 1, "vision": 0}
    expected = made(kind).fit(MultimodalArray(zeros), targets(kind))
    close(answers(model, broken), answers(expected, MultimodalArray(zeros)))


HOLES = with_holes(2, 5)
REST = np.delete(np.arange(96), [2, 5])


@EVERY
def test_utterances_without_a_step(kind):
    y, weights = targets(kind), np.arange(96) % 3 + 1.0
    with pytest.warns(UserWarning, match="2 of 96 .* are left out"):
        model = made(kind).fit(HOLES, y, sample_weight=weights)
    others = made(kind).fit(X[REST], y.iloc[REST], sample_weight=weights[REST])
    close(answers(model), answers(others))
    assert (model.n_empty_, others.n_empty_) == (2, 0)
    method = model.predict if kind is PooledLinearRegressor else model.predict_proba
    with pytest.warns(UserWarning, match="2 of 96 .* answered with what is most common"):
        found = method(HOLES)
    mean = np.average(y.iloc[REST], axis=0, weights=weights[REST])
    close(found[[2, 5]], np.tile(mean, (2, 1)))
    model.set_params(on_empty="skip")
    close(method(HOLES), found[REST])
    assert model.score(HOLES, y) == pytest.approx(others.score(X[REST], y.iloc[REST]))
    model.set_params(on_empty="error")
    with pytest.raises(ValueError, match=r"Row.s. 2, 5 have no steps"):
        model.predict(HOLES)


def test_splits_name_the_utterances_as_given():
    """Rows 2 and 5 stand in the splits, too, and count in none."""
    halves = [(np.arange(48), np.arange(48, 96)), (np.arange(48, 96), np.arange(48))]
    folds = []
    with pytest.MonkeyPatch.context() as patch:
        plain = PooledLinearClassifier._choose

        def noted(self, strengths, data, *rest):
            folds.append(data.folds)
            return plain(self, strengths, data, *rest)

        patch.setattr(PooledLinearClassifier, "_choose", noted)
        with pytest.warns(UserWarning, match="are left out"):
            PooledLinearClassifier(C=[0.1, 1.0], cv=halves).fit(HOLES, LABELS)
    (found,) = folds
    same(found[0][0], np.arange(46))
    same(found[0][1], np.arange(46, 94))


@EVERY
def test_validation_rows_without_a_step(kind):
    y, alone = targets(kind), kind().fit(X, targets(kind), X_val=X[REST], y_val=targets(kind).iloc[REST])  # fmt: skip
    with pytest.warns(UserWarning, match="are left out"):
        model = kind().fit(X, y, X_val=HOLES, y_val=y)
    close(answers(model), answers(alone))


# New labels.


def zero_shot(**changes):
    return PooledLinearClassifier(label_vectors=DATA.label_vectors, **changes)


def test_a_label_never_trained_on():
    seen, unseen = list(LABELS)[:3], list(LABELS)[3]
    data = sk_mer.datasets.make_multimodal_emotions(600, noise=0.5, random_state=0)
    model = PooledLinearClassifier(C=[0.01, 0.1], label_vectors=data.label_vectors)
    model.fit(data.X[:500], data.y[data.seen][:500])
    before = model.decision_function(data.X[500:])
    model.set_labels([*data.unseen, data.seen[2]])
    found = model.decision_function(data.X[500:])
    auc = label_auc_score(data.y[data.unseen][500:], found[:, :2], average=None)
    assert (auc > 0.75).all()
    same(found[:, 2], before[:, 2])
    same(model.reset_labels().decision_function(data.X[500:]), before)
    classes = zero_shot().fit(X, np.where(LABELS[seen[0]], seen[0], seen[1]))
    assert classes.set_labels([unseen, seen[0]]).predict_proba(X).shape == (96, 2)


def test_scores_of_new_labels_are_cosines_on_a_scale():
    model = zero_shot(C=0.1).fit(X, LABELS.iloc[:, :3])
    Z = np.column_stack([by_hand(X), np.zeros((96, 3))])
    S = np.array([DATA.label_vectors[name] for name in LABELS.columns[:3]])
    S /= np.linalg.norm(S, axis=1, keepdims=True)
    yes = LABELS.iloc[:, :3].to_numpy()
    some = yes.any(axis=1)
    goals = (yes @ S)[some] / yes[some].sum(axis=1, keepdims=True)
    ways = Ridge(alpha=10.0).fit(Z[some], goals).predict(Z)
    new = np.array(DATA.label_vectors[LABELS.columns[3]])
    cosines = ways @ new / np.linalg.norm(ways, axis=1) / np.linalg.norm(new)
    found = model.set_labels(list(LABELS.columns[3:])).decision_function(X)[:, 0]
    slope, intercept = model._calibration
    assert slope > 0
    close(found, slope * cosines + intercept, 1e-2, 1e-2)


def test_words_that_have_no_vector():
    plain = made(PooledLinearClassifier).fit(X, LABELS)
    with pytest.raises(ValueError, match="label_vectors is None; give word vectors"):
        plain.set_labels(["awe"])
    with pytest.raises(ValueError, match="No vector for 'awe'"):
        zero_shot(C=0.1).fit(X, LABELS).set_labels(["awe"])
    table = np.stack([DATA.label_vectors[name] for name in LABELS])
    rows = PooledLinearClassifier(C=0.1, label_vectors=table).fit(X, LABELS)
    with pytest.raises(ValueError, match="an array with rows for the labels of fit only"):
        rows.set_labels(["awe"])
    with pytest.raises(ValueError, match="have 2 values, but those of fit 6"):
        rows.set_labels({"awe": [1.0, 2.0]})
    rows.set_labels({"awe": table[0] + table[1]})
    assert rows.labels_ == ["awe"]


# Errors, searches and files.


@pytest.mark.parametrize("given", [0, -1, [], [1, "a"], [np.nan]])
def test_strengths_that_are_none(given):
    with pytest.raises(ValueError, match="C"):
        PooledLinearClassifier(C=given).fit(X, LABELS)
    model = PooledLinearRegressor(alpha=given)
    with pytest.raises(ValueError, match="alpha"):
        model.fit(X, NUMBERS)
    assert not hasattr(model, "mean_")


def test_rows_that_cannot_be_held_out():
    """The advice works."""
    one = np.zeros(96)
    with pytest.raises(ValueError, match=r"one .* give X_val and y_val, or one C"):
        PooledLinearClassifier().fit(X, LABELS, groups=one)
    PooledLinearClassifier().fit(X, LABELS, groups=one, X_val=X, y_val=LABELS)
    PooledLinearClassifier(C=0.1).fit(X, LABELS, groups=one)


def test_other_utterances_than_those_of_fit():
    model = made(PooledLinearClassifier).fit(X.drop("text"), LABELS)
    with pytest.raises(ValueError, match="Modality 'text' was not in fit"):
        model.predict(X)
    with pytest.raises(ValueError, match=r"statistics=.'mode',. was given"):
        PooledLinearClassifier(statistics=["mode"]).fit(X, LABELS)


def test_a_search():
    search = GridSearchCV(made(PooledLinearClassifier), {"C": [1e-9, 0.1]}, cv=2)
    assert search.fit(X, CLASSES).best_params_ == {"C": 0.1}


@pytest.mark.parametrize("form", ["columns", "classes", "vectors", "numbers", "number"])
def test_saved_and_loaded(form, tmp_path):
    y = {"classes": CLASSES, "numbers": NUMBERS, "number": NUMBERS["arousal"]}
    kind = PooledLinearRegressor if "number" in form else PooledLinearClassifier
    vectors = {"label_vectors": DATA.label_vectors} if form == "vectors" else {}
    model = made(kind, **vectors).fit(X, y.get(form, LABELS))
    model.save(tmp_path / "model")
    joblib.dump(model, tmp_path / "pickle")
    others = (
        sk_mer.load(tmp_path / "model"),
        kind.load(tmp_path / "model"),
        joblib.load(tmp_path / "pickle"),
    )
    for other in others:
        same(answers(other), answers(model))
        assert set(vars(other)) == set(vars(model))
        if form == "vectors":
            same(
                answers(other.set_labels(list(DATA.label_vectors)[::-1])),
                answers(copy.copy(model).set_labels(list(DATA.label_vectors)[::-1])),
            )


@pytest.fixture
def saved(tmp_path):
    """A saved model, and a function that writes a changed copy of its file."""
    path = tmp_path / "model"
    zero_shot(C=0.1).fit(X, LABELS).save(path)
    with safe_open(str(path), "pt") as stream:
        header = json.loads(stream.metadata()["sk_mer"])
    tensors = load_file(path)

    def change(edit):
        altered, arrays = copy.deepcopy(header), dict(tensors)
        edit(altered["fitted"], arrays, altered)
        save_file(arrays, path, metadata={"sk_mer": json.dumps(altered)})
        return path

    return change


def array(name, value):
    """An edit of the file that gives an array another value."""

    def edit(fitted, arrays, header):
        arrays[fitted[name]["tensor"]] = value(arrays[fitted[name]["tensor"]])

    return edit


def told(name, value):
    """An edit of the file that gives an attribute another value."""
    return lambda fitted, arrays, header: fitted.update({name: value})


HOSTILE = [
    (array("mean_", lambda t: t[:-1].clone()), "mean_ is"),
    (array("scale_", torch.zeros_like), "scale_ is .* more than 0"),
    (array("scale_", lambda t: t.float()), "scale_ is .* float64"),
    (array("_rows", lambda t: t[:, :-1].clone()), "the width of _rows"),
    (array("_projection", lambda t: t[:-1].clone()), "_rows is"),
    (array("_projection", lambda t: t * np.nan), "_projection is .* finite"),
    (array("_calibration", lambda t: t[:1].clone()), "_calibration is"),
    (told("_has_vectors", False), "_has_vectors is False"),
    (told("C_", "one"), "C_ is"),
    (told("statistics_", {"mapping": [["text", {"tuple": ["mean"]}]]}), "statistics_ is"),
    (told("n_features_", {"mapping": [["text", 2**40]]}), "modalities_ is"),
    (told("history_", []), "a fitted attribute is 'history_'"),
    (lambda f, arrays, h: arrays.update({"module/w": torch.ones(1)}), "its weights"),
    (lambda f, arrays, h: f.pop("mean_"), "it has no mean_|unused"),
    (lambda f, arrays, h: h.update(memory=None), "a memory is"),
]


@pytest.mark.parametrize(("edit", "sentence"), HOSTILE)
def test_files_that_do_not_fit(saved, edit, sentence):
    path = saved(edit)
    with pytest.raises(ValueError, match=f"is damaged .*({sentence})"):
        sk_mer.load(path)
