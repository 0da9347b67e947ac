"""What the base gives a system that asks for it: small systems that ask for each thing.

The systems of the package keep the same contract; see test_systems.py.
"""

import copy

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, cross_val_predict, cross_validate
from torch import nn

import sk_mer
from sk_mer import LFLSTMClassifier, LFLSTMRegressor, MTEClassifier, MultimodalArray
from sk_mer.models.layers.head import LabelHead, SystemModule

from .conftest import SMALL

FULL = {"batch_size": 512, "dropout": 0.0, "validation_fraction": None, "num_layers": 1}
FULL |= {"hidden_sizes": 6, "max_epochs": 3, "lr": 0.01, "random_state": 0}


class Means(SystemModule):
    """A linear layer over the mean step of one modality."""

    def __init__(self, name, n_features, n_outputs):
        super().__init__()
        self.name = name
        self.head = LabelHead(n_features, n_outputs)

    def means(self, sequences, lengths):
        total = sequences[self.name].sum(dim=1)
        return total / lengths[self.name].clamp(min=1)[:, None]

    def forward(self, sequences, lengths):
        return self.head(self.means(sequences, lengths))


class MeansClassifier(LFLSTMClassifier):
    """LF-LSTM's parameters around another module."""

    module = Means

    def _make_module(self, spec):
        return type(self).module("text", spec.n_features["text"], len(spec))


@pytest.fixture
def y(emotions):
    return emotions.y[emotions.seen]


class TestExtras:
    """A module may answer more in training, which only its own loss reads."""

    def classifier(self):
        class WithExtras(Means):
            def forward(self, sequences, lengths):
                states = self.means(sequences, lengths)
                logits = self.head(states)
                return (logits, states) if self.training else logits

        class Penalised(nn.Module):
            def __init__(self, labels):
                super().__init__()
                self.labels, self.seen = labels, []

            def forward(self, outputs, y, sample_weight=None):
                self.seen.append(type(outputs))
                return self.labels(outputs, y, sample_weight)

        class System(MeansClassifier):
            module = WithExtras

            def _make_criterion(self, targets, pos_weight):
                loss = Penalised(super()._make_criterion(targets, pos_weight))
                self.losses.append(loss)
                return loss

        System.losses = []
        return System

    @pytest.mark.parametrize(
        "continual", ["gem", "gem-gradient", "agem", "joint", "replay", "finetune"]
    )
    def test_in_fit_and_in_every_memory(self, emotions, y, continual):
        system = self.classifier()
        model = system(**SMALL, continual=continual, memory_size=40)
        model.fit(emotions.X[:200], y.iloc[:200, :5])
        assert set(system.losses[0].seen) == {tuple, torch.Tensor}  # training, validation
        model.partial_fit(emotions.X[200:], y.iloc[200:])
        n_losses = 2 if continual == "finetune" else 3
        assert len(system.losses) == n_losses
        assert all(tuple in loss.seen for loss in system.losses)
        assert model.predict_proba(emotions.X).shape == (240, 6)

    def test_a_loss_of_ones_own_gets_logits(self, emotions, y):
        given = {"criterion": nn.BCEWithLogitsLoss}
        ours = self.classifier()(**SMALL, pos_weight=None).fit(emotions.X, y)
        theirs = clone(ours).set_params(net_params=given).fit(emotions.X, y)
        np.testing.assert_allclose(
            theirs.predict_proba(emotions.X), ours.predict_proba(emotions.X), rtol=1e-4
        )


