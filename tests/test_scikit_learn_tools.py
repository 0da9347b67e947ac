"""The table of scikit-learn's tools in the guide: what it says of each is so."""

import re
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from sklearn import (
    calibration,
    compose,
    ensemble,
    frozen,
    inspection,
    linear_model,
    metrics,
    model_selection,
    multiclass,
    multioutput,
    pipeline,
    preprocessing,
    semi_supervised,
    utils,
)
from sklearn.base import clone
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import RFE, SelectFromModel

from sk_mer import MTEClassifier, MultimodalArray
from sk_mer.preprocessing import MultimodalScaler

from .systems import CLASSES, DATA, LABELS, NUMBERS, X, make

matplotlib.use("Agg")
GUIDE = Path(__file__).parents[1] / "docs" / "user_guide" / "scikit_learn.rst"
WORDS, CODES = np.unique(CLASSES, return_inverse=True)
TWO = CODES > 0
VALENCE = NUMBERS["valence"]
GRID = {"lr": [0.01, 0.02]}


def rows():
    """What the table says: form by tool."""
    text = GUIDE.read_text(encoding="utf-8").partition("list-table")[2]
    found = re.findall(r"\* - (``.*)\n     - (\w+)\n", text)
    return {tool: form for tools, form in found for tool in re.findall(r"``(.+?)``", tools)}


def plain(**changes):
    return make("LFLSTMClassifier", max_epochs=1, **changes)


def chained(model):
    """With room for the columns that a chain adds."""
    form = model.modalities
    return (
        model if form is None else model.set_params(modalities={**form, "others": "rest"})
    )


def predicts(tool, A, y):
    answer = tool.fit(A, y).predict(A)
    assert np.shape(answer) == np.shape(y)
    assert np.asarray(answer).dtype.kind == "f" or set(np.unique(answer)) <= set(
        np.unique(y)
    )


def displays(kind, A, y):
    kind.from_estimator(plain().fit(A, y), A, y)
    matplotlib.pyplot.close("all")


