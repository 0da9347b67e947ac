"""
Ask for an emotion that was never trained on
============================================

A model trained on six emotions is asked for two others by their word vectors alone.
The utterances are generated, so that the best reachable scores are known.
"""

# %%
# Six emotions to train on, two to keep aside
# -------------------------------------------

import matplotlib.pyplot as plt
import numpy as np

from sk_mer import MTEClassifier
from sk_mer.datasets import make_multimodal_emotions
from sk_mer.metrics import label_auc_score

data = make_multimodal_emotions(1600, noise=1.0, random_state=0)
train, test = slice(0, 1100), slice(1100, None)
data.X

# %%
# Train, then speak of all eight
# ------------------------------
# ``set_labels`` takes seen and unseen words alike.

model = MTEClassifier(
    label_vectors=data.label_vectors,
    hidden_sizes=(16, 24, 24),
    num_layers=1,
    lr=3e-3,
    batch_size=64,
    max_epochs=15,
    random_state=0,
)
model.fit(data.X[train], data.y[data.seen][train])
words = [*data.seen, *data.unseen]
model.set_labels(words)

# %%
# One modality at a time
# ----------------------
# The maps from word vectors to audio and vision were learned on other emotions; they
# carry the new ones too.

auc = {
    "all": label_auc_score(data.y[test], model.predict_proba(data.X[test]), average=None)
}
for name in data.X.modalities:
    proba = model.predict_proba(data.X[test].select(name))
    auc[name] = label_auc_score(data.y[test], proba, average=None)

figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
place = np.arange(len(words))
for k, (name, scores) in enumerate(auc.items()):
    axes.bar(place + 0.2 * k - 0.3, scores, width=0.2, label=name)
axes.plot(place, data.best_auc, "k_", markersize=26, label="best reachable")
axes.axvspan(len(data.seen) - 0.5, len(words) - 0.5, color="grey", alpha=0.15)
axes.set(xticks=place, xticklabels=words, ylabel="AUC", ylim=(0, 1.1))
axes.set_xlim(-0.5, len(words) - 0.5)
axes.legend(ncols=5, loc="upper center", bbox_to_anchor=(0.5, -0.08), frameon=False)
plt.show()

# %%
# What it does not know
# ---------------------
# Give the unseen words random vectors, and they fall to chance: what the model knows of
# them comes from the place of their vectors among the others. (One random vector may by
# luck point the right way; the mean of many does not.)

rng = np.random.default_rng(0)
size = len(data.label_vectors["happy"])
at_random = []
for _ in range(40):
    model.set_labels({word: rng.normal(size=size) for word in data.unseen})
    proba = model.predict_proba(data.X[test])
    at_random.append(label_auc_score(data.y[data.unseen][test], proba))
print(f"AUC of unseen emotions: {auc['all'][len(data.seen) :].mean():.2f}")
print(f"with random vectors, mean of 40 draws: {np.mean(at_random):.2f}")
