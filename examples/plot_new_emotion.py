"""
Five emotions, then surprise
============================

A model was trained on five emotions. Now somebody brings a dozen utterances, half of them
*surprise*, and has looked for nothing else in them. What does the model learn, and what
does it forget?
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
from sk_mer.metrics import label_auc_score
from sk_mer.model_selection import few_shot_split

warnings.simplefilter("ignore")
data = make_multimodal_emotions(1200, noise=1.0, random_state=0)
y = data.y[data.seen]
five = [name for name in y.columns if name != "surprise"]
train, held_out = slice(0, 800), slice(800, 1200)
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


def auc(estimator):
    """Of all six, on utterances held out."""
    estimator.set_labels([*five, "surprise"])
    truth = y[[*five, "surprise"]].iloc[held_out]
    proba = estimator.predict_proba(data.X[held_out])
    return label_auc_score(truth, proba, average=None)


zero_shot = auc(copy.deepcopy(model))

# %%
# Then surprise
# -------------
# Six utterances with surprise and six without it, trained on for long and with a bold
# learning rate, as there are none to spare for validation. Fine-tuning follows them
# wherever they lead. The default follows them only as far as the loss on 128 remembered
# utterances of the first task stays where it was; replay trains on these again.

X_few, _, y_few, _ = few_shot_split(
    data.X[train], y.iloc[train], "surprise", n_shots=6, random_state=0
)
figure, axes = plt.subplots(1, 3, figsize=(11, 3), sharex=True, layout="constrained")
for ax, continual in zip(axes, ["finetune", "gem", "replay"], strict=True):
    learner = copy.deepcopy(model).set_params(
        continual=continual, lr=1e-2, batch_size=12, max_epochs=60
    )
    learner.partial_fit(X_few, y_few[["surprise"]])
    report = learner.continual_report_[-1]
    seen = {"auc_before": zero_shot, "auc_after": auc(learner), "rows": "held-out"}
    ContinualReportDisplay({**report, **seen}, metric="auc").plot(ax=ax)
    ax.set_title(continual)
    print(
        f"{continual}: others {zero_shot[:5].mean():.3f} -> "
        f"{seen['auc_after'][:5].mean():.3f}, surprise {zero_shot[5]:.3f} -> "
        f"{seen['auc_after'][5]:.3f}; "
        f"loss on the memory {report['memory_loss_before'][0]:.2f} -> "
        f"{report['memory_loss_after'][0]:.2f}"
    )

# %%
# Fine-tuning forgets; the memory prevents it. Where samples have all their labels and the
# best epoch is chosen on validation data, fine-tuning forgets little and the memory is not
# needed: the guide has the table.