# Each takes a system, a regressor, and utterances as container or matrix.
RUNS = {
    "cross_validate": lambda m, r, A: model_selection.cross_validate(m, A, CLASSES, cv=2),
    "cross_val_score": lambda m, r, A: model_selection.cross_val_score(
        m, A, LABELS, cv=2, error_score="raise"
    ),
    "cross_val_predict": lambda m, r, A: [
        model_selection.cross_val_predict(m, A, y, cv=2, method=method)
        for y in (LABELS, CLASSES)
        for method in ("predict_proba", "decision_function")
    ],
    "GridSearchCV": lambda m, r, A: model_selection.GridSearchCV(m, GRID, cv=2).fit(A, LABELS),
    "RandomizedSearchCV": lambda m, r, A: model_selection.RandomizedSearchCV(
        m, GRID, n_iter=2, cv=2
    ).fit(A, LABELS),
    "HalvingGridSearchCV": lambda m, r, A: model_selection.HalvingGridSearchCV(
        m, GRID, cv=2, min_resources=48
    ).fit(A, CLASSES),
    "learning_curve": lambda m, r, A: model_selection.learning_curve(
        m, A, CLASSES, cv=2, train_sizes=[0.5, 1.0], error_score="raise", shuffle=True, random_state=0
    ),
    "validation_curve": lambda m, r, A: model_selection.validation_curve(
        m, A, CLASSES, cv=2, param_name="lr", param_range=[0.1, 0.2], error_score="raise"
    ),
    "permutation_test_score": lambda m, r, A: model_selection.permutation_test_score(
        m, A, CLASSES, cv=2, n_permutations=2
    ),
    "LeaveOneGroupOut": lambda m, r, A: model_selection.cross_val_score(
        m, A, CLASSES, cv=model_selection.LeaveOneGroupOut(), groups=np.arange(96) % 2,
        error_score="raise",
    ),
    "GroupKFold": lambda m, r, A: model_selection.cross_val_score(
        m, A, CLASSES, cv=model_selection.GroupKFold(2), groups=np.arange(96) % 4,
        error_score="raise",
    ),
    "train_test_split": lambda m, r, A: predicts(
        m, *model_selection.train_test_split(A, CLASSES, stratify=CLASSES)[::2]
    ),
    "resample": lambda m, r, A: predicts(m, *utils.resample(A, CLASSES, random_state=0)),
    "shuffle": lambda m, r, A: predicts(m, *utils.shuffle(A, CLASSES, random_state=0)),
    "Pipeline": lambda m, r, A: predicts(
        pipeline.make_pipeline(
            MultimodalScaler(), preprocessing.FunctionTransformer(), m
        ), A, LABELS.to_numpy(),
    ),
    "VotingClassifier": lambda m, r, A: predicts(
        ensemble.VotingClassifier([("a", m), ("b", m)], voting="soft"), A, CLASSES
    ),
    "StackingClassifier": lambda m, r, A: predicts(
        ensemble.StackingClassifier([("a", m)], linear_model.LogisticRegression(), cv=2),
        A, CLASSES,
    ),
    "StackingClassifier(passthrough=True)": lambda m, r, A: ensemble.StackingClassifier(
        [("a", m)], linear_model.LogisticRegression(), cv=2, passthrough=True
    ).fit(A, CLASSES),
    "CalibratedClassifierCV": lambda m, r, A: [
        predicts(calibration.CalibratedClassifierCV(m, method=method, cv=2), A, CLASSES)
        for method in ("sigmoid", "isotonic", "temperature")
    ],
    "FrozenEstimator": lambda m, r, A: predicts(
        calibration.CalibratedClassifierCV(frozen.FrozenEstimator(m.fit(A, CLASSES))),
        A, CLASSES,
    ),
    "TunedThresholdClassifierCV": lambda m, r, A: predicts(
        model_selection.TunedThresholdClassifierCV(m, cv=2), A, TWO
    ),
    "FixedThresholdClassifier": lambda m, r, A: predicts(
        model_selection.FixedThresholdClassifier(m, threshold=0.3), A, TWO
    ),
    "MultiOutputClassifier": lambda m, r, A: predicts(
        multioutput.MultiOutputClassifier(m), A, LABELS.to_numpy()
    ),
    "OneVsRestClassifier": lambda m, r, A: predicts(
        multiclass.OneVsRestClassifier(m), A, CLASSES
    ),
    "OneVsOneClassifier": lambda m, r, A: predicts(
        multiclass.OneVsOneClassifier(m), A, CLASSES
    ),
    "OutputCodeClassifier": lambda m, r, A: predicts(
        multiclass.OutputCodeClassifier(m, random_state=0), A, CLASSES
    ),
    "ClassifierChain": lambda m, r, A: predicts(
        multioutput.ClassifierChain(chained(m)), A, LABELS.to_numpy()
    ),
    "BaggingClassifier": lambda m, r, A: predicts(
        ensemble.BaggingClassifier(m, 2, random_state=0), A, CLASSES
    ),
    "AdaBoostClassifier": lambda m, r, A: predicts(
        ensemble.AdaBoostClassifier(m, n_estimators=2, random_state=0), A, CLASSES
    ),
    "SelfTrainingClassifier": lambda m, r, A: predicts(
        semi_supervised.SelfTrainingClassifier(m, max_iter=1),
        A, np.where(np.arange(96) < 20, -1, CODES),
    ),
    "permutation_importance": lambda m, r, A: inspection.permutation_importance(
        m.fit(A, CLASSES), A, CLASSES, n_repeats=1
    ),
    "ConfusionMatrixDisplay": lambda m, r, A: displays(
        metrics.ConfusionMatrixDisplay, A, CLASSES
    ),
    "RocCurveDisplay": lambda m, r, A: displays(metrics.RocCurveDisplay, A, TWO),
    "PrecisionRecallDisplay": lambda m, r, A: displays(
        metrics.PrecisionRecallDisplay, A, TWO
    ),
    "TransformedTargetRegressor": lambda m, r, A: predicts(
        compose.TransformedTargetRegressor(r, transformer=preprocessing.MinMaxScaler()),
        A, NUMBERS,
    ),
    "MultiOutputRegressor": lambda m, r, A: predicts(
        multioutput.MultiOutputRegressor(r), A, NUMBERS
    ),
    "RegressorChain": lambda m, r, A: predicts(
        multioutput.RegressorChain(chained(r)), A, NUMBERS
    ),
    "VotingRegressor": lambda m, r, A: predicts(
        ensemble.VotingRegressor([("a", r), ("b", r)]), A, VALENCE
    ),
    "StackingRegressor": lambda m, r, A: predicts(
        ensemble.StackingRegressor([("a", r)], cv=2), A, VALENCE
    ),
    "BaggingRegressor": lambda m, r, A: predicts(ensemble.BaggingRegressor(r, 2, random_state=0), A, VALENCE),
    "AdaBoostRegressor": lambda m, r, A: predicts(
        ensemble.AdaBoostRegressor(r, n_estimators=2, random_state=0), A, VALENCE
    ),
    "StandardScaler": lambda m, r, A: predicts(
        pipeline.make_pipeline(preprocessing.StandardScaler(), m), A, CLASSES
    ),
    "ColumnTransformer": lambda m, r, A: compose.ColumnTransformer(
        [("a", preprocessing.FunctionTransformer(), ["text"])]
    ).fit_transform(A),
    "FeatureUnion": lambda m, r, A: predicts(
        pipeline.make_pipeline(pipeline.FeatureUnion([("a", MultimodalScaler())]), m),
        A, CLASSES,
    ),
    "SelectFromModel": lambda m, r, A: SelectFromModel(m).fit(A, CLASSES).transform(A),
    "RFE": lambda m, r, A: RFE(m).fit(A, CLASSES),
    "partial_dependence": lambda m, r, A: inspection.partial_dependence(
        m.fit(A, CLASSES), A, ["text"]
    ),
}  # fmt: skip


