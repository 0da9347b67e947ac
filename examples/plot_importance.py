"""
Which modality does a model read?
=================================

People review products in front of a camera. A regressor tells from words, voice and face
how much they like them; shuffling one modality between the videos shows what the score owes
to it. Real recordings where they can be downloaded (8 MB), else generated utterances
(:download:`real_data.py </../examples/real_data.py>`).
"""

# %%
# Words, voice and face
# ---------------------

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from real_data import reviews
from sklearn.metrics import make_scorer
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline

from sk_mer import PooledLinearRegressor
from sk_mer.inspection import modality_importance
from sk_mer.metrics import concordance_score
from sk_mer.preprocessing import MultimodalScaler

data = reviews()
print(data.source)
data.X

# %%
# How good is it?
# ---------------
# Concordance is 1 where answers are right and 0 where they know nothing.

model = make_pipeline(
    MultimodalScaler(handle_nonfinite="zero"), PooledLinearRegressor(alpha=1e3)
)
folds = KFold(5, shuffle=True, random_state=0)
concordance = make_scorer(concordance_score)
scores = cross_val_score(model, data.X, data.y, cv=folds, scoring=concordance)
print(f"concordance of five folds: {scores.mean():.2f} +- {scores.std():.2f}")

# %%
# What does it owe to each modality?
# ----------------------------------
# On the rows held out of each fold, twenty shuffles each.

lost = []
for train, test in folds.split(data.X):
    fitted = model.fit(data.X[train], data.y.iloc[train])
    found = modality_importance(
        fitted,
        data.X[test],
        data.y.iloc[test],
        scoring=concordance,
        n_repeats=20,
        random_state=0,
    )
    lost.append(found.table["mean"])
lost = pd.DataFrame(lost).reset_index(drop=True)

figure, axes = plt.subplots(figsize=(6, 2.6), layout="constrained")
for place, name in enumerate(lost):
    axes.plot(lost[name], np.full(len(lost), place), "o", color="C0", alpha=0.5)
    axes.plot(lost[name].median(), place, "k|", markersize=20)
axes.set_yticks(np.arange(lost.shape[1]), lost.columns)
axes.axvline(0, color="grey", linestyle=":")
axes.set(xlabel="concordance lost where the modality is shuffled", ylim=(-0.5, 2.5))
plt.show()

# %%
# A dot a fold, and a line at their median. A fold has two dozen videos, so the dots are far
# apart: trust a difference only where they part.
