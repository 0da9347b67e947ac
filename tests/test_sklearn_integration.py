"""Grid search, cross-validation, pipelines, callbacks, metadata, display."""

from typing import ClassVar

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.fixes import parse_version
from skorch.callbacks import Callback

from sk_mer import LFLSTMClassifier, MTEClassifier, MultimodalArray
from sk_mer.metrics import make_label_scorer, roc_auc_scorer, weighted_accuracy_scorer
from sk_mer.preprocessing import MultimodalScaler

from .conftest import SMALL

HAS_CALLBACKS = parse_version(sklearn.__version__) >= parse_version("1.9")


@pytest.fixture
def pipeline(emotions):
    model = MTEClassifier(
        label_vectors=emotions.label_vectors,
        hidden_sizes=(16, 6, 6),
        **{**SMALL, "max_epochs": 2},
    )
    return Pipeline([("scale", MultimodalScaler()), ("mte", model)])


@pytest.mark.parametrize("n_labels", [2, 6])
def test_grid_search_is_the_same_in_parallel(emotions, pipeline, n_labels):
    groups = np.repeat(np.arange(24), 10)
    y = emotions.y[emotions.seen[:n_labels]]
    scoring = {
        "w_acc": weighted_accuracy_scorer,
        "auc": roc_auc_scorer,
        "fear": make_label_scorer("roc_auc", y.columns[-1]),
    }
    found = []
    for n_jobs in (1, 2):
        search = GridSearchCV(
            pipeline,
            {"mte__lr": [0.01, 0.02], "scale__with_std": [True, False]},
            cv=GroupKFold(3),
            scoring=scoring,
            refit="auc",
            n_jobs=n_jobs,
            error_score="raise",
        )
        search.fit(emotions.X, y, groups=groups)
        found.append(search)
    one, two = (search.cv_results_ for search in found)
    scores = [key for key in one if key.startswith("split")]
    assert len(scores) == 9
    for key in scores:
        np.testing.assert_array_equal(one[key], two[key])
        assert np.isfinite(one[key]).all()
    assert found[0].best_params_ == found[1].best_params_
    best = found[1]
    np.testing.assert_array_equal(
        best.predict_proba(emotions.X), found[0].predict_proba(emotions.X)
    )
    assert best.best_estimator_["mte"].labels_ == list(y.columns)
    y_array = y.to_numpy()
    assert make_label_scorer("f1", y.columns[0])(best, emotions.X, y_array) >= 0


def test_sklearns_own_scorers_see_two_labels(emotions, mte):
    """``classes_`` has one entry a label, as that of MLPClassifier."""
    from sklearn.metrics import get_scorer, roc_auc_score

    y = emotions.y[["happy", "sad"]]
    mte.fit(emotions.X, y)
    expected = roc_auc_score(y, mte.predict_proba(emotions.X))
    assert get_scorer("roc_auc")(mte, emotions.X, y) == pytest.approx(expected)


def test_cross_validate(emotions, pipeline):
    scores = cross_validate(
        pipeline,
        emotions.X,
        emotions.y[emotions.seen],
        groups=np.arange(240) % 5,
        cv=GroupKFold(2),
        scoring=weighted_accuracy_scorer,
        error_score="raise",
    )
    assert scores["test_score"].shape == (2,)


def test_groups_reach_the_classifier(emotions, pipeline):
    groups = np.repeat(np.arange(12), 20)
    seen_rows = {}

    class Spy(Callback):
        def on_train_begin(self, net, X=None, **kwargs):
            seen_rows["train"] = X.X.lengths("text")

    pipeline.set_params(mte__net_params={"callbacks": [("spy", Spy())]})
    pipeline.fit(emotions.X, emotions.y[emotions.seen], mte__groups=groups)
    # A tenth of twelve groups is one group of 20 rows.
    assert len(seen_rows["train"]) == 220


class GroupSpy(Callback):
    """Notes which groups are trained on and which validate, in each fit."""

    seen: ClassVar[list] = []

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        if not net.history[:-1]:
            parts = (dataset_train.X, dataset_valid.X)
            self.seen.append([set(X.values("group").ravel().tolist()) for X in parts])


@pytest.mark.parametrize("requested", [True, False])
def test_metadata_routing(emotions, mte, requested):
    """Groups arrive in ``fit``: validation rows are then whole groups."""
    groups = np.repeat(np.arange(12), 20)
    told = {name: [row[name] for row in emotions.X] for name in emotions.X.modalities}
    X = MultimodalArray({**told, "group": groups[:, None]})
    GroupSpy.seen.clear()
    mte.set_params(
        max_epochs=1,
        validation_fraction=0.3,
        hidden_sizes=4,
        net_params={"callbacks": [("spy", GroupSpy())]},
    )
    with sklearn.config_context(enable_metadata_routing=True):
        model = clone(mte).set_fit_request(groups=requested, X_val=False, y_val=False)
        steps = make_pipeline(FunctionTransformer(), model)
        cross_validate(
            steps,
            X,
            emotions.y[emotions.seen],
            params={"groups": groups},
            cv=GroupKFold(2).set_split_request(groups=True),
            scoring=weighted_accuracy_scorer,
            error_score="raise",
        )
    assert len(GroupSpy.seen) == 2
    for train, valid in GroupSpy.seen:
        assert len(train | valid) == 6
        if requested:
            assert not train & valid
            assert len(valid) == 2  # three tenths of six
        else:
            assert train & valid


