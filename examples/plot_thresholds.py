"""
Rare emotions need their own thresholds
=======================================

Balanced weights lift rare emotions: their probabilities are then no frequencies, and 0.5
says "yes" too often. A threshold for each emotion, chosen on folds of the training rows,
puts that right. Real comments where they can be downloaded, else generated ones
(:download:`real_data.py </../examples/real_data.py>`).
"""

# %%
# From one in four to one in a hundred
# ------------------------------------

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from real_data import comments, counts
from sklearn.model_selection import cross_val_predict

from sk_mer import PooledLinearClassifier
from sk_mer.inspection import ThresholdCurveDisplay
from sk_mer.metrics import positive_f1_score, weighted_accuracy_score

data = comments()
print(data.source)
names = list(counts(data.y_train).index)
y_train, y_test = data.y_train[names], data.y_test[names]
(y_train.mean() * 100).round(1).rename("% of comments").to_frame().T

# %%
# Thresholds for F1, from out-of-fold scores
# ------------------------------------------
# Each training comment is scored by a model that did not see it.

model = PooledLinearClassifier(C=0.01)
scores = cross_val_predict(model, data.X_train, y_train, cv=3, method="predict_proba")
grid = np.linspace(0.05, 0.95, 19)
figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
curves = ThresholdCurveDisplay.from_predictions(
    y_train, scores, metric="positive_f1", thresholds=grid, ax=axes
)
found = curves.best_thresholds
found

# %%
# On test comments
# ----------------

model.fit(data.X_train, y_train)
table = pd.DataFrame(index=names)
plain = model.predict(data.X_test)
table["0.5"] = positive_f1_score(y_test, plain, average=None)
model.set_params(threshold=found).set_labels(names)
tuned = model.predict(data.X_test)
table["its own"] = positive_f1_score(y_test, tuned, average=None)
print(f"F1: {table['0.5'].mean():.3f} -> {table['its own'].mean():.3f}")
print(
    f"weighted accuracy: {weighted_accuracy_score(y_test, plain):.3f} -> "
    f"{weighted_accuracy_score(y_test, tuned):.3f}"
)

figure, axes = plt.subplots(figsize=(7, 5), layout="constrained")
table[::-1].plot.barh(ax=axes, width=0.8)
axes.set(xlabel="F1 on test comments")
axes.legend(
    title="threshold",
    loc="upper center",
    bbox_to_anchor=(0.5, -0.1),
    ncols=2,
    frameon=False,
)
plt.show()

# %%
# F1 rises and weighted accuracy falls: they ask for different things. Choose the threshold
# by the score that your application is judged by.
