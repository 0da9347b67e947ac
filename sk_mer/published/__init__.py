"""What papers report, as tables: a file each, a row a number."""

from __future__ import annotations

from importlib import resources
from typing import overload

import pandas as pd

from ..labels.space import quoted

__all__ = ["published_results"]


@overload
def published_results(name: None = None, *, metric: None = None) -> list[str]: ...
@overload
def published_results(name: str, *, metric: str | None = None) -> pd.DataFrame: ...
def published_results(
    name: str | None = None, *, metric: str | None = None
) -> list[str] | pd.DataFrame:
    """Scores that papers and public code report, with their sources.

    Two of these tables are not to be ranked together unless their ``split`` is the same:
    scores on other test rows cannot be compared. For this reason only one is given at a
    time.

    Parameters
    ----------
    name : str or None, default=None
        Which table; None lists the names. Of the MTE paper there are ``"mosei-aligned"``
        (table 1), ``"iemocap-4"`` (table 2), ``"mosei-unseen"`` (table 4),
        ``"iemocap-unseen"`` (table 5) and ``"mosei-modalities"`` (table 6).
    metric : str or None, default=None
        One of the metrics of the table, for a wide table of it.

    Returns
    -------
    list of str or DataFrame
        Without `metric` a row a number: ``system`` (as in :func:`~sk_mer.systems`, where
        it is one of them), ``setting`` (such as ``"zero-shot"`` or the modalities; empty
        where there is none), ``emotion`` (``"mean"`` is the mean over emotions,
        ``"all"`` a score of all of them at once), ``metric`` (as in
        :mod:`sk_mer.metrics`), ``value`` (a share, not per cent), ``split``, ``source``
        and ``caveat``. ``"all-no"`` and ``"all-yes"`` are no systems but trivial answers.

        With `metric` a row a system (and setting, after a comma) and a column an emotion;
        NaN where nothing is reported. Read the caveats of the long table beside it.

    Raises
    ------
    ValueError
        If there is no such table or metric, or several tables are asked for.

    References
    ----------
    Wenliang Dai and others, "Modality-Transferable Emotion Embeddings for Low-Resource
    Multimodal Emotion Recognition", AACL 2020, arXiv 2009.09629. Other papers are named
    row by row.

    Examples
    --------
    >>> from sk_mer import published_results
    >>> table = published_results("iemocap-4", metric="accuracy")
    >>> table.loc[["MTE", "all-no"], "happy"].tolist()
    [0.85, 0.856]
    >>> rows = published_results("iemocap-4")
    >>> rows[rows["caveat"] == "equals all-no"]["system"].unique().tolist()
    ['EF-LSTM', 'MulT']
    """
    files = resources.files(__name__)
    names = sorted(file.name[:-4] for file in files.iterdir() if file.name.endswith(".csv"))
    if name is None and metric is None:
        return names
    if not isinstance(name, str):
        raise ValueError(
            f"name={name!r} was given; expected one name, as tables of different splits "
            "cannot be ranked together; call published_results once for each."
        )
    if name not in names:
        raise ValueError(
            f"There are no published results {name!r}; expected one of {quoted(names)}."
        )
    with files.joinpath(f"{name}.csv").open(encoding="utf-8") as file:
        rows = pd.read_csv(file, keep_default_na=False)
    return rows if metric is None else _wide(rows, metric)


def _wide(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    """A row a system and a column an emotion, both in the order of the table."""
    metrics = list(rows["metric"].unique())
    if metric not in metrics:
        raise ValueError(f"metric={metric!r} was given; this table has {quoted(metrics)}.")
    chosen = rows[rows["metric"] == metric]
    shown = (chosen["system"] + ", " + chosen["setting"]).str.removesuffix(", ")
    wide = chosen.assign(system=shown).pivot(
        index="system", columns="emotion", values="value"
    )
    emotions = list(chosen["emotion"].unique())
    return wide.reindex(index=list(shown.unique()), columns=emotions).rename_axis(
        index=None, columns=None
    )