class TestUnknownLabels:
    def test_half_of_the_cells(self, emotions, y, rng):
        some = y.astype(float).mask(rng.random(y.shape) < 0.5)
        some.iloc[:, 0] = y.iloc[:, 0]
        settings = {**SMALL, "max_epochs": 12}
        model = LFLSTMClassifier(hidden_sizes=8, **settings).fit(emotions.X, some)
        auc = sk_mer.metrics.label_auc_score(y.to_numpy(), model.predict_proba(emotions.X))
        assert auc > 0.8
        scored = sk_mer.metrics.roc_auc_scorer(model, emotions.X, some)
        assert scored == pytest.approx(auc, abs=0.05)

    def test_two_corpora_with_different_emotions(self, emotions, y):
        """Their tables joined by pandas have NaN where a corpus has no such column."""
        first, second = y[["happy", "sad"]][:120], y[["sad", "anger"]][120:]
        both = pd.concat([first, second])
        model = LFLSTMClassifier(hidden_sizes=8, **SMALL).fit(emotions.X, both)
        assert model.labels_ == ["happy", "sad", "anger"]
        assert model.predict(emotions.X).shape == (240, 3)

    def test_rows_of_which_nothing_is_known(self, emotions, y):
        """They are left out, and told; the model is that of the others, to the bit."""
        some = y.astype(float)
        some.iloc[::7] = np.nan
        known = np.flatnonzero(some.notna().all(axis=1))
        expected = LFLSTMClassifier(hidden_sizes=8, **SMALL)
        expected.fit(emotions.X[known], y.iloc[known])
        model = clone(expected)
        with pytest.warns(UserWarning, match="35 of 240 rows of y tell about no label"):
            model.fit(emotions.X, some)
        np.testing.assert_array_equal(
            model.predict_proba(emotions.X), expected.predict_proba(emotions.X)
        )

    @pytest.mark.parametrize("kind", ["boolean", "Int64", "Float64", "object"])
    def test_missing_values_of_pandas(self, emotions, y, kind):
        some = y.astype("Int64").astype(kind) if kind != "object" else y.astype(object)
        some.iloc[3, 0] = pd.NA if kind != "object" else None
        expected = y.astype(float)
        expected.iloc[3, 0] = np.nan
        fits = [
            LFLSTMClassifier(hidden_sizes=4, **SMALL).fit(emotions.X, labels)
            for labels in (some, expected)
        ]
        np.testing.assert_array_equal(*(fit.predict_proba(emotions.X) for fit in fits))

    def test_a_label_of_which_nothing_is_known(self, emotions, y):
        with pytest.raises(ValueError, match=r"y is unknown \(NaN\) throughout for 'sad'"):
            LFLSTMClassifier().fit(emotions.X, y.assign(sad=np.nan))

    def test_only_one_is_positive(self, emotions, y):
        """Any other number is refused, though it is as true as 1."""
        with pytest.raises(ValueError, match=r"y holds -1.* expected 0, 1, or NaN"):
            LFLSTMClassifier().fit(emotions.X, y.replace({0: -1}))

    def test_thresholds_and_validation(self, emotions, y):
        """What is not known of validation rows changes neither thresholds nor scores."""
        X_val, y_val = emotions.X[:100], y.iloc[:100].astype(float)
        some = y_val.copy()
        some.iloc[60:, 1] = np.nan
        model = LFLSTMClassifier(hidden_sizes=8, threshold="tune", **SMALL)
        model.fit(emotions.X[100:], y.iloc[100:], X_val=X_val, y_val=some)
        proba = model.predict_proba(X_val)
        known = sk_mer.model_selection.tune_thresholds(
            y_val.iloc[:60, [1]], proba[:60, [1]]
        )
        assert model.thresholds_[1] == known
        rest = sk_mer.model_selection.tune_thresholds(y_val.iloc[:, 2:], proba[:, 2:])
        np.testing.assert_array_equal(model.thresholds_[2:], rest)

    def test_minus_one_for_systems_that_read_unlabelled_rows(self, emotions, y):
        class SemiSupervised(MeansClassifier):
            _reads_unlabeled = True

        classes = np.arange(240) % 3
        some = np.where(np.arange(240) % 2, -1, classes)
        model = SemiSupervised(memory_size=50, **SMALL).fit(emotions.X, some)
        assert model.classes_.tolist() == [0, 1, 2]
        plain = MeansClassifier(**SMALL).fit(emotions.X, some)
        assert plain.classes_.tolist() == [-1, 0, 1, 2]
        two = SemiSupervised(**SMALL).fit(emotions.X, np.where(classes, 1, -1))
        assert two.classes_.tolist() == [-1, 1]  # as in any binary problem
        model.partial_fit(emotions.X, some)
        assert model.labels_ == [0, 1, 2]


