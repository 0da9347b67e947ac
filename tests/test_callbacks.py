"""skorch's callbacks: the recipes of the guide, scores of epochs, nested parameters."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from skorch.callbacks import Callback, EpochScoring

from sk_mer import LFLSTMClassifier
from sk_mer.metrics import roc_auc_scorer, weighted_accuracy_scorer
from sk_mer.preprocessing import MultimodalScaler

from .systems import CLASSES, LABELS, NUMBERS, X, make

GUIDE = Path(__file__).parents[1] / "docs" / "user_guide" / "callbacks.rst"
SETTINGS = {
    "hidden_sizes": 4,
    "num_layers": 1,
    "max_epochs": 3,
    "validation_fraction": 0.25,
    "random_state": 0,
}


class SummaryWriter:
    """Stands in for that of torch.utils.tensorboard, which needs a package of its own."""

    def __init__(self, folder):
        self.found = {}

    def add_scalar(self, tag, scalar_value, global_step, **kwargs):
        self.found.setdefault(tag, []).append(float(scalar_value))

    def close(self):
        """Nothing is open."""


def recipe(title, folder):
    """Names that are there after the code under a title of the guide has run."""
    text = GUIDE.read_text(encoding="utf-8").partition(f"{title}\n---")[2]
    block = re.search(r"\.\. code-block:: python\n\n((?:   .*\n|\n)+)", text).group(1)
    known = {
        "GridSearchCV": GridSearchCV,
        "LFLSTMClassifier": LFLSTMClassifier,
        "SummaryWriter": SummaryWriter,
        "folder": str(folder),
        "settings": SETTINGS,
        "torch": torch,
        "X": X,
        "y": LABELS,
    }
    if title.startswith("The optimizer"):
        known["settings"] = {name: v for name, v in SETTINGS.items() if name != "lr"}
    exec(re.sub(r"(?m)^   ", "", block), known)
    return known


class TestRecipes:
    def test_every_one_is_tested(self):
        titles = re.findall(r"(.+)\n-{4,}\n", GUIDE.read_text(encoding="utf-8"))
        assert titles == [
            *("The optimizer in a grid search", "Scores of each epoch", "Checkpoints"),
            *("Learning rates", "Freezing layers", "TensorBoard"),
        ]

    def test_grid(self, tmp_path):
        search = recipe("The optimizer in a grid search", tmp_path)["search"]
        name = "param_net_params__optimizer__weight_decay"
        assert sorted(set(search.cv_results_[name])) == [0.0, 1e-3]
        found = search.best_params_["net_params__optimizer__weight_decay"]
        groups = search.best_estimator_.net_params
        assert groups == {"optimizer__weight_decay": found}

    def test_scores(self, tmp_path):
        curve = recipe("Scores of each epoch", tmp_path)["curve"]
        assert len(curve) == 3
        assert all(0 <= value <= 1 for value in curve)

    def test_checkpoint(self, tmp_path):
        found = recipe("Checkpoints", tmp_path)
        trained = make_plain().fit(X, LABELS)
        expected = trained.net_.module_.state_dict()
        assert set(found["weights"]) == set(expected)

    def test_learning_rates(self, tmp_path):
        model = recipe("Learning rates", tmp_path)["model"]
        expected = make_plain().fit(X, LABELS)
        assert model.history_[-1]["train_loss"] != expected.history_[-1]["train_loss"]

    def test_freezing(self, tmp_path):
        model = recipe("Freezing layers", tmp_path)["model"]
        plain = dict(make_plain().fit(X, LABELS).net_.module_.named_parameters())
        first = make_plain(max_epochs=1, lr=1e-30).fit(X, LABELS)
        start = dict(first.net_.module_.named_parameters())

        def still(name, weight):
            return torch.allclose(weight, start[name], rtol=0, atol=1e-12)

        # The backward direction reads one step only, and some of its weights never move.
        learns = [name for name, weight in plain.items() if not still(name, weight)]
        assert any(name.startswith("encoders.0.") for name in learns)
        for name, weight in model.net_.module_.named_parameters():
            if name in learns:
                assert still(name, weight) == name.startswith("encoders.0."), name

    def test_tensorboard(self, tmp_path):
        found = recipe("TensorBoard", tmp_path)
        written = found["board"].writer.found
        losses = [epoch["train_loss"] for epoch in found["model"].history_]
        np.testing.assert_allclose(written["Loss/train_loss"], losses)


def make_plain(**changes):
    return LFLSTMClassifier(**{**SETTINGS, **changes})


def scored(scoring, y, system="LFLSTMClassifier", **settings):
    callback = EpochScoring(scoring, name="found", lower_is_better=False, **settings)
    model = make(
        system, validation_fraction=0.25, net_params={"callbacks": [("score", callback)]}
    )
    return model.fit(X, y).history_


class TestScores:
    @pytest.mark.parametrize("scoring", ["f1_macro", "roc_auc", "accuracy", roc_auc_scorer])
    def test_of_labels(self, scoring):
        assert all(0 <= epoch["found"] <= 1 for epoch in scored(scoring, LABELS))

    @pytest.mark.parametrize("scoring", ["f1_macro", "roc_auc_ovr", "neg_log_loss"])
    def test_of_classes(self, scoring):
        assert all(np.isfinite(epoch["found"]) for epoch in scored(scoring, CLASSES))

    @pytest.mark.parametrize("scoring", ["roc_auc", "neg_brier_score", "balanced_accuracy"])
    def test_of_two_classes(self, scoring):
        history = scored(scoring, np.where(LABELS.iloc[:, 0], "yes", "no"))
        assert all(np.isfinite(epoch["found"]) for epoch in history)

    @pytest.mark.parametrize("y", [LABELS, CLASSES], ids=["labels", "classes"])
    def test_it_is_the_score_of_the_validation_rows(self, y):
        for epoch in scored(weighted_accuracy_scorer, y):
            assert epoch["found"] == pytest.approx(epoch["valid_weighted_accuracy"])

    def test_of_numbers(self):
        history = scored("neg_mean_squared_error", NUMBERS, "LFLSTMRegressor")
        for epoch in history:
            assert -epoch["found"] == pytest.approx(epoch["valid_loss"], rel=1e-4)

    def test_of_training_rows(self):
        assert all(0 <= e["found"] <= 1 for e in scored("f1_macro", LABELS, on_train=True))

    def test_history_is_saved(self, tmp_path):
        callback = EpochScoring("f1_macro", name="found", lower_is_better=False)
        model = make_plain(net_params={"callbacks": [("score", callback)]}).fit(X, LABELS)
        with pytest.warns(UserWarning, match="'callbacks'"):
            model.save(tmp_path / "m")
        assert LFLSTMClassifier.load(tmp_path / "m").history_ == model.history_


def test_history_keeps_numbers_and_no_notes_of_skorch():
    class Notes(Callback):
        def on_epoch_end(self, net, **kwargs):
            net.history.record("seconds", 2.5)
            net.history.record("text", "no number")

    model = make_plain(net_params={"callbacks": [("notes", Notes())]}).fit(X, LABELS)
    assert set(model.history_[0]) == {
        *("epoch", "train_loss", "valid_loss", "valid_weighted_accuracy", "dur", "seconds"),
        "lr",
    }
    assert "seconds" not in make_plain().fit(X, LABELS).history_[0]


class TestNestedParameters:
    def test_get_and_set(self):
        model = make_plain(net_params={"optimizer__weight_decay": 0.1})
        assert model.get_params()["net_params__optimizer__weight_decay"] == 0.1
        given = model.net_params
        model.set_params(net_params__optimizer__weight_decay=0.2, lr=0.5)
        assert (model.net_params, model.lr) == ({"optimizer__weight_decay": 0.2}, 0.5)
        assert given == {"optimizer__weight_decay": 0.1}  # the user's own is left alone
        assert clone(model).net_params == model.net_params
        assert "net_params__optimizer__weight_decay" not in model.get_params(deep=False)

    def test_where_there_are_none(self):
        model = make_plain().set_params(net_params__optimizer__weight_decay=0.2)
        assert model.net_params == {"optimizer__weight_decay": 0.2}
        both = make_plain().set_params(
            net_params={"verbose_": 1}, net_params__optimizer__weight_decay=0.2
        )
        assert both.net_params == {"verbose_": 1, "optimizer__weight_decay": 0.2}

    def test_in_a_pipeline(self):
        steps = make_pipeline(MultimodalScaler(), make_plain())
        steps.set_params(lflstmclassifier__net_params__optimizer__weight_decay=0.3)
        assert steps[-1].net_params == {"optimizer__weight_decay": 0.3}

    def test_it_reaches_the_optimizer(self):
        plain, decayed = make_plain(), make_plain()
        decayed.set_params(net_params__optimizer__weight_decay=10.0)
        norms = [
            sum(
                float(w.detach().norm())
                for w in model.fit(X, LABELS).net_.module_.parameters()
            )
            for model in (plain, decayed)
        ]
        assert norms[1] < norms[0]

    def test_unknown_names(self):
        with pytest.raises(ValueError, match="net_params has 'optimiser__lr'"):
            make_plain().set_params(net_params__optimiser__lr=1).fit(X, LABELS)
        with pytest.raises(ValueError, match="Invalid parameter"):
            make_plain().set_params(net_param__optimizer__lr=1)
