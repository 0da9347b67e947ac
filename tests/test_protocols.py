"""Which rows train, choose and are judged."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, cross_val_score

from sk_mer import PooledLinearClassifier
from sk_mer.datasets import EmotionCorpus, load_multimodal
from sk_mer.metrics import make_label_scorer
from sk_mer.protocols import (
    AppendedLabels,
    FewShotSplit,
    LeaveOneLabelOut,
    MissingModalities,
    OfficialSplit,
    append_labels,
)

from . import layouts

SPLIT = np.repeat(["train", "valid", "test"], [140, 40, 60])


@pytest.fixture
def y(emotions):
    return emotions.y[emotions.seen]


def numbers(cv, *data):
    return [(train.tolist(), test.tolist()) for train, test in cv.split(*data)]


def test_official_split_is_a_cv_of_one_fold(emotions, y):
    cv = OfficialSplit(SPLIT)
    assert numbers(cv, emotions.X) == [(list(range(140)), list(range(180, 240)))]
    assert cv.get_n_splits() == 1
    (fold,) = cv.folds(emotions.X, y)
    assert fold.valid.tolist() == list(range(140, 180))
    assert fold.seen == list(y)
    assert fold.target is None
    joined = OfficialSplit(SPLIT, join_valid=True)
    ((train, _),) = joined.split(emotions.X)
    assert train.tolist() == list(range(180))
    search = GridSearchCV(PooledLinearClassifier(), {"C": [0.1]}, cv=joined)
    assert len(search.fit(emotions.X, y).cv_results_["params"]) == 1


@pytest.mark.parametrize("layout", ["mult", "tailor", "mte", "iemocap"])
def test_official_split_of_what_readers_give(layout, tmp_path):
    splits = layouts.content()
    path = {
        "mult": lambda: layouts.write_mult(tmp_path / "x.pkl", splits),
        "tailor": lambda: layouts.write_tailor(tmp_path / "x.pt", splits),
        "mte": lambda: layouts.write_mte_folder(tmp_path / "x", splits),
        "iemocap": lambda: layouts.write_iemocap_four(tmp_path / "x.pkl", splits),
    }[layout]()
    data = load_multimodal(path)
    (fold,) = OfficialSplit(data.split).folds(data.X, data.y)
    counts = layouts.COUNTS
    assert [len(fold.train), len(fold.valid), len(fold.test)] == list(counts.values())


def test_mosei_protocol(emotions, y):
    """No training or validation row shows the emotion; the test set is whole."""
    cv = LeaveOneLabelOut(OfficialSplit(SPLIT), labels=["fear", "anger"])
    folds = list(cv.folds(emotions.X, y))
    assert [fold.target for fold in folds] == ["fear", "anger"]
    assert cv.get_n_splits(emotions.X, y) == 2
    for fold in folds:
        shown = (y[fold.target] == 1).to_numpy()
        assert fold.train.tolist() == np.flatnonzero(~shown[:140]).tolist()
        assert fold.valid.tolist() == (140 + np.flatnonzero(~shown[140:180])).tolist()
        assert fold.test.tolist() == list(range(180, 240))
        assert fold.seen == [name for name in y if name != fold.target]
    assert numbers(cv, emotions.X, y) == [
        (f.train.tolist(), f.test.tolist()) for f in folds
    ]


def test_leaving_one_out_by_groups_and_of_classes(emotions, y):
    groups = np.arange(240) % 8
    cv = LeaveOneLabelOut(2, ["sad"])
    plain = list(GroupKFold(2).split(emotions.X, groups=groups))
    folds = list(cv.folds(emotions.X, y, groups, complete=True))
    assert [fold.target for fold in folds] == [None, "sad", None, "sad"]
    for (train, test), whole, fold in zip(plain, folds[::2], folds[1::2]):
        assert whole.train.tolist() == train.tolist()
        assert whole.seen == list(y)
        assert fold.train.tolist() == train[y["sad"].to_numpy()[train] == 0].tolist()
        assert fold.test.tolist() == test.tolist()
        assert len(fold.valid) == 0
    classes = y.idxmax(axis=1)
    found = list(LeaveOneLabelOut(KFold(2)).folds(emotions.X, classes))
    assert [fold.target for fold in found] == sorted(set(classes)) * 2
    assert all(fold.target not in set(classes[fold.train]) for fold in found)


def test_a_protocol_as_cv(emotions, y):
    """One label, which the model is not told of and its scorer asks for."""
    model = PooledLinearClassifier(
        C=0.01,
        label_vectors=emotions.label_vectors,
        labels=[name for name in y if name != "sad"],
    )
    cv = LeaveOneLabelOut(OfficialSplit(SPLIT), ["sad"])
    scorer = make_label_scorer("roc_auc", "sad")
    (score,) = cross_val_score(model, emotions.X, y, cv=cv, scoring=scorer)
    train = np.flatnonzero(y["sad"][:140] == 0)
    model.fit(emotions.X[train], y.iloc[train])
    assert score == scorer(model, emotions.X[180:], y[180:])
    assert 0 < score < 1


def test_few_shots_are_exactly_so_many(emotions, y):
    cv = FewShotSplit("happy", n_shots=4, split=SPLIT, n_draws=3, random_state=1)
    pairs = list(cv.split(emotions.X, y))
    assert len(pairs) == cv.get_n_splits() == 3
    for few, test in pairs:
        assert few.max() < 140
        assert y["happy"].to_numpy()[few].tolist().count(1) == 4
        assert len(few) == 8
        assert test.tolist() == list(range(180, 240))
    assert pairs[0][0].tolist() != pairs[1][0].tolist()
    assert numbers(cv, emotions.X, y) == [(a.tolist(), b.tolist()) for a, b in pairs]
    ((few, rest),) = FewShotSplit("happy", fraction=0.01).split(emotions.X, y)
    assert len(few) == 2
    assert sorted([*few, *rest]) == list(range(240))


def test_unknown_labels_are_neither_positive_nor_negative(y):
    told = y.astype(float)
    told.loc[10:, "happy"] = np.nan
    told.loc[:9, "happy"] = [1.0, 0.0] * 5
    ((few, _),) = FewShotSplit("happy", n_shots=5).split(told, told)
    assert few.tolist() == list(range(10))


@pytest.fixture
def iemocap(tmp_path):
    counts = {"train": 9, "valid": 7, "test": 8}
    sizes = {"longest": 20, "counts": counts}
    four = layouts.write_iemocap_four(tmp_path / "four.pkl", layouts.content(**sizes))
    sizes = {"longest": 21, "counts": counts, "seed": 1}
    nine = layouts.write_iemocap_nine(tmp_path / "nine", layouts.content(**sizes))
    return load_multimodal(four), load_multimodal(nine)


def test_iemocap_protocol(iemocap):
    four, nine = iemocap
    both = append_labels(four, nine, ["excited", "surprised"])
    assert list(both.y) == [*four.y, "excited", "surprised"]
    n = {name: int(nine.part("test").y[name].sum()) for name in ("excited", "surprised")}
    assert both.X.shape == (24 + sum(n.values()),)
    assert both.y.iloc[24:][list(four.y)].to_numpy().sum() == 0
    assert both.X.lengths("text").max() <= four.X.lengths("text").max()
    cv = AppendedLabels(both.split, both.appended)
    folds = list(cv.folds(both.X, both.y))
    assert [fold.target for fold in folds] == ["excited", "surprised"] == cv.labels
    assert cv.get_n_splits() == 2
    for fold in folds:
        assert fold.train.tolist() == list(range(9))
        assert fold.valid.tolist() == list(range(9, 16))
        assert fold.seen == list(four.y)
        assert len(fold.test) == 8 + n[fold.target]
        assert both.y[fold.target].iloc[fold.test].sum() == n[fold.target]
    assert numbers(cv, both.X, both.y) == [
        (f.train.tolist(), f.test.tolist()) for f in folds
    ]
    shown = nine.part("test")
    own = np.flatnonzero(shown.y["excited"])
    first = both.X[24]["audio"]
    np.testing.assert_array_equal(first, shown.X[own[0]]["audio"][: len(first)])


def test_missing_modalities_take_away_and_say_what(emotions):
    X = emotions.X
    cases = list(MissingModalities([0.5], [("text",)], n_draws=2).cases(X))
    assert [case.name for case in cases] == ["complete", "rate 0.5", "rate 0.5", "text"]
    assert all((cases[0].X.lengths(m) == X.lengths(m)).all() for m in X.modalities)
    gone = [np.mean([case.X.lengths(m) == 0 for m in X.modalities]) for case in cases[1:3]]
    assert all(0.3 < share < 0.5 for share in gone)  # one is left to each utterance
    assert gone[0] != gone[1]
    assert cases[3].X.modalities == ("text",)
    assert cases[3].rows.all()


CORPUS = EmotionCorpus(
    X=np.eye(3), y=pd.DataFrame({"sad": [1, 0, 1]}), split=["train", "valid", "test"]
)
REFUSED = {
    "split has 240 rows, but X has 3; give the split of these very": lambda y: list(
        OfficialSplit(SPLIT).split(range(3))
    ),
    "split has no 'test' row; it has 'train'": lambda y: list(
        OfficialSplit(["train"]).split([0])
    ),
    "split has no 'valid' row; it has 'train', 'test', but this protocol needs": lambda y: (
        list(LeaveOneLabelOut(OfficialSplit(["train"] * 239 + ["test"])).folds(y, y))
    ),
    r"split has shape \(\)": lambda y: OfficialSplit("train"),
    r"labels name 'Sad' \(near: sad\), but y has": lambda y: list(
        LeaveOneLabelOut(2, ["Sad"]).split(y, y)
    ),
    "No row of y shows 'sad', so there is nothing to judge": lambda y: list(
        LeaveOneLabelOut(2, ["sad"]).split(y, y.assign(sad=0))
    ),
    "All 40 validation rows show 'sad'": lambda y: list(
        LeaveOneLabelOut(OfficialSplit(SPLIT), ["sad"]).split(
            y, y.assign(sad=(SPLIT == "valid").astype(int))
        )
    ),
    "200 positives and as many negatives of 'sad' were asked for, but there are": lambda y: (
        list(FewShotSplit("sad", n_shots=200).split(y, y))
    ),
    "n_draws=0 was given; expected 1 or more": lambda y: FewShotSplit("sad", n_draws=0),
    "y has no column 'bored'": lambda y: list(FewShotSplit("bored").split(y, y)),
    "appended names no emotion, so nothing is unseen": lambda y: AppendedLabels(
        SPLIT, [""] * 240
    ),
    "labels name 'sad', which the first corpus knows already": lambda y: append_labels(
        CORPUS, CORPUS, ["sad"]
    ),
    "rates=.2. and n_draws=5 were given": lambda y: MissingModalities([2]),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_data_that_cannot_follow_are_refused(sentence, y):
    with pytest.raises(ValueError, match=sentence):
        REFUSED[sentence](y)