class TestSampleWeight:
    @pytest.mark.parametrize("form", ["columns", "classes"])
    def test_zero_is_absent_and_two_is_twice(self, emotions, y, form):
        targets = (
            y.to_numpy()
            if form == "columns"
            else np.array(list("abc"))[y.to_numpy().sum(axis=1) % 3]
        )
        weights = np.arange(240) % 3
        rows = np.repeat(np.arange(240), weights)
        expected = LFLSTMClassifier(**FULL).fit(emotions.X[rows], targets[rows])
        model = LFLSTMClassifier(**FULL).fit(emotions.X, targets, sample_weight=weights)
        np.testing.assert_allclose(
            model.predict_proba(emotions.X), expected.predict_proba(emotions.X), atol=1e-4
        )
        unweighted = LFLSTMClassifier(**FULL).fit(emotions.X, targets)
        assert not np.allclose(
            model.predict_proba(emotions.X), unweighted.predict_proba(emotions.X), atol=1e-3
        )

    def test_rows_of_no_weight_bring_in_nothing(self, emotions, y):
        """Neither a class nor a length, and to the bit, also where rows are drawn."""
        classes = np.where(np.arange(240) < 200, np.arange(240) % 2, 2)
        weights = np.where(classes == 2, 0.0, 1.0)
        model = LFLSTMClassifier(hidden_sizes=4, **SMALL)
        model.fit(emotions.X, classes, sample_weight=weights)
        expected = clone(model).fit(emotions.X[:200], classes[:200])
        assert model.classes_.tolist() == [0, 1]
        np.testing.assert_allclose(
            model.predict_proba(emotions.X), expected.predict_proba(emotions.X), atol=1e-5
        )

    def test_in_partial_fit(self, emotions, y):
        weights = np.arange(60) % 3
        rows = np.repeat(np.arange(60), weights)
        base = LFLSTMClassifier(**FULL, continual="replay", store_memory=True)
        base.fit(emotions.X[60:], y.iloc[60:, :5])
        base.set_params(memory_size=None)
        first, second = (copy.deepcopy(base) for _ in range(2))
        first.partial_fit(emotions.X[:60], y[:60], sample_weight=weights)
        second.partial_fit(emotions.X[rows], y.iloc[rows])
        np.testing.assert_allclose(
            first.predict_proba(emotions.X), second.predict_proba(emotions.X), atol=1e-4
        )
        held = first.memory_.episodes[-1].examples
        assert held.weights.tolist() == weights[weights > 0].tolist()

    def test_refused(self, emotions, y):
        model = LFLSTMClassifier()
        for bad, message in (
            (np.zeros(240), "sample_weight is zero in every row"),
            (-np.ones(240), "[Nn]egative"),
            (np.ones(3), "sample_weight"),
        ):
            with pytest.raises(ValueError, match=message):
                model.fit(emotions.X, y, sample_weight=bad)
        model.set_params(net_params={"criterion": nn.BCEWithLogitsLoss})
        with pytest.raises(ValueError, match="takes no sample_weight; leave criterion out"):
            model.fit(emotions.X, y, sample_weight=np.ones(240))

    def test_scikit_learn_routes_them(self, emotions, y):
        weights = np.arange(240) % 3
        seen = []

        class Watching(MeansClassifier):
            def fit(self, X, y, *, sample_weight=None, groups=None):
                seen.append(sample_weight.sum())
                return super().fit(X, y, sample_weight=sample_weight, groups=groups)

        with sklearn.config_context(enable_metadata_routing=True):
            model = Watching(**SMALL).set_fit_request(sample_weight=True)
            model.set_score_request(sample_weight=False)
            cross_validate(model, emotions.X, y, cv=3, params={"sample_weight": weights})
        assert len(seen) == 3
        assert sum(seen) == 2 * weights.sum()

    def test_in_validation_scores(self, emotions, y):
        """The epoch that is kept is the best by the weighted score."""
        model = MeansClassifier(**SMALL).fit(emotions.X, y, sample_weight=np.ones(240))
        plain = clone(model).fit(emotions.X, y)
        heavy = clone(model).fit(emotions.X, y, sample_weight=1.0 + 9 * (y["sad"] == 1))
        scores = [
            [row["valid_weighted_accuracy"] for row in fit.history_]
            for fit in (model, plain, heavy)
        ]
        np.testing.assert_allclose(scores[0], scores[1], atol=1e-6)
        assert scores[2] != scores[0]


