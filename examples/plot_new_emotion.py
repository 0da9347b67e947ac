"""
Five emotions, then surprise
============================

A model was trained on five emotions. Now somebody brings a dozen utterances, half of them
*surprise*. What does it learn, and what does it forget?
"""

# %%
# Five emotions
# -------------
# No utterance with surprise is in the training data. MTE can be asked for it all the same:
# its word vector is enough.

import copy
import warnings

import matplotlib.pyplot as plt

from sk_mer import MTEClassifier
from sk_mer.datasets import make_multimodal_emotions
from sk_mer.inspection import ContinualReportDisplay
from sk_mer.model_selection import few_shot_split

warnings.simplefilter("ignore")
data = make_multimodal_emotions(1200, noise=1.0, random_state=0)
y = data.y[data.seen]
five = [name for name in y.columns if name != "surprise"]
train, valid = slice(0, 800), slice(800, 1200)
source = [i for i in range(800) if y["surprise"].iloc[i] == 0]
model = MTEClassifier(
    label_vectors=data.label_vectors,
    hidden_sizes=(16, 16, 16),
    num_layers=1,
    lr=3e-3,
    max_epochs=20,
    memory_size=128,
    store_memory=True,
    random_state=0,
).fit(data.X[source], y[five].iloc[source])

# %%
# Then surprise
# -------------
# Six utterances with surprise and six without it. Fine-tuning follows them wherever they
# lead; Gradient Episodic Memory follows them only as far as 128 remembered utterances of
# the first task are not harmed.

X_few, _, y_few, _ = few_shot_split(
    data.X[train], y.iloc[train], "surprise", n_shots=6, random_state=0
)
figure, axes = plt.subplots(1, 2, figsize=(9, 3), sharex=True, layout="constrained")
for ax, continual in zip(axes, ["finetune", "gem"], strict=True):
    learner = copy.deepcopy(model).set_params(
        continual=continual, lr=1e-3, batch_size=4, max_epochs=40
    )
    learner.partial_fit(
        X_few, y_few[[*five, "surprise"]], X_val=data.X[valid], y_val=y.iloc[valid]
    )
    ContinualReportDisplay.from_estimator(learner, metric="auc", ax=ax)
    report = learner.continual_report_[-1]
    ax.set_title(f"{continual}: others {report['backward_transfer']:+.3f} W-Acc")

# %%
# How often a step would have harmed the first task, and by how much its direction was
# turned for that:

report = learner.continual_report_[-1]
turned, steps = report["n_violations"], report["n_steps"]
print(f"{turned} of {steps} steps, {report['mean_angle']:.0f} degrees")
