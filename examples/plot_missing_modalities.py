"""
Search settings, then predict without a camera
==============================================

A pipeline is tuned with speakers kept apart, and then used on utterances some of which
lack their audio or vision.
"""

# %%
# Speakers must not be in training and test at once
# -------------------------------------------------

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline

from sk_mer import MTEClassifier
from sk_mer.datasets import make_multimodal_emotions
from sk_mer.metrics import roc_auc_scorer, trivial_baselines, weighted_accuracy_score
from sk_mer.preprocessing import MultimodalScaler

data = make_multimodal_emotions(900, noise=2.0, missing={"vision": 0.3}, random_state=0)
speakers = np.arange(900) // 60
train, test = slice(0, 600), slice(600, None)
pipeline = make_pipeline(
    MultimodalScaler(),
    MTEClassifier(
        label_vectors=data.label_vectors,
        hidden_sizes=(16, 16, 16),
        num_layers=1,
        batch_size=64,
        max_epochs=8,
        random_state=0,
    ),
)
search = GridSearchCV(
    pipeline,
    {"mteclassifier__lr": [1e-3, 5e-3]},
    cv=GroupKFold(3),
    scoring=roc_auc_scorer,
)
y = data.y[data.seen]
search.fit(data.X[train], y[train], groups=speakers[train])
pd.DataFrame(search.cv_results_)[["param_mteclassifier__lr", "mean_test_score"]]

# %%
# Fewer modalities, lower scores, no error
# ----------------------------------------

X_test = data.X[test].drop("vision")
subsets = [("text",), ("audio",), ("text", "audio")]
scores = {
    " + ".join(names): weighted_accuracy_score(
        y[test], search.predict(X_test.select(*names))
    )
    for names in subsets
}
scores["what is there"] = weighted_accuracy_score(y[test], search.predict(data.X[test]))
scores["all-no"] = trivial_baselines(y[test])["all-no"]["weighted_accuracy"].mean()

figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
axes.barh(list(scores), list(scores.values()))
axes.set(xlabel="mean weighted accuracy", xlim=(0.4, 1))
plt.show()

# %%
# Who said what
# -------------
# ``modality_scores`` splits each logit into what each modality adds to it; a modality
# that an utterance lacks adds nothing.

scaled = search.best_estimator_[0].transform(data.X[test][:5])
parts = search.best_estimator_[1].modality_scores(scaled)
pd.DataFrame(
    {name: part[:, y.columns.get_loc("happy")] for name, part in parts.items()}
).round(2)
