"""
Which emotions does a comment show?
===================================

Comments with several emotions each: a linear baseline beside a recurrent network, emotion
by emotion. The comments are real where they can be downloaded (a megabyte), else generated;
:download:`real_data.py </../examples/real_data.py>` fetches them.
"""

# %%
# Comments and their emotions
# ---------------------------
# Word vectors are made from the training comments alone; GloVe's know more.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from real_data import comments

from sk_mer import LFLSTMClassifier, PooledLinearClassifier
from sk_mer.metrics import label_auc_score

data = comments()
print(data.source)
data.X_train

# %%
# Two models
# ----------
# The baseline reads the mean, the spread and the extremes of a comment's words; the network
# reads them in their order. Both weigh rare emotions up by themselves.

models = {
    "pooled, linear": PooledLinearClassifier(C=0.01),
    "LF-LSTM": LFLSTMClassifier(
        hidden_sizes=32,
        num_layers=1,
        bidirectional=False,
        lr=3e-3,
        batch_size=128,
        max_epochs=6,
        random_state=0,
    ),
}
auc = {}
for name, model in models.items():
    model.fit(data.X_train, data.y_train)
    scores = model.predict_proba(data.X_test)
    auc[name] = label_auc_score(data.y_test, scores, average=None)
auc = pd.DataFrame(auc, index=data.y_test.columns)
auc = auc.assign(training=data.y_train.sum()).sort_values("pooled, linear")
auc.round(2)

# %%
# Of the real comments frequent emotions are not the easy ones: what counts is whether there
# are words for an emotion. *Gratitude* has "thanks"; *realization* has none.

figure, axes = plt.subplots(figsize=(7, 5), layout="constrained")
place = np.arange(len(auc))
for name, marker in zip(models, "os", strict=True):
    axes.plot(auc[name], place, marker, label=name)
axes.axvline(0.5, color="grey", linestyle=":", label="chance")
axes.set(xlabel="AUC on test comments", yticks=place, xlim=(0.4, 1.0))
axes.set_yticklabels([f"{name} ({n})" for name, n in auc["training"].items()])
axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=3, frameon=False)
plt.show()

# %%
# Three comments
# --------------

rows = np.argsort(-models["pooled, linear"].predict_proba(data.X_test).max(axis=1))[:3]
table = models["pooled, linear"].most_probable(data.X_test[rows], n_labels=2).round(2)
table.insert(0, "comment", [data.sentences[row][:60] for row in rows])
table