def test_nested_parameters_and_clone(pipeline):
    pipeline.set_params(mte__lr=0.5, mte__hidden_sizes={"audio": 3})
    copied = clone(pipeline)
    assert copied.get_params()["mte__lr"] == 0.5
    assert copied["mte"].hidden_sizes == {"audio": 3}
    assert not hasattr(copied["mte"], "net_")


def test_html_repr(pipeline, fitted_mte):
    assert "MTEClassifier" in pipeline._repr_html_()
    assert "fitted" in fitted_mte._repr_html_()
    assert "MTEClassifier" in repr(pipeline)


def test_set_labels_inside_a_pipeline(emotions, pipeline):
    pipeline.fit(emotions.X, emotions.y[emotions.seen])
    pipeline["mte"].set_labels(emotions.unseen)
    assert pipeline.predict_proba(emotions.X).shape == (240, 2)
    assert len(pipeline.classes_) == 2


class Recorder:
    """A scikit-learn callback that counts epochs and stops after `stop_after`."""

    def __init__(self, stop_after=None):
        self.stop_after = stop_after
        self.tasks = []

    def setup(self, estimator, context):
        self.tasks.append("setup")

    def teardown(self, estimator, context):
        self.tasks.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.tasks.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context):
        self.tasks.append(f"end {context.task_name}")
        return self.tasks.count("end epoch") == self.stop_after


@pytest.mark.skipif(not HAS_CALLBACKS, reason="scikit-learn has callbacks from 1.9 on")
class TestCallbacks:
    def test_epochs_are_tasks(self, emotions, mte):
        recorder = Recorder()
        mte.set_callbacks(recorder).fit(emotions.X, emotions.y[emotions.seen])
        epochs = ["begin epoch", "end epoch"] * mte.n_iter_
        assert recorder.tasks == ["setup", "begin fit", *epochs, "end fit", "teardown"]

    def test_a_callback_may_stop(self, emotions, mte):
        mte.set_callbacks(Recorder(stop_after=2)).fit(emotions.X, emotions.y[emotions.seen])
        assert mte.n_iter_ == 2

    def test_progress_bar_shows_epochs(self, emotions, mte, capsys):
        pytest.importorskip("rich")
        from sklearn.callback import ProgressBar

        mte.set_callbacks(ProgressBar()).fit(emotions.X, emotions.y[emotions.seen])
        assert "MTEClassifier - fit" in capsys.readouterr().out

    def test_progress_bar_in_a_search(self, emotions, mte, capsys):
        pytest.importorskip("rich")
        from sklearn.callback import ProgressBar

        search = GridSearchCV(mte, {"lr": [0.01, 0.02]}, cv=2, scoring=roc_auc_scorer)
        search.set_callbacks(ProgressBar()).fit(emotions.X, emotions.y[emotions.seen])
        assert "MTEClassifier" in capsys.readouterr().out


def test_older_scikit_learn_has_no_callbacks(emotions, monkeypatch):
    """Without the protocol a fit runs as before and skorch's callbacks still work."""
    import importlib
    import sys

    from sk_mer import _compat as _sklearn_callbacks

    monkeypatch.setitem(sys.modules, "sklearn.callback", None)
    older = importlib.reload(_sklearn_callbacks)
    try:
        context = older.CallbackSupportMixin()._init_callback_context(max_subtasks=3)
        assert context.call_on_fit_task_begin() is None
        assert context.subcontext(task_name="epoch").call_on_fit_task_end() is False
        with monkeypatch.context() as patch:
            patch.setattr(
                LFLSTMClassifier, "_init_callback_context",
                older.CallbackSupportMixin._init_callback_context,
            )  # fmt: skip
            model = LFLSTMClassifier(hidden_sizes=4, **SMALL)
            assert model.fit(emotions.X, emotions.y[emotions.seen]).n_iter_ == 4
    finally:
        monkeypatch.undo()
        importlib.reload(_sklearn_callbacks)


def test_verbose_prints_epochs(emotions, mte, capsys):
    mte.set_params(verbose=1).fit(emotions.X, emotions.y[emotions.seen])
    assert "valid_weighted_accuracy" in capsys.readouterr().out