def test_the_table_has_every_tool_that_is_run():
    assert list(rows()) == list(RUNS)
    assert set(rows().values()) == {"container", "matrix", "no"}


def runs_on(tool, form):
    """Run a tool on utterances as a container or as a matrix of two modalities."""
    small = X.select("audio", "vision")
    changes = {} if form == "container" else {"modalities": small.matrix_form}
    system, regressor = plain(**changes), make("LFLSTMRegressor", max_epochs=1, **changes)
    RUNS[tool](system, regressor, small if form == "container" else small.to_matrix())


@pytest.mark.filterwarnings("ignore::FutureWarning")  # scikit-learn's own, of its tools
@pytest.mark.parametrize("tool", RUNS)
def test_a_tool_works_as_the_table_says(tool):
    form = rows()[tool]
    if form != "no":
        runs_on(tool, form)
    if form == "matrix":
        with pytest.raises(TypeError, match=r"X\.to_matrix\(\) with modalities=X"):
            runs_on(tool, "container")
    if form == "no":
        for other in ("container", "matrix"):
            if tool != "StackingClassifier(passthrough=True)" or other == "container":
                with pytest.raises((TypeError, ValueError, IndexError)):
                    runs_on(tool, other)


def test_codes_as_the_guide_says():
    """Every tool that codes classes, with a system that has label vectors."""
    model = MTEClassifier(
        label_vectors=DATA.label_vectors, labels=list(WORDS), hidden_sizes=4, max_epochs=1
    )
    for tool in ("cross_val_predict", "VotingClassifier", "StackingClassifier"):
        if tool == "cross_val_predict":
            model_selection.cross_val_predict(
                model, X, CLASSES, cv=2, method="predict_proba"
            )
        else:
            RUNS[tool](model, None, X)


