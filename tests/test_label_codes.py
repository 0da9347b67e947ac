"""Labels where scikit-learn's tools see arrays and codes: ``classes_`` and ``labels``."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neural_network import MLPClassifier

from sk_mer import LFLSTMClassifier, MTEClassifier
from sk_mer.labels.space import label_array
from sk_mer.metrics import weighted_accuracy_scorer
from sk_mer.model_selection import tune_thresholds

from .systems import CLASSES, LABELS, X, fitted
from .systems import make as make_small

WORDS = sorted(set(CLASSES))
EVERY_METHOD = pytest.mark.parametrize("method", ["predict_proba", "decision_function"])


def make(name, **changes):
    return make_small(name, max_epochs=1, **changes)


def test_classes_are_those_of_labels():
    model = fitted("MTEClassifier")
    like = MLPClassifier().partial_fit(np.eye(2), np.eye(2, 4), classes=range(4))
    assert model.classes_.shape == like.classes_.shape
    assert model.classes_.tolist() == list(LABELS.columns)


@pytest.mark.parametrize(
    "names",
    [["a", "b"], [1, 2], [("a", 1), ("b", 2)], ["a", 1], [("a",), "b"], [True, 2.5]],
)
def test_labels_stay_as_they_are_in_an_array(names):
    found = label_array(names)
    assert found.shape == (2,)
    assert found.tolist() == names
    assert [type(name) for name in found.tolist()] == [type(name) for name in names]


@EVERY_METHOD
def test_out_of_fold_scores_of_labels(method):
    model = make("MTEClassifier", labels=list(LABELS.columns))
    found = cross_val_predict(model, X, LABELS, cv=2, method=method)
    first, second = slice(48), slice(48, None)
    for fold, rest in ((second, first), (first, second)):
        expected = getattr(clone(model).fit(X[fold], LABELS.iloc[fold]), method)(X[rest])
        np.testing.assert_array_equal(found[rest], expected)


def test_out_of_fold_thresholds():
    scores = cross_val_predict(
        make("LFLSTMClassifier"), X, LABELS, cv=2, method="predict_proba"
    )
    thresholds = tune_thresholds(LABELS, scores)
    model = make("LFLSTMClassifier", threshold=dict(zip(LABELS, thresholds, strict=True)))
    np.testing.assert_array_equal(model.fit(X, LABELS).thresholds_, thresholds)


FORMS = {
    "list": WORDS,
    "codes": dict(enumerate(WORDS)),
    "names": {name: [name] for name in WORDS},
}


@pytest.mark.parametrize("form", FORMS)
def test_codes_of_classes_have_the_vectors_of_their_words(form):
    """As where y holds the words themselves."""
    codes = np.searchsorted(WORDS, CLASSES)
    model = make("MTEClassifier", labels=FORMS[form]).fit(X, codes)
    by_name = make("MTEClassifier").fit(X, CLASSES)
    np.testing.assert_array_equal(model.predict_proba(X), by_name.predict_proba(X))
    assert model.classes_.tolist() == [0, 1, 2]
    assert weighted_accuracy_scorer(model, X, codes) == pytest.approx(
        weighted_accuracy_scorer(by_name, X, CLASSES)
    )


@pytest.mark.parametrize("form", FORMS)
@EVERY_METHOD
def test_out_of_fold_scores_of_classes(form, method):
    model = make("MTEClassifier", labels=FORMS[form])
    found = cross_val_predict(model, X, CLASSES, cv=2, method=method)
    assert found.shape == (96, 3)
    np.testing.assert_array_equal(
        found,
        cross_val_predict(
            make("MTEClassifier", labels=FORMS["codes"]),
            X,
            np.searchsorted(WORDS, CLASSES),
            cv=2,
            method=method,
        ),
    )


def test_tools_that_encode_classes():
    model = make("MTEClassifier", labels=WORDS)
    for tool in (
        VotingClassifier([("a", model), ("b", make("LFLSTMClassifier"))], voting="soft"),
        StackingClassifier([("a", model)], LogisticRegression(), cv=2),
        CalibratedClassifierCV(model, method="temperature", cv=2),
    ):
        assert set(tool.fit(X, CLASSES).predict(X)) <= set(WORDS)


def test_stacking_of_several_labels():
    one = make("MTEClassifier", labels=list(LABELS.columns))
    head = MultiOutputClassifier(LogisticRegression())
    stack = StackingClassifier([("a", one), ("b", make("LFLSTMClassifier"))], head, cv=2)
    stack.fit(X, LABELS.to_numpy())
    assert stack.predict(X).shape == LABELS.shape
    assert stack.transform(X).shape == (96, 8)


def test_labels_of_codes_that_are_not_sorted():
    """The codes of sorted classes would stand for other labels than the user thinks."""
    codes = np.searchsorted(WORDS, CLASSES)
    given = WORDS[::-1]
    model = make("MTEClassifier", labels=given)
    with pytest.raises(ValueError, match=r"^y holds the codes 0, 1, 2, .*sorted") as error:
        model.fit(X, codes)
    for advice, words in ((f"{WORDS}", WORDS), (f"{dict(enumerate(given))}", given)):
        assert f"labels={advice}" in str(error.value)
        model.set_params(labels=eval(advice)).fit(X, codes)
        first = make("MTEClassifier", labels={0: words[0], 1: words[1], 2: words[2]})
        np.testing.assert_array_equal(
            model.predict_proba(X), first.fit(X, codes).predict_proba(X)
        )


def test_codes_of_other_classes_are_not_those_of_labels():
    """One against the rest: 0 and 1 are no codes of three labels."""
    yes = (np.searchsorted(WORDS, CLASSES) == 1).astype(int)
    with pytest.raises(ValueError, match=r"the classes in y are \[0, 1\]"):
        make("MTEClassifier", labels=WORDS).fit(X, yes)
    plain = LFLSTMClassifier(hidden_sizes=2, max_epochs=1, labels=[0, 1])
    assert plain.fit(X, yes).classes_.tolist() == [0, 1]


def test_without_words_the_message_says_how_to_give_them():
    codes = np.searchsorted(WORDS, CLASSES)
    for y, words in ((codes, WORDS), (LABELS.to_numpy(), list(LABELS))):
        with pytest.raises(ValueError, match=r"^No vector for 0, 1, 2.*labels=\[") as error:
            make("MTEClassifier").fit(X, y)
        pattern = str(error.value).partition(" or labels=")[2].rstrip(".")
        assert set(eval(pattern)) == set(range(len(words)))
        for labels in (words, dict(enumerate(words))):
            make("MTEClassifier", labels=labels).fit(X, y)


def test_codes_need_no_vectors():
    """MTE that learns its own vectors."""
    codes = np.searchsorted(WORDS, CLASSES)
    model = MTEClassifier(hidden_sizes=2, max_epochs=1, labels=WORDS)
    assert model.fit(X, codes).classes_.tolist() == [0, 1, 2]
