"""The matrix R of the GEM paper, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["TransferMatrix", "transfer_matrix"]


class TransferMatrix(NamedTuple):
    """Scores of each task after each call.

    Parameters
    ----------
    matrix : ndarray of shape (n_calls + 1, n_tasks)
        Mean score of the labels of each task: in the first row after ``fit``, then after
        each call of ``partial_fit``. Where a label is not known yet, or cannot be told,
        NaN; the row before a task has its score before it was trained.
    tasks : list of list
        Labels that came together; those of ``fit`` first.
    average : float
        Mean of the last row.
    backward : float
        Mean, over all tasks but the last, of the last score less that right after the
        task; below 0 it was forgotten.
    forward : float
        Mean, over all tasks but the first, of the score before the task, less 0.5.
    """

    matrix: NDArray[np.float64]
    tasks: list[list[Any]]
    average: float
    backward: float
    forward: float


def transfer_matrix(
    reports: Sequence[Mapping[str, Any]], metric: str = "auc"
) -> TransferMatrix:
    """What was learned and forgotten over all calls of ``partial_fit``.

    Parameters
    ----------
    reports : sequence of mappings
        ``continual_report_`` of a classifier. Rows of the matrix can be compared where
        the same validation data were given to each call.
    metric : {"auc", "weighted_accuracy"}, default="auc"
        Which scores.

    Returns
    -------
    TransferMatrix

    Raises
    ------
    ValueError
        If there are no reports, or no such scores.

    References
    ----------
    Section 2 of Lopez-Paz and Ranzato, NeurIPS 2017.

    Examples
    --------
    >>> from sk_mer.inspection import transfer_matrix
    >>> report = {
    ...     "labels": ["happy", "awe"], "new": ["awe"],
    ...     "auc_before": [0.9, 0.75], "auc_after": [0.65, 1.0],
    ... }
    >>> found = transfer_matrix([report])
    >>> found.matrix.tolist(), found.backward, found.forward
    ([[0.9, 0.75], [0.65, 1.0]], -0.25, 0.25)
    """
    if not reports:
        raise ValueError("reports is empty; call partial_fit after fit first.")
    if f"{metric}_before" not in reports[0]:
        raise ValueError(f"metric={metric!r}; expected 'auc' or 'weighted_accuracy'.")
    first = reports[0]
    tasks = [[name for name in first["labels"] if name not in first["new"]]]
    learned_at = [0]  # the row right after each task
    for call, report in enumerate(reports, start=1):
        if report["new"]:
            tasks.append(list(report["new"]))
            learned_at.append(call)
    matrix = np.full((len(reports) + 1, len(tasks)), np.nan)
    matrix[0] = _by_task(first, f"{metric}_before", tasks)
    for call, report in enumerate(reports, start=1):
        before = _by_task(report, f"{metric}_before", tasks)
        matrix[call - 1] = np.where(np.isnan(matrix[call - 1]), before, matrix[call - 1])
        matrix[call] = _by_task(report, f"{metric}_after", tasks)
    learned = matrix[learned_at, range(len(tasks))]
    ahead = [matrix[row - 1, k] for k, row in enumerate(learned_at) if row]
    return TransferMatrix(
        matrix,
        tasks,
        _mean(matrix[-1]),
        _mean((matrix[-1] - learned)[:-1]),
        _mean(np.array(ahead) - 0.5),
    )


def _by_task(
    report: Mapping[str, Any], key: str, tasks: Sequence[Sequence[Any]]
) -> NDArray[np.float64]:
    """Mean score of the labels of each task that the report knows."""
    score = dict(zip(report["labels"], report[key], strict=True))
    return np.array(
        [_mean(np.array([score.get(name, np.nan) for name in task])) for task in tasks]
    )


def _mean(values: NDArray[np.float64]) -> float:
    told = values[~np.isnan(values)]
    return float(told.mean()) if len(told) else float("nan")
