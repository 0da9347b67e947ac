"""The maximum mean discrepancy, against a loop over pairs."""

import numpy as np
import pytest

from sk_mer.metrics import mmd


def plain(X, Y, gammas):
    def kernel(x, y):
        return sum(np.exp(-g * ((x - y) ** 2).sum()) for g in gammas)

    n, m = len(X), len(Y)
    within = np.mean([kernel(X[i], X[j]) for i in range(n) for j in range(n) if i != j])
    other = np.mean([kernel(Y[i], Y[j]) for i in range(m) for j in range(m) if i != j])
    return within + other - 2 * np.mean([kernel(x, y) for x in X for y in Y])


@pytest.mark.parametrize("gamma", [0.3, [0.1, 2.0]])
def test_the_formula(gamma, rng):
    X, Y = rng.normal(size=(5, 3)), rng.normal(size=(8, 3)) + 0.5
    assert mmd(X, Y, gamma=gamma) == pytest.approx(plain(X, Y, np.atleast_1d(gamma)))
    assert mmd(Y, X, gamma=gamma) == pytest.approx(mmd(X, Y, gamma=gamma))


@pytest.mark.parametrize("n", [4, 5])
def test_the_median_heuristic(n, rng):
    X, Y = rng.normal(size=(n, 3)), rng.normal(size=(3, 3)) + 0.5
    rows = np.vstack([X, Y])
    far = [((rows[i] - rows[j]) ** 2).sum() for i in range(n + 3) for j in range(i)]
    gamma = 1 / (2 * np.sort(far)[(len(far) - 1) // 2])
    assert mmd(X, Y) == pytest.approx(plain(X, Y, [gamma]))
    assert mmd(10 * X, 10 * Y) == pytest.approx(mmd(X, Y))


def test_equal_distributions_and_a_shift(rng):
    X, Y = rng.normal(size=(2, 300, 4))
    found = [mmd(X, Y + shift) for shift in (0.0, 0.5, 1.0, 2.0)]
    assert abs(found[0]) < 0.005
    assert found == sorted(found)
    assert found[1] > 0.02


def test_without_bias(rng):
    """Samples of one distribution give 0 in the mean, small as they are."""
    found = [mmd(*rng.normal(size=(2, 4, 2)), gamma=0.5) for _ in range(2000)]
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(2000)
    assert min(found) < 0


def test_the_order_of_rows_does_not_matter(rng):
    X, Y = rng.normal(size=(2, 20, 3))
    assert mmd(X, Y[rng.permutation(20)]) == pytest.approx(mmd(X, Y))


def test_rows_that_are_all_the_same():
    assert mmd(np.ones((3, 2)), np.ones((4, 2))) == pytest.approx(0.0)
    most = np.vstack([np.zeros((9, 2)), [[3.0, 3.0]]])
    assert np.isfinite(mmd(most, most))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (([[1.0]], [[1.0], [2.0]]), "minimum of 2 is required"),
        (([[1.0], [2.0]], [[1.0, 2.0]] * 2), "X has 1 features and Y has 2; give samples"),
        (([[1.0], [np.nan]], [[1.0], [2.0]]), "Input X contains NaN"),
    ],
)
def test_samples_that_do_not_fit(given, message):
    with pytest.raises(ValueError, match=message):
        mmd(*given)


@pytest.mark.parametrize("gamma", [0.0, -1.0, np.inf, [], [1.0, 0.0], [[1.0]]])
def test_kernels_that_do_not_fit(gamma):
    with pytest.raises(ValueError, match=r"^gamma=.* expected a positive number, several"):
        mmd([[1.0], [2.0]], [[1.0], [2.0]], gamma=gamma)
