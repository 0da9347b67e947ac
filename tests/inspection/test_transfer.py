"""The matrix of scores of each task after each call."""

from __future__ import annotations

import numpy as np
import pytest

from sk_mer.inspection import transfer_matrix

NAN = float("nan")


def report(labels, new, before, after, metric="auc"):
    return {
        "labels": labels,
        "new": new,
        f"{metric}_before": before,
        f"{metric}_after": after,
    }


# Two labels of fit, then one, then more of the same, then two.
REPORTS = [
    report(["a", "b", "c"], ["c"], [0.9, 0.7, 0.6], [0.8, 0.6, 1.0]),
    report(["a", "b", "c"], [], [0.8, 0.6, 1.0], [0.9, 0.6, 0.9]),
    report(list("abcde"), ["d", "e"], [0.9, 0.6, 0.9, 0.4, 0.2], [0.5, 0.6, 0.8, 1, NAN]),
]


def test_scores_by_task_and_call():
    found = transfer_matrix(REPORTS)
    assert found.tasks == [["a", "b"], ["c"], ["d", "e"]]
    wanted = [[0.8, 0.6, NAN], [0.7, 1.0, NAN], [0.75, 0.9, 0.3], [0.55, 0.8, 1.0]]
    np.testing.assert_allclose(found.matrix, wanted)
    assert found.average == pytest.approx((0.55 + 0.8 + 1.0) / 3)
    # Of a and b since fit, of c since its first call; d and e have just come.
    assert found.backward == pytest.approx(((0.55 - 0.8) + (0.8 - 1.0)) / 2)
    assert found.forward == pytest.approx(((0.6 - 0.5) + (0.3 - 0.5)) / 2)


def test_a_call_without_new_labels():
    found = transfer_matrix(REPORTS[1:2])
    assert found.tasks == [["a", "b", "c"]]
    assert np.isnan(found.backward)
    assert np.isnan(found.forward)
    assert found.average == pytest.approx(0.8)


def test_the_other_score():
    accuracy = report(["a", "b"], ["b"], [0.5, 0.4], [0.6, 0.9], "weighted_accuracy")
    found = transfer_matrix([accuracy], metric="weighted_accuracy")
    np.testing.assert_allclose(found.matrix, [[0.5, 0.4], [0.6, 0.9]])
    assert found.backward == pytest.approx(0.1)


def test_one_sentence_each():
    with pytest.raises(ValueError, match="reports is empty; call partial_fit"):
        transfer_matrix([])
    with pytest.raises(ValueError, match="metric='f1'; expected 'auc'"):
        transfer_matrix(REPORTS, metric="f1")
