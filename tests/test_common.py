"""scikit-learn's own checks, on the default instance of every public estimator."""

import importlib
import inspect
import pickle
import pkgutil

import pytest
from sklearn.base import BaseEstimator, clone, is_classifier, is_regressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.random_projection import GaussianRandomProjection
from sklearn.utils.estimator_checks import (
    check_estimator,
    estimator_checks_generator,
    parametrize_with_checks,
)

import sk_mer
from sk_mer import ModuleClassifier, MTEClassifier, models
from sk_mer._display import Shown
from sk_mer._votes import VotingPredictor
from sk_mer.engine.accelerated import AcceleratedNet
from sk_mer.engine.net import MultimodalNet
from sk_mer.ensemble import SoftVotingClassifier
from sk_mer.feature_extraction import (
    AcousticSequences,
    ActionUnitSequences,
    ModalityColumns,
    PretrainedFrames,
    PretrainedSpeech,
    PretrainedText,
    WordVectorSequences,
)
from sk_mer.feature_extraction._pretrained import PretrainedFiles
from sk_mer.lexical import LexicalEmotionScorer
from sk_mer.linear_model import (
    ESZSLClassifier,
    PooledLinearClassifier,
    PooledLinearRegressor,
)
from sk_mer.preprocessing import MultimodalScaler, SegmentStatistics, SilenceTrimmer
from sk_mer.pseudo_labels import PseudoLabelClassifier
from sk_mer.serving import OnnxEmotionPredictor

from .doc_names import few_epochs

SYSTEMS = [getattr(models, name)() for name in models.__all__]
CLASSIFIERS = [system for system in SYSTEMS if is_classifier(system)]
REGRESSORS = [system for system in SYSTEMS if is_regressor(system)]
TRANSFORMERS = [MultimodalScaler(), SilenceTrimmer(), SegmentStatistics()]
CHECKED = [*SYSTEMS, *TRANSFORMERS]
# Estimators that scikit-learn's checks cannot feed, with the reason; their own tests
# check the same conventions.
NOT_CHECKED = {
    Shown: "how estimators are displayed; it has nothing to fit",
    WordVectorSequences: "takes sentences and needs word vectors; the checks give matrices",
    AcousticSequences: "takes sound files; the checks give matrices",
    ActionUnitSequences: "takes tables of faces as files; the checks give matrices",
    ModalityColumns: "takes a DataFrame of sentences and files; the checks give matrices",
    PretrainedFiles: "what pretrained encoders of files share; it is not made itself",
    PretrainedFrames: "takes videos and a checkpoint; the checks give matrices",
    PretrainedSpeech: "takes sound files and a checkpoint; the checks give matrices",
    PretrainedText: "takes sentences and a checkpoint; the checks give matrices",
    MultimodalNet: "skorch's net, which the classifiers wrap and users do not fit",
    AcceleratedNet: "the same, for several devices",
    ModuleClassifier: "needs a module of the user; its own tests train several",
    OnnxEmotionPredictor: "reads an exported model; there is nothing to fit",
    ESZSLClassifier: "is checked in tests/linear_model",
    LexicalEmotionScorer: "is checked in tests/test_lexical.py, with vectors that fit",
    PooledLinearClassifier: "is checked in tests/linear_model",
    PooledLinearRegressor: "is checked in tests/linear_model",
    PseudoLabelClassifier: "needs an estimator; is checked in tests/test_pseudo_labels.py",
    SoftVotingClassifier: "needs estimators; is checked in tests/test_ensemble.py",
    VotingPredictor: "how that one answers; it has nothing to fit",
}
EVERY = pytest.mark.parametrize("estimator", CHECKED, ids=lambda e: type(e).__name__)


def public_estimators():
    """Estimators without an underscore, abstract ones aside, of every module."""
    for info in pkgutil.walk_packages(sk_mer.__path__, "sk_mer."):
        module = importlib.import_module(info.name)
        for name, value in vars(module).items():
            if (
                inspect.isclass(value)
                and issubclass(value, BaseEstimator)
                and not name.startswith("_")
                and not inspect.isabstract(value)
                and value.__module__.startswith("sk_mer.")
            ):
                yield value


