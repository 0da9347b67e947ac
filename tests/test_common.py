"""scikit-learn's own checks, on the default instance of every public estimator."""

import inspect

import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.estimator_checks import (
    check_estimator,
    estimator_checks_generator,
    parametrize_with_checks,
)

import sk_mer
from sk_mer import EFLSTMClassifier, LFLSTMClassifier, MTEClassifier
from sk_mer.base import BaseMultimodalClassifier

CLASSIFIERS = [MTEClassifier(), EFLSTMClassifier(), LFLSTMClassifier()]


def subclasses(cls):
    for child in cls.__subclasses__():
        yield child
        yield from subclasses(child)


def test_every_public_classifier_is_checked():
    public = {
        child
        for child in subclasses(BaseMultimodalClassifier)
        if child.__module__.startswith("sk_mer.") and not child.__name__.startswith("_")
    }
    assert {type(model) for model in CLASSIFIERS} == public
    exported = {
        value
        for value in vars(sk_mer).values()
        if inspect.isclass(value) and issubclass(value, ClassifierMixin)
    }
    assert exported == public


# Two of scikit-learn's checks cast NaN to integers on purpose.
@parametrize_with_checks(CLASSIFIERS)
def test_sklearn_check(estimator, check):
    check(estimator)


def test_no_check_is_switched_off():
    """Default instances run as many checks as a plain classifier of scikit-learn."""

    for model in CLASSIFIERS:
        n_checks = sum(1 for _ in estimator_checks_generator(model))
        print(f"{type(model).__name__}: {n_checks} checks")
        assert n_checks >= 55
        tags = model.__sklearn_tags__()
        assert not tags._skip_test
        assert not tags.no_validation
        assert not tags.non_deterministic
        assert not tags.classifier_tags.poor_score


@pytest.mark.parametrize("model", CLASSIFIERS, ids=lambda m: type(m).__name__)
def test_constructor_only_assigns(model):
    assert isinstance(clone(model), BaseEstimator)
    source = inspect.getsource(type(model).__init__)
    body = source[source.index("-> None:") + len("-> None:") :]
    for line in filter(None, map(str.strip, body.splitlines())):
        name = line.removeprefix("self.").partition(" = ")[0]
        assert line == f"self.{name} = {name}"


def test_systems_share_their_parameters():
    shared = set(MTEClassifier().get_params())
    for model in CLASSIFIERS:
        assert shared <= set(model.get_params())


def test_check_estimator_reports_no_failure():
    """The route a user takes: one call, nothing expected to fail."""
    quick = MTEClassifier(hidden_sizes=(8, 8, 8), lr=0.02, batch_size=16, max_epochs=30)
    results = check_estimator(quick, on_skip=None, on_fail=None)
    status = [result["status"] for result in results]
    assert status.count("failed") == status.count("xfail") == 0
    print(f"{status.count('passed')} passed, {status.count('skipped')} skipped")
