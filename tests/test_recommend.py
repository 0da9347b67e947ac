"""The estimator to try first."""

import numpy as np
import pytest

from sk_mer import MultimodalArray, SoftVotingClassifier, recommended

from .systems import CLASSES, DATA, LABELS, NUMBERS, X, with_holes, without

SHORT = {
    "n_seeds": 1,
    "attention__attentionfusionclassifier__max_epochs": 2,
    "attention__attentionfusionclassifier__hidden_size": 4,
}
LSTM = {
    "lf_lstm__lflstmclassifier__max_epochs": 2,
    "lf_lstm__lflstmclassifier__hidden_sizes": 4,
}
MTE = {"mte__mteclassifier__max_epochs": 2, "mte__mteclassifier__hidden_sizes": 4}


def names(vote):
    return [name for name, _ in vote.estimators]


def batch_sizes(n):
    values = MultimodalArray(text=np.zeros((n, 2)))
    vote = recommended(values, np.arange(n) % 2)
    return {v for k, v in vote.get_params().items() if k.endswith("__batch_size")}


def test_three_that_err_differently_and_nothing_is_fitted():
    vote = recommended(X, LABELS, random_state=0)
    assert isinstance(vote, SoftVotingClassifier)
    assert names(vote) == ["lf_lstm", "attention", "linear"]
    assert vote.weights == [1, 1, 2]
    assert vote.n_seeds == 3
    assert vote.random_state == 0
    assert not hasattr(vote, "estimators_")
    assert "PooledLinearClassifier" in repr(vote)


@pytest.mark.parametrize(("n", "sizes"), [(40, {8}), (400, {32, 40}), (50_000, {32, 64})])
def test_batches_are_smaller_where_utterances_are_few(n, sizes):
    assert batch_sizes(n) == sizes


def test_where_utterances_lack_modalities_mte_takes_the_place():
    lacking = without("audio", 0)
    vote = recommended(lacking, LABELS, random_state=0)
    assert names(vote) == ["mte", "attention", "linear"]
    vote.set_params(**SHORT, **MTE).fit(lacking, LABELS)
    assert vote.predict_proba(lacking).shape == LABELS.shape


def test_an_utterance_without_a_step_changes_nothing():
    assert names(recommended(with_holes(3), LABELS)) == ["lf_lstm", "attention", "linear"]


@pytest.mark.parametrize("y", [LABELS, CLASSES], ids=["columns", "classes"])
def test_it_is_fitted_as_any_other(y):
    vote = recommended(X, y, random_state=0).set_params(**SHORT, **LSTM).fit(X, y)
    assert vote.predict_proba(X).shape == (len(X), len(vote.labels_))
    assert len(vote.estimators_) == 3


def test_a_mapping_of_arrays_will_do():
    arrays = {"audio": np.zeros((60, 3, 2)), "vision": np.zeros((60, 4))}
    assert len(recommended(arrays, np.arange(60) % 3).estimators) == 3


def test_with_vectors_it_is_asked_for_other_emotions():
    vote = recommended(X, LABELS, label_vectors=DATA.label_vectors, random_state=0)
    vote.set_params(**SHORT, **MTE).fit(X, LABELS)
    assert vote.set_labels(DATA.unseen).predict_proba(X).shape == (len(X), 1)


def test_for_emotions_never_trained_on_eszsl_answers_beside_mte():
    vectors = DATA.label_vectors
    vote = recommended(X, LABELS, label_vectors=vectors, unseen=True, random_state=0)
    assert names(vote) == ["mte", "attention", "linear", "eszsl"]
    assert vote.combine == "score"
    seen = LABELS[DATA.seen]
    quick = {"linear__C": 0.1, "eszsl__alpha": 10.0, "eszsl__label_alpha": 0.1}
    vote.set_params(**SHORT, **MTE, **quick).fit(X, seen)
    found = vote.set_labels(DATA.unseen).decision_function(X)
    vote.named_estimators_["eszsl"].set_labels({DATA.unseen[0]: np.ones(6)})
    assert not np.allclose(vote.decision_function(X), found, atol=1e-3)


def test_others_cannot_be_asked_for_without_vectors():
    with pytest.raises(ValueError, match="unseen=True was given, but label_vectors is No"):
        recommended(X, LABELS, unseen=True)


def test_an_array_without_names_is_refused():
    with pytest.raises(TypeError, match="X is a ndarray; expected a MultimodalArray, or a"):
        recommended(np.zeros((4, 2)), [0, 1, 0, 1])


def test_numbers_are_refused():
    with pytest.raises(ValueError, match="expected 0, 1, or NaN"):
        recommended(X, NUMBERS)
