"""Means and spreads for the tables."""

from __future__ import annotations

import pandas as pd

# Of any answer that is the same for all utterances.
CONSTANT, CHANCE = "any constant", "0.500"


def mean_and_spread(values: pd.DataFrame) -> pd.Series:
    """``mean ± standard deviation`` over the rows (seeds) of each column."""
    if len(values) < 2:
        return values.mean().map("{:.3f}".format)
    spread = values.std(ddof=1)
    return values.mean().map("{:.3f}".format) + " ± " + spread.map("{:.3f}".format)