class TestClassWeight:
    def test_a_mapping_shifts_the_answer(self, emotions):
        classes = np.where(np.arange(240) % 2, "calm", "sad")
        settings = {**SMALL, "max_epochs": 10}
        for favoured, other in (("calm", "sad"), ("sad", "calm")):
            weights = {favoured: 100.0, other: 0.01}
            model = MeansClassifier(class_weight=weights, **settings)
            found = model.fit(emotions.X, classes).predict(emotions.X)
            assert (found == favoured).mean() > 0.9

    def test_each_kind_of_y_has_its_own(self, emotions, y):
        classes = y["sad"].to_numpy()
        for given, labels, name in (
            ({"pos_weight": None}, classes, "class_weight"),
            ({"pos_weight": {0: 1.0}}, classes, "class_weight"),
            ({"class_weight": {"sad": 1.0}}, y, "pos_weight"),
            ({"class_weight": None}, y, "pos_weight"),
        ):
            (parameter,) = given
            message = f"{parameter}=.* was given, but y has .*, which {name} weighs; leave"
            with pytest.raises(ValueError, match=message):
                LFLSTMClassifier(**given).fit(emotions.X, labels)
        with pytest.raises(ValueError, match="class_weight names 7; known are 0, 1"):
            LFLSTMClassifier(class_weight={7: 1.0}).fit(emotions.X, classes)


class TestMissing:
    def test_zeros_for_what_a_system_needs(self, emotions, y):
        X = emotions.X
        text = [u.get("text") if k % 5 else None for k, u in enumerate(X)]
        X = MultimodalArray(
            {**{n: [u.get(n) for u in X] for n in ("audio", "vision")}, "text": text}
        )
        model = LFLSTMClassifier(hidden_sizes=4, **SMALL)
        with pytest.raises(
            ValueError, match=r"no steps in modality 'text'.* missing='zeros'"
        ):
            model.fit(X, y)
        model.set_params(missing="zeros")
        with pytest.warns(UserWarning, match="read as zeros: 'text' in 48 of 240 utt"):
            model.fit(X, y)
        with pytest.warns(UserWarning, match="read as zeros: 'vision' in 240 of 240"):
            found = model.predict_proba(emotions.X.drop("vision"))
        assert found.shape == (240, 6)
        assert np.isfinite(found).all()

    def test_named_modalities_only(self, emotions, y):
        class NeedsText(MTEClassifier):
            def _required(self, modalities, *, fitting):
                return modalities if fitting else ("text",)

            def _used_at_predict(self, modalities):
                return ("text",)

        model = NeedsText(hidden_sizes=(8, 6, 6), **SMALL).fit(emotions.X, y)
        alone = model.predict_proba(emotions.X.select("text"))
        np.testing.assert_array_equal(alone, model.predict_proba(emotions.X))
        with pytest.raises(ValueError, match="NeedsText needs 'text', but X lacks 'text'"):
            model.predict(emotions.X.select("audio"))
        with pytest.raises(ValueError, match="X lacks 'audio', 'vision'"):
            model.partial_fit(emotions.X.select("text"), y)


class TestGroups:
    def classifier(self):
        class OfVideos(Means):
            """Adds the mean of the video to each utterance."""

            def forward(self, sequences, lengths, groups):
                states = self.means(sequences, lengths)
                same = (groups[:, None] == groups).to(states)
                return self.head(states + same @ states / same.sum(dim=1, keepdim=True))

        class System(MeansClassifier):
            module = OfVideos
            _batches_of_groups = True

        return System(**{**SMALL, "batch_size": 4})

    def test_videos_are_read_together(self, emotions, y, rng):
        videos = np.array([f"v{k}" for k in rng.integers(0, 40, 240)])
        X = emotions.X.with_groups(videos)
        model = self.classifier().fit(X, y)
        whole = model.decision_function(X)
        for video in ("v0", "v7"):
            rows = np.flatnonzero(videos == video)
            np.testing.assert_allclose(
                model.decision_function(X[rows]), whole[rows], rtol=1e-4, atol=1e-5
            )
        alone = model.decision_function(X.with_groups(None))
        assert not np.allclose(alone, whole)
        given = self.classifier().fit(emotions.X, y, groups=videos)
        np.testing.assert_array_equal(given.decision_function(X), whole)

    def test_inside_cross_validation(self, emotions, y, rng):
        videos = rng.integers(0, 40, 240)
        X = emotions.X.with_groups(videos)
        found = cross_val_predict(
            self.classifier(), X, y.to_numpy(), cv=GroupKFold(3), groups=videos
        )
        assert found.shape == (240, 6)

    def test_drawn_validation_keeps_the_containers_groups(self, emotions, y):
        drawn = []

        class Watching(MeansClassifier):
            def _train(self, module, criterion, train, valid, *args, **kwargs):
                drawn.append((train.X.groups, valid.X.groups))
                return super()._train(module, criterion, train, valid, *args, **kwargs)

        videos = np.arange(240) // 6
        Watching(**SMALL).fit(emotions.X.with_groups(videos), y)
        assert not set(drawn[0][0]) & set(drawn[0][1])