def test_every_public_estimator_is_listed():
    assert {type(e) for e in CHECKED} | set(NOT_CHECKED) == set(public_estimators())


# Validation rows and batches are drawn by row: a row that counts twice is drawn once, two
# copies of it are drawn twice. scikit-learn expects its own estimators that draw rows
# (MLP, SGD, forests) to fail these two as well.
DRAWN = "validation rows and batches are drawn by row, whatever the weights"
NOT_EQUIVALENT = {
    "check_sample_weight_equivalence_on_dense_data": DRAWN,
    "check_sample_weight_equivalence_on_sparse_data": DRAWN,
}


def expected_to_fail(estimator):
    return NOT_EQUIVALENT if estimator in SYSTEMS else {}


# Checks of a model that has learned, and one of rounding, in which small states of a model
# that has not are compared too closely: fifteen epochs are enough for every system. All
# others find in two epochs what they find in a hundred.
OF_LEARNING = {
    "check_class_weight_classifiers",
    "check_classifiers_classes",
    "check_classifiers_train",
    "check_methods_subset_invariance",
    "check_regressors_train",
}


def name_of(check):
    return getattr(check, "func", check).__name__


@parametrize_with_checks(CHECKED, expected_failed_checks=expected_to_fail)
def test_sklearn_check(estimator, check, monkeypatch):
    few_epochs(MultimodalNet, monkeypatch, 15 if name_of(check) in OF_LEARNING else 2)
    check(estimator)


def test_no_check_is_switched_off():
    """As many checks as for scikit-learn's own estimators of the same kind."""

    def names(estimator):
        return [name_of(check) for _, check in estimator_checks_generator(estimator)]

    assert {name for system in SYSTEMS for name in names(system)} >= OF_LEARNING
    # Ours have no max_iter, no set_output and no column names, and take nothing sparse.
    kinds = [
        (CLASSIFIERS, MLPClassifier(), ("max_iter", "sparse")),
        (REGRESSORS, MLPRegressor(), ("max_iter", "sparse")),
        (TRANSFORMERS, GaussianRandomProjection(), ("set_output", "feature_names")),
    ]
    for estimators, reference, not_ours in kinds:
        for estimator in estimators:
            ours = names(estimator)
            print(f"{type(estimator).__name__}: {len(ours)} checks")
            missing = set(names(reference)) - set(ours)
            assert {n for n in missing if not any(word in n for word in not_ours)} == set()


@EVERY
def test_tags_are_plain(estimator):
    tags = estimator.__sklearn_tags__()
    assert tags.input_tags.two_d_array
    assert not tags._skip_test
    assert not tags.no_validation
    assert not tags.non_deterministic
    if tags.classifier_tags is not None:
        assert not tags.classifier_tags.poor_score


@pytest.mark.parametrize(
    "estimator", [*CHECKED, WordVectorSequences({})], ids=lambda e: type(e).__name__
)
def test_constructor_only_assigns(estimator):
    assert clone(estimator).get_params() == estimator.get_params()
    assert pickle.loads(pickle.dumps(estimator)).get_params() == estimator.get_params()
    source = inspect.getsource(type(estimator).__init__)
    body = source[source.index("-> None:") + len("-> None:") :]
    for line in filter(None, map(str.strip, body.splitlines())):
        name = line.removeprefix("self.").partition(" = ")[0]
        assert line == f"self.{name} = {name}"


def test_check_estimator_reports_no_failure():
    """The route a user takes: one call, the equivalence of weights aside."""
    small = {"hidden_sizes": 8, "num_layers": 1, "lr": 0.05, "batch_size": 32}
    quick = MTEClassifier(**small, max_epochs=20)
    results = check_estimator(
        quick, on_skip=None, on_fail=None, expected_failed_checks=NOT_EQUIVALENT
    )
    status = [result["status"] for result in results]
    assert status.count("failed") == 0
    assert status.count("xfail") <= 2
    print(f"{status.count('passed')} passed, {status.count('skipped')} skipped")