class TestMatrix:
    def test_there_and_back(self, rng):
        kept = [[2, 0, 3], [1, 4, 0]]
        lists = [[rng.normal(size=(n, size)) for n in ns] for ns, size in zip(kept, (2, 3))]
        A = MultimodalArray(text=lists[0], audio=lists[1])
        assert A.matrix_form == {"text": (3, 2), "audio": (4, 3)}
        matrix = A.to_matrix()
        assert matrix.dtype == np.float32
        assert matrix.shape == (3, 1 + 6 + 1 + 12)
        assert matrix[:, 0].tolist() == kept[0]
        assert matrix[:, 7].tolist() == kept[1]
        back = MultimodalArray.from_matrix(matrix, A.matrix_form)
        for name in A.modalities:
            np.testing.assert_array_equal(back.lengths(name), A.lengths(name))
            np.testing.assert_array_equal(back.values(name), A.values(name))

    def test_zeros_that_are_steps_stay_steps(self):
        A = MultimodalArray(text=[np.zeros((2, 1)), np.ones((3, 1))])
        model = plain(modalities=A.matrix_form)
        read = model._checked(A.to_matrix(), reset=True)
        assert read.lengths("text").tolist() == [2, 3]

    def test_an_estimator_reads_the_same_utterances(self):
        by_container = plain().fit(X, LABELS)
        by_matrix = plain(modalities=X.matrix_form).fit(X.to_matrix(), LABELS)
        expected = by_container.predict_proba(X)
        np.testing.assert_array_equal(by_matrix.predict_proba(X.to_matrix()), expected)
        short = X[:3].to_matrix(X.matrix_form)
        np.testing.assert_allclose(by_matrix.predict_proba(short), expected[:3], atol=1e-6)

    def test_it_is_saved(self, tmp_path):
        model = plain(modalities=X.matrix_form).fit(X.to_matrix(), LABELS)
        model.save(tmp_path / "m")
        again = type(model).load(tmp_path / "m")
        assert again.modalities == X.matrix_form
        np.testing.assert_array_equal(
            again.predict_proba(X.to_matrix()), model.predict_proba(X.to_matrix())
        )

    def test_columns_behind_the_form(self):
        form = {**X.matrix_form, "others": "rest"}
        matrix = X.to_matrix()
        plain_rows = MultimodalArray.from_matrix(matrix, form)
        assert "others" not in plain_rows
        wider = np.hstack([matrix, np.ones((96, 2))])
        assert MultimodalArray.from_matrix(wider, form).n_features["others"] == 2

    @pytest.mark.parametrize(
        ("form", "message"),
        [
            ({"text": (11, 5)}, r"has no modality 'audio'; add it, or leave it out"),
            ({**X.matrix_form, "text": (1, 5)}, r"more than 1 steps of 'text'.*give it 11"),
            (
                {**X.matrix_form, "text": (11, 6)},
                r"'text' has 5 features, but 6 in the form",
            ),
            ({"text": (4, 0)}, r"\(4, 0\) for 'text'; expected \(n_steps, n_features\)"),
            ({"text": "rest"}, r"'rest' for 'text'; expected"),
            ({"text": "rest", "audio": (2, 2)}, r"'rest' for 'text'; expected"),
        ],
    )
    def test_forms_that_do_not_fit(self, form, message):
        with pytest.raises(ValueError, match=message):
            X.to_matrix(form)

    def test_matrices_that_do_not_fit(self):
        model, matrix = plain(modalities=X.matrix_form), X.to_matrix()
        with pytest.raises(
            ValueError, match=r"135 columns, but X has 134; give all columns"
        ):
            model.fit(matrix[:, 1:], LABELS)
        with pytest.raises(ValueError, match=r"but X has 137; .*add 'others': 'rest'"):
            model.fit(np.hstack([matrix, matrix[:, :2]]), LABELS)
        for wrong in (-1, 0.5, 12, np.inf):
            changed = matrix.copy()
            changed[3, 0] = wrong
            with pytest.raises(ValueError, match=r"column of lengths|contains infinity"):
                model.fit(changed, LABELS)
        with pytest.raises(ValueError, match=r"form of a matrix, but X has 3 dimensions"):
            model.fit(np.ones((96, 2, 3)), LABELS)
        assert clone(model).fit(matrix, LABELS).n_features_in_ == matrix.shape[1]