class TestLabelsThatInteract:
    def test_set_labels_selects(self, emotions, y):
        class Interacting(Means):
            def forward(self, sequences, lengths):
                return self.head(self.means(sequences, lengths)).softmax(dim=1)

        class System(MeansClassifier):
            module = Interacting
            _labels_interact = True

        model = System(**SMALL).fit(emotions.X, y)
        whole = model.decision_function(emotions.X)
        some = model.set_labels(["sad", "happy"]).decision_function(emotions.X)
        columns = [emotions.seen.index(name) for name in ("sad", "happy")]
        np.testing.assert_array_equal(some, whole[:, columns])
        assert model.predict(emotions.X).shape == (240, 2)
        with pytest.raises(ValueError, match="has never seen 'excited'"):
            model.set_labels(["excited"])


class TestRegression:
    def data(self, emotions):
        rows = [u["text"].mean(axis=0)[:2] for u in emotions.X]
        return pd.DataFrame(np.array(rows) * 40 + 100, columns=["valence", "arousal"])

    @pytest.mark.parametrize("loss", ["squared_error", "concordance"])
    def test_learns_numbers_of_any_scale(self, emotions, loss):
        y = self.data(emotions)
        settings = {**SMALL, "max_epochs": 40}
        model = LFLSTMRegressor(hidden_sizes=16, loss=loss, **settings)
        model.fit(emotions.X[:200], y[:200])
        found = model.predict(emotions.X)
        assert found.shape == (240, 2)
        assert model.targets_ == ["valence", "arousal"]
        assert model.score(emotions.X[:200], y[:200]) > 0.8
        assert model.history_[-1]["valid_loss"] < model.history_[0]["valid_loss"]

    def test_unknown_numbers(self, emotions, rng):
        y = self.data(emotions)
        some = y.mask(rng.random(y.shape) < 0.4)
        settings = {**SMALL, "max_epochs": 30}
        with pytest.warns(UserWarning, match="rows of y tell about no label"):
            model = LFLSTMRegressor(hidden_sizes=16, **settings).fit(emotions.X, some)
        assert model.score(emotions.X, y) > 0.6
        np.testing.assert_allclose(model.target_mean_, some.mean(), rtol=0.02)
        with pytest.raises(ValueError, match="NaN throughout for 'arousal'"):
            model.fit(emotions.X, y.assign(arousal=np.nan))
        with pytest.raises(ValueError, match="NaN"):
            model.fit(emotions.X, some["valence"].to_numpy())

    def test_weights(self, emotions):
        y = self.data(emotions)["valence"].to_numpy()
        weights = np.arange(240) % 3
        rows = np.repeat(np.arange(240), weights)
        expected = LFLSTMRegressor(**FULL).fit(emotions.X[rows], y[rows])
        model = LFLSTMRegressor(**FULL).fit(emotions.X, y, sample_weight=weights)
        np.testing.assert_allclose(
            model.predict(emotions.X), expected.predict(emotions.X), rtol=1e-4
        )

    def test_bad_numbers(self, emotions):
        for bad, message in (
            (np.array(["a"] * 240), "holds values that are no numbers"),
            (np.full(240, np.inf), "infinite"),
            (np.ones(3), "y has 3 rows but X has 240"),
            (np.ones((240, 2, 2)), "y has 3 dimensions; expected 1, a value"),
        ):
            with pytest.raises(ValueError, match=message):
                LFLSTMRegressor().fit(emotions.X, bad)


def test_export_is_offered_where_it_can_be_done(emotions, y):
    class Plain(MeansClassifier):
        _exports_onnx = False

    assert hasattr(LFLSTMClassifier(), "export_onnx")
    assert not hasattr(Plain(), "export_onnx")
    assert not hasattr(LFLSTMRegressor(), "export_onnx")
