"""What the older pages take for granted: X, y, model and the like, as small as can be."""

from __future__ import annotations

import numpy as np
import sklearn
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

import sk_mer
from sk_mer.datasets import make_multimodal_emotions
from sk_mer.preprocessing import MultimodalScaler

GLOVE = "glove.840B.300d.txt"
_FURTHER = "amazed angry awe normal peaceful plain proud relaxed relieved surprised wonder"


def names():
    """Made anew for each page; writes the file of word vectors."""
    data = make_multimodal_emotions(
        60, noise=0.5, positive_rate=0.4, aligned=True, random_state=0
    )
    y = data.y[data.seen]
    rng = np.random.default_rng(0)
    vectors = {**data.label_vectors}
    vectors |= {word: rng.normal(size=16) for word in _FURTHER.split()}
    with open(GLOVE, "w", encoding="utf-8") as file:
        for word, vector in vectors.items():
            file.write(" ".join([word, *map(str, vector)]) + "\n")
    numbers = data.best_proba[["happy", "anger"]].set_axis(["valence", "arousal"], axis=1)
    systems = {name: getattr(sk_mer, name) for name in sk_mer.__all__}
    glove = dict(vectors)
    small = {"hidden_sizes": 4, "num_layers": 1, "random_state": 0}
    table = rng.normal(size=(9, 5))
    model = sk_mer.MTEClassifier(label_vectors=glove, **small).fit(data.X, y)
    tools = [GridSearchCV, LogisticRegression, MultimodalScaler, StandardScaler]
    tools += [Pipeline, cross_val_predict, cross_validate, make_pipeline]
    return {
        **systems,
        **{tool.__name__: tool for tool in tools},
        "data": data,
        "X": data.X,
        "X_new": data.X,
        "X_test": data.X[:30],
        "X_val": data.X[30:],
        "faces": rng.normal(size=(60, 35)),
        "frames": [rng.normal(size=(9, 74)), None] * 30,
        "glove": glove,
        "model": model,
        "pipeline": make_pipeline(MultimodalScaler(), model).fit(data.X, y),
        "sentences": rng.normal(size=(60, 8)),
        "speech": rng.normal(size=(60, 8)),
        "vectors": glove,
        "videos": [f"v{i // 6}" for i in range(60)],
        "videos_new": [f"v{i // 6}" for i in range(60)],
        "numbers": numbers,
        "numbers_test": numbers[:30],
        "speaker": [f"s{i % 6}" for i in range(60)],
        "train_rows": np.arange(1),
        "words": [rng.normal(size=(5, 300)), rng.normal(size=(3, 300))] * 30,
        "word_numbers": np.arange(8),
        "n_words": [5, 3],
        "table": table,
        "torch": torch,
        "sklearn": sklearn,
        "all_frames": rng.normal(size=(70, 4)),
        "n_frames": [40, 30],
        "y": y,
        "y_new": y,
        "y_test": y[:30],
        "y_val": y[30:],
        "y_all": y[:30].assign(surprised=data.y["excited"]),
        "emotion": y.idxmax(axis=1).to_numpy(),
        "y_of_five": y.drop(columns="surprise"),
    }


def few_epochs(net_class, patch, n_epochs=1):
    """Have nets train for so many epochs at most, whatever their settings say."""
    original = net_class.fit_loop

    def fit_loop(net, *args, **kwargs):
        net.max_epochs = min(net.max_epochs, n_epochs)
        return original(net, *args, **kwargs)

    patch.setattr(net_class, "fit_loop", fit_loop)
