"""Wrong calls of a first hour: each gets one sentence, before any training.

A row is a call, what the sentence must say, and where it gives code to paste, the call that
then works.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_array, csr_matrix, dok_array
from torch import nn

import sk_mer
from sk_mer import ModuleClassifier, MTEClassifier, MultimodalArray, PooledLinearClassifier
from sk_mer.datasets import load_multimodal, make_multimodal_emotions
from sk_mer.feature_extraction import (
    AcousticSequences,
    ActionUnitSequences,
    ModalityColumns,
    PretrainedSpeech,
    PretrainedText,
    WordVectorSequences,
    align_to_words,
    read_transcript,
)
from sk_mer.inspection import (
    FusionGraphDisplay,
    MissingModalityDisplay,
    ZeroShotDisplay,
    missing_modality_report,
    zero_shot_report,
)
from sk_mer.labels import LabelTexts
from sk_mer.metrics import (
    concordance_score,
    label_auc_score,
    make_label_scorer,
    weighted_accuracy_score,
    weighted_accuracy_scorer,
)
from sk_mer.model_selection import (
    few_shot_split,
    tune_thresholds,
    unseen_label_search,
    validation_split,
)
from sk_mer.preprocessing import MultimodalScaler
from sk_mer.protocols import LeaveOneLabelOut, OfficialSplit
from sk_mer.serving import OnnxEmotionPredictor

from .systems import CLASSES, DATA, LABELS, NUMBERS, X, fitted, make

VECTORS = DATA.label_vectors
FIRST = LABELS.columns[0]
WORDS = {"so": [1.0, 0.0], "happy": [0.0, 1.0]}
CUBE = np.ones((96, 2, 7))
EYE = {"text": np.eye(96, 6), "audio": np.eye(96, 5)}
TEXT = [np.ones((2, 3))] * 96
KNOWN = LABELS.mask(np.eye(96, 4, dtype=bool))  # NaN in four cells
MIXED = pd.Series(["a", 1, 2] * 32)
LAYER = nn.Linear(2, 2)


def fit(X=X, y=LABELS, *, system="LFLSTMClassifier", also=(), **settings):
    return make(system, max_epochs=1, **settings).fit(X, y, **dict(also))


def mte(y=LABELS, **settings):
    return fit(X, y, system="MTEClassifier", **settings)


def regress(y, **settings):
    return fit(X, y, system="LFLSTMRegressor", **settings)


def model(name="MTEClassifier", form="columns"):
    return fitted(name, form)


def net(**net_params):
    return fit(net_params=net_params)


def more(y, **given):
    """`partial_fit` of a model with a memory; its mistakes change nothing."""
    return model("LFLSTMClassifier").partial_fit(X, y, **given)


def with_value(value):
    rows = [np.zeros((2, 5)) for _ in range(96)]
    rows[7][1, 2] = value
    return {**EYE, "audio": rows}


def columns(**changes):
    return LABELS.assign(**changes)


class Row(NamedTuple):
    call: Callable[[], Any]
    says: str
    kind: type[Exception] = ValueError
    # Code in the message, between these words, and a call that reads what it changed.
    code: str = ""
    names: dict[str, Any] = {}  # noqa: RUF012  # of a tuple, never changed
    then: Callable[..., Any] | None = None


UTTERANCES = {
    "rows differ": Row(lambda: fit({**EYE, "text": np.eye(5)}), "different numbers of utterances .text has 5, audio has 96"),
    "one axis": Row(lambda: fit({"text": np.zeros(96)}), r"'text' has 1 dimensions; .* give np.reshape\(array, \(-1, 1\)\)",
        code=r"give (np.+)\.", names={"np": np, "array": np.zeros(96)}, then=lambda X: MultimodalArray(text=X)),
    "four axes": Row(lambda: fit({"text": np.zeros((96, 1, 1, 1))}), r"4 dimensions; expected \(n, n_features\)"),
    "nan": Row(lambda: fit(with_value(np.nan)), "'audio' has 1 values that are NaN or infinite, the first in row 7.*handle_nonfinite='zero'"),
    "infinite": Row(lambda: fit(with_value(-np.inf)), "'audio' has 1 values that are NaN or infinite.* row 7"),
    "no utterance": Row(lambda: fit(MultimodalArray(text=np.zeros((0, 3)))), "no utterances .0 samples.; expected at least one"),
    "no modality": Row(lambda: fit({}), r"No modality was given; .*MultimodalArray\(text=..., audio=...\)"),
    "empty": Row(lambda: fit({"text": [None, *TEXT[1:]]}, on_empty="error"), r"Row\(s\) 0 have no steps in any .*; leave .* or set on_empty='prior'"),
    "zeros": Row(lambda: fit(np.zeros((96, 3, 2)), system="AttentionFusionClassifier", on_empty="error"), r"Row\(s\) 0, 1, 2, 3, 4 and 91 more have no steps"),
    "sparse": Row(lambda: fit(csr_matrix(np.eye(96))), "(?i)sparse.*toarray", TypeError),
    "sparse array": Row(lambda: fit(dok_array(np.eye(96))), "(?i)sparse.*toarray", TypeError),
    "sparse modality": Row(lambda: fit({"text": csr_array(np.eye(96))}), "(?i)'text' .*sparse", TypeError),
    "complex modality": Row(lambda: fit({"text": np.eye(96) * 1j}), "'text' holds complex.* values; expected real", TypeError),
    "complex frames": Row(lambda: fit(np.ones((96, 2, 2)) * 1j), "holds complex.* values; expected real", TypeError),
    "the whole data set": Row(lambda: fit(DATA), r"X is a GeneratedEmotions that holds utterances beside other things; give X\['X'\]",
        code=r"give (X.+)\.", names={"X": DATA}, then=fit),
    "X and y the other way": Row(lambda: fit(LABELS, X), r"y is a MultimodalArray; utterances come first .* fit\(X, y\)"),
    "words in a cell": Row(lambda: MultimodalArray(text=[np.ones((2, 3)), "so"]), "'text', row 1 has 0 dimensions; expected"),
    "words in arrays": Row(lambda: MultimodalArray(text=[np.array([["a", "b"]], dtype=object)]), "'text' holds object values; expected real numbers", TypeError),
    "a number": Row(lambda: MultimodalArray(text=3), r"'text' has 0 dimensions; expected \(n, n_features\)"),
    "a name that is none": Row(lambda: MultimodalArray({1: CUBE}), "A modality has the name 1; expected a word", TypeError),
    "an empty name": Row(lambda: MultimodalArray({"": CUBE}), "A modality has the name ''; expected a word", TypeError),
    "no name": Row(lambda: MultimodalArray(CUBE), "A ndarray was given without a name; name each modality", TypeError),
    "features that differ": Row(lambda: MultimodalArray(text=[np.ones((2, 3)), np.ones((2, 4))]), r"different feature sizes .*give \[row.T for row in rows\]",
        code=r"give (\[.+\])\.", names={"rows": [np.ones((2, 3)), np.ones((2, 4))]}, then=lambda X: MultimodalArray(text=X)),
    "groups of others": Row(lambda: MultimodalArray(text=CUBE, groups=[1]), r"groups has shape \(1,\); expected \(96,\)"),
    "a row beyond": Row(lambda: X[96], "Row 96 was asked for, but there are 96 utterances", IndexError),
    "a short mask": Row(lambda: X[np.ones(3, bool)], "mask has 3 entries for 96 utterances", IndexError),
    "a modality as a row": Row(lambda: X["text"], r"Rows were given as 'text'; .* X.select\('text'\)", IndexError,
        code=r"or (X.+) for", names={"X": X}, then=len),
    "no such modality": Row(lambda: X.select("txt"), "There is no modality 'txt' here; .* 'text', 'audio', 'vision'"),
    "joined with a number": Row(lambda: MultimodalArray.concatenate([X, 3]), "concatenate.. was given a int; expected a list", TypeError,
        code="as in (.+)\\.", names={"MultimodalArray": MultimodalArray, "X": X}, then=len),
    "a matrix of them": Row(lambda: np.asarray(X), r"ragged sequences .*; use X.padded\(name\) .* X.to_matrix\(\)", TypeError),
}  # fmt: skip

TARGETS = {
    "too few": Row(lambda: fit(y=LABELS[:-1]), "y has 95 rows but X has 96 utterances"),
    "none": Row(lambda: fit(y=None), "requires y"),
    "the name of a column": Row(lambda: fit(y="emotion"), r"y is 'emotion'; expected the labels of all utterances, such as table\['emotion'\]"),
    "a number for all": Row(lambda: fit(y=3), "y is 3; expected the labels of all utterances"),
    "a generator": Row(lambda: fit(y=(c for c in CLASSES)), "y is a generator; give a list"),
    "a set": Row(lambda: fit(y=set(range(96))), "y is a set; give a list, in the order of the utterances"),
    "sparse": Row(lambda: fit(y=csr_matrix(LABELS.to_numpy())), r"y is a sparse matrix; give y.toarray\(\)",
        code=r"give (y.+)\.", names={"y": csr_matrix(LABELS.to_numpy())}, then=lambda y: fit(y=y)),
    "three axes": Row(lambda: fit(y=np.zeros((96, 2, 2))), "y has 3 dimensions; expected 1, .* or 2"),
    "no columns": Row(lambda: fit(y=LABELS.iloc[:, :0]), "y has no columns; give one for each label"),
    "complex": Row(lambda: fit(y=np.zeros(96, complex)), "y holds complex numbers; expected classes"),
    "words beside numbers": Row(lambda: fit(y=MIXED), "y holds 'a' beside 1; give classes of one type",
        code=r"as in y = (.+)\.", names={"y": MIXED}, then=lambda y: fit(y=y)),
    "lists of one word": Row(lambda: fit(y=pd.Series([["calm"]] * 96)), r"y holds lists of words, such as \['calm'\]; give a column"),
    "intensities": Row(lambda: fit(y=LABELS * 3), r"y holds 3 for label 'anger' in row \d+; expected 0, 1, or NaN .* cut by y = \(y > 0\).astype\(int\)",
        code=r"by y = (.+), or", names={"y": LABELS * 3}, then=lambda y: fit(y=y)),
    "probabilities": Row(lambda: fit(y=LABELS * 0.6 + 0.2), "y holds 0.2 for label .* cut by y = .y > 0.5.",
        code=r"by y = (.+), or", names={"y": LABELS * 0.6 + 0.2}, then=lambda y: fit(y=y)),
    "-1 and 1": Row(lambda: fit(y=LABELS * 2 - 1), r"y holds -1 for label .* cut by y = \(y > 0\)",
        code=r"by y = (.+), or", names={"y": LABELS * 2 - 1}, then=lambda y: fit(y=y)),
    "numbers": Row(lambda: fit(y=NUMBERS["valence"]), "Unknown label type: continuous.* a classifier, which expects discrete classes"),
    "only yes": Row(lambda: fit(y=LABELS.where(LABELS == 1)), "'anger', 'disgust', 'fear', 'happy' have no negatives among the 9. training rows; leave them out"),
    "no positives": Row(lambda: fit(y=columns(anger=0)), r"Label\(s\) 'anger' have no positives .*; leave them out"),
    "no negatives": Row(lambda: fit(y=columns(anger=1)), r"Label\(s\) 'anger' have no negatives .*; leave them out"),
    "one class": Row(lambda: fit(y=["calm"] * 96), "y has only one class, 'calm'; expected at least two"),
    "no such words": Row(lambda: mte(LABELS.rename(columns={"happy": "Happy"})), r"No vector for 'Happy' \(near: happy.*labels=\{'Happy': 'happy'\}",
        code=r"labels=(\{.+\})", then=lambda labels: mte(LABELS.rename(columns={"happy": "Happy"}), labels=labels)),
    "a column twice": Row(lambda: fit(y=LABELS.set_axis(["a", "a", "b", "c"], axis=1)), "Labels repeat: 'a'; give each label once"),
    "words to a regressor": Row(lambda: regress(CLASSES), "y holds values that are no numbers; .* a classifier takes classes"),
    "a number that is not known": Row(lambda: regress(NUMBERS["valence"].where(np.arange(96) > 1)), r"Input y contains NaN: row\(s\) 0, 1 have no number; leave them out: known",
        code=r"out: (known.+)\.", names={"X": X, "y": NUMBERS["valence"].where(np.arange(96) > 1), "pd": pd, "np": np},
        then=lambda X, y: fit(X, y, system="LFLSTMRegressor")),
    "y_val alone": Row(lambda: fit(also={"y_val": LABELS}), "Only one of X_val and y_val was given; give both or none"),
    "y_val lacks a label": Row(lambda: fit(also={"X_val": X, "y_val": LABELS[[FIRST]]}), "y_val lacks 'disgust', 'fear', 'happy'; it must have all labels"),
    "weights of words": Row(lambda: fit(also={"sample_weight": "balanced"}), "sample_weight is 'balanced'; expected a number for each utterance"),
    "too few weights": Row(lambda: fit(also={"sample_weight": [1.0] * 3}), r"sample_weight has shape \(3,\); expected \(96,\)"),
    "weights below zero": Row(lambda: fit(also={"sample_weight": -np.ones(96)}), "sample_weight has NaN, infinite or negative values; expected numbers from 0"),
    "weights of nothing": Row(lambda: fit(also={"sample_weight": np.zeros(96)}), "sample_weight is zero in every row; give some row more"),
    "the name of a group": Row(lambda: fit(also={"groups": "speaker"}), r"groups has shape \(\); expected \(96,\)"),
}  # fmt: skip

SETTINGS = {
    "labels that y lacks": Row(lambda: fit(labels=["happi"]), r"labels name 'happi' \(near: happy\), but the columns of y are"),
    "labels twice": Row(lambda: fit(labels=["happy", "happy"]), "Labels repeat: 'happy'; give each label once"),
    "labels as one word": Row(lambda: fit(labels="happy"), "'labels' parameter .* array-like.* Got 'happy'"),
    "words of another size": Row(lambda: make("MTEClassifier", lexical_weight=1.0).fit(X, LABELS), r"lexical_weight=1.0 compares words .* 'text' has 5 features and the label vectors have 6 numbers"),
    "a penalty that is none": Row(lambda: sk_mer.ESZSLClassifier(alpha=[1, "a"]).fit(X, LABELS), r"alpha=\[1, 'a'\] was given; expected a positive number, or several"),
    "other labels without vectors": Row(lambda: sk_mer.recommended(X, LABELS, unseen=True), "unseen=True was given, but label_vectors is None; say where"),
    "labels left out and nothing to judge by": Row(lambda: mte(selection="unseen"), "selection='unseen' needs validation data, but there are none; set"),
    "labels left out of two": Row(lambda: mte(LABELS.iloc[:, :2], selection="unseen", validation_fraction=0.3), "at least three, but y has 2; set selection='seen'"),
    "a share that is none": Row(lambda: unseen_label_search(MTEClassifier(), {}, X, LABELS, seen_share=2), "seen_share=2 was given; expected a number from 0 to below 1"),
    "words without vectors": Row(lambda: fit(system="MTEClassifier", label_vectors=None, labels={"happy": "sad"}), "label_vectors is None; say where"),
    "vectors from nowhere": Row(lambda: mte(label_vectors="none.txt"), "No word-vector file at 'none.txt'; give the path", FileNotFoundError),
    "vectors as a number": Row(lambda: mte(label_vectors=3), "label_vectors is a int; expected a path", TypeError),
    "vectors of words": Row(lambda: mte(label_vectors=dict.fromkeys(LABELS, "abc")), "vector of label 'anger' is 'abc'; expected a row of numbers"),
    "vectors of nothing": Row(lambda: mte(label_vectors=dict.fromkeys(LABELS, np.zeros(3))), "vector of label 'anger' is 0 throughout.*; give its own"),
    "vectors of other sizes": Row(lambda: mte(label_vectors={n: np.ones(k + 1) for k, n in enumerate(LABELS)}), r"different sizes \[1, 2, 3, 4\]; take all of them from one source"),
    "a modality that X lacks": Row(lambda: fit(modalities=["text", "smell"]), "asks for 'smell', but X has 'text', 'audio', 'vision'"),
    "no modalities": Row(lambda: fit(modalities=[]), r"modalities=\[\] was given; name each modality once"),
    "a modality twice": Row(lambda: fit(modalities=["text", "text"]), r"modalities=\['text', 'text'\] was given; name each modality once"),
    "a width of parts": Row(lambda: fit(CUBE, modalities={"text": 3.5, "audio": 3.5}), "modalities has 3.5 for a width; expected whole numbers"),
    "widths that do not add up": Row(lambda: fit(CUBE, modalities={"text": 2, "audio": 4}), "adds up to 6 columns, but X has 7"),
    "names without widths": Row(lambda: fit(CUBE, modalities=["text", "audio"]), "give their column widths, as in modalities={'text': 300"),
    "another width": Row(lambda: fit(modalities={"text": 300}), r"'text' has 300 features, but X has 5; correct it, or give names only: modalities=\['text'\]",
        code=r"only: modalities=(.+)\.", then=lambda names: fit(modalities=names)),
    "a threshold for one": Row(lambda: fit(threshold=[0.5]), "one for each of the 4 labels"),
    "a threshold above 1": Row(lambda: fit(threshold=[0.5, 0.5, 0.5, 1.5]), "expected 'tune', a number from 0 to 1"),
    "thresholds of words": Row(lambda: fit(threshold=["a"] * 4), "threshold=.*'a'.* was given; expected 'tune', a number from 0 to 1"),
    "a threshold of classes": Row(lambda: fit(y=CLASSES, threshold=0.3), "threshold=0.3 .* one class a row.*; leave threshold at 0.5"),
    "a threshold by a wrong name": Row(lambda: fit(threshold={"hapy": 0.9}), r"threshold names 'hapy' \(near: happy\); known are .* set_params"),
    "a threshold of 7": Row(lambda: fit(threshold={"happy": 7}), "threshold has 7 for 'happy'; expected a number from 0 to 1"),
    "a threshold that is high": Row(lambda: fit(threshold={"happy": "high"}), "has 'high' for 'happy'; expected a number from 0 to 1"),
    "nothing to tune on": Row(lambda: fit(threshold="tune"), "threshold='tune' needs validation data.*; set validation_fraction"),
    "a weight for one": Row(lambda: fit(pos_weight=[1.0]), "one positive number for each of the 4 labels"),
    "weights that are words": Row(lambda: fit(pos_weight=["a"]), r"pos_weight=\['a'\] was given; expected 'balanced', None, or one positive number"),
    "weights in a triangle": Row(lambda: fit(pos_weight=[[1, 2], [3]]), "pos_weight=.* was given; expected 'balanced', None, or one positive"),
    "a weight below zero": Row(lambda: fit(pos_weight={"happy": -1.0}), "has -1.0 for 'happy'; expected a positive number"),
    "a weight of nan": Row(lambda: fit(pos_weight={"happy": np.nan}), "has nan for 'happy'; expected a positive number"),
    "a weight by a wrong name": Row(lambda: fit(pos_weight={"hapy": 3}), r"pos_weight names 'hapy' \(near: happy\); known are"),
    "a size by a wrong name": Row(lambda: fit(hidden_sizes={"audoi": 3}), r"hidden_sizes names 'audoi' \(near: audio\); known are"),
    "four sizes for three": Row(lambda: fit(hidden_sizes=(1, 2, 3, 4)), r"has 4 entries; expected 3 \(text, audio, vision\)"),
    "a device that is none": Row(lambda: fit(device="abacus"), "device='abacus' is no torch device; expected 'auto', 'worker', 'cpu'"),
    "a device that is not here": Row(lambda: fit(device="cuda:99"), "torch finds .* CUDA devices here; use device='cpu'"),
    "a heads too many": Row(lambda: make("MulTClassifier", hidden_size=5).fit(X, LABELS), "hidden_size=5 cannot be divided among num_heads=2; make it a multiple of 2"),
    "dropout by a wrong name": Row(lambda: mte(modality_dropout={"audoi": 0.1}), r"modality_dropout names 'audoi' \(near: audio\)"),
    "pooling of no states": Row(lambda: mte(encoder="statistics", pooling="mean"), "^pooling='mean' was given, but only an LSTM has states to read",
        code="set pooling=(.+), or", then=lambda made: mte(encoder="statistics", pooling=made)),
    "one way through statistics": Row(lambda: mte(encoder="statistics", bidirectional=False), "^bidirectional=False was given, but only an LSTM",
        code="or encoder=(.+)\\.", then=lambda made: mte(encoder=made, bidirectional=False)),
    "a preset that is none": Row(lambda: MTEClassifier.from_preset("moseii"), "preset='moseii' was given; MTEClassifier has 'mosei', 'iemocap'"),
    **{
        f"{name}={value}": Row(partial(fit, **{name: value}), f"'{name}' parameter of LFLSTMClassifier must be")
        for name, value in {"lr": -1.0, "padding": "left", "patience": 0, "batch_size": 32.0, "precision": "fp16", "dropout": 1.5}.items()
    },
}  # fmt: skip

# Of skorch's net.
NET_PARAMS = {
    "another's name": Row(lambda: net(learning_rate=1), "'learning_rate', which skorch.NeuralNet does not take; expected names such as"),
    "no name": Row(lambda: fit(net_params={3: 1}), "net_params has 3, which skorch.NeuralNet does not take"),
    "half an utterance at a time": Row(lambda: net(micro_batch_size=0.5), "micro_batch_size=0.5; expected a number of utterances, at least 1, or None"),
    "the module": Row(lambda: net(module=nn.Linear), "'module', which the estimator sets itself; leave it out"),
    "the data": Row(lambda: net(train_split=None), "'train_split', which the estimator sets itself; leave it out"),
    "an optimizer by name": Row(lambda: net(optimizer="adam"), "optimizer='adam'; expected a class, such as torch.optim.AdamW",
        code=r"such as (.+)\.", names={"torch": torch}, then=lambda made: net(optimizer=made)),
    "an optimizer that is made": Row(lambda: net(optimizer=torch.optim.SGD(LAYER.parameters())), r"optimizer=SGD \( Para.*; expected a class"),
    "a typo of the optimizer": Row(lambda: net(optimizer__wieght_decay=0.1), r"Adam does not take 'wieght_decay' \(near: weight_decay\)"),
    "a loss by name": Row(lambda: net(criterion="bce"), "criterion='bce'; expected a class, such as torch.nn.BCEWithLogitsLoss",
        code=r"such as (.+)\.", names={"torch": torch}, then=lambda made: net(criterion=made)),
    "a typo of the loss": Row(lambda: net(criterion=nn.BCEWithLogitsLoss, criterion__pos=1), "'criterion__pos', but BCEWithLogitsLoss does not take 'pos'"),
    "a typo of our loss": Row(lambda: net(criterion__pos=1), "'criterion__pos', which BCEWithLogitsLoss does not take; leave it out"),
    "batches by other rules": Row(lambda: net(iterator_train__shuffle=True), "BatchIterator does not take 'shuffle'; leave it out"),
    "no list of callbacks": Row(lambda: net(callbacks=3), r"callbacks=3; expected a list, such as \[\('name', callback\)\]"),
    "a callback that is none": Row(lambda: net(callbacks=[3]), r"the callback 3; expected one of skorch, such as skorch.callbacks.EpochScoring"),
    "a callback that is not there": Row(lambda: net(callbacks__plato=None), r"there is no callback 'plato' \(near: plateau\); known are"),
}  # fmt: skip

ASKED = {
    "an array without a name": Row(lambda: model().predict(X[0]["text"]), "X is an array without names, but fit saw 'text', .* as in X = {'text': X}",
        code=r"in X = (.+)\.", names={"X": X[0]["text"]}, then=lambda X: model().predict(X)),
    "a modality with a typo": Row(lambda: model().predict({"txt": CUBE}), r"Modality 'txt' \(near: text\) was not in fit, which saw 'text', 'audio', 'vision'; .* correct its name"),
    "another extractor": Row(lambda: model().predict({"text": CUBE}), "'text' has 7 features, but 5 in fit; use the same extractor for both"),
    "too few modalities": Row(lambda: model("LFLSTMClassifier").predict(X.select("text")), "needs 'text', 'audio', 'vision', but X lacks 'audio', 'vision'; MTEClassifier does without"),
    "nothing": Row(lambda: model().predict(X[:0]), "no utterances .0 samples.; expected at least one"),
    "nan": Row(lambda: model().predict({"text": np.full((2, 3, 5), np.nan)}), "'text' has 30 values that are NaN or infinite"),
    "y where labels go": Row(lambda: model().predict(X, LABELS), r"labels is a DataFrame; give a list of names, list\(y.columns\)",
        code=r"names, (.+)\.", names={"y": LABELS}, then=lambda labels: model().predict(X, labels)),
    "labels in no order": Row(lambda: model().predict(X, {"happy", "anger"}), "expected a list of names in their order"),
    "labels as a number": Row(lambda: model().predict_proba(X, 3), r"labels=3 was given; expected a list of names in their order, as in \['happy', 'sad'\]"),
    "no label": Row(lambda: model().predict_proba(X, []), "No labels were given; expected at least one"),
    "a word that is none": Row(lambda: model().predict_proba(X, ["hapy"]), r"No vector for 'hapy' \(near: happy.*; say which words .* set_labels\(\{'hapy': 'happy'\}\)",
        code=r"set_labels\((.+)\)", then=lambda labels: model().predict_proba(X, labels)),
    "words that are none": Row(lambda: model().predict_proba(X, {"joy": ["hapy", "zyx"]}), r"No vector for 'hapy' \(near: happy.*, 'zyx'; say which words .* set_labels\(\{'joy': 'happy'\}\)",
        code=r"set_labels\((.+)\)", then=lambda labels: model().predict_proba(X, labels)),
    "a label without words": Row(lambda: model().predict_proba(X, {"joy": []}), "Label 'joy' stands for something of shape .0,.; expected a word"),
    "a label of zeros": Row(lambda: model().predict_proba(X, {"joy": np.zeros(6)}), "vector of label 'joy' is 0 throughout"),
    "a label of another size": Row(lambda: model().predict_proba(X, {"joy": np.ones(5)}), "have 5 values, but those of fit 6"),
    "how reliable is no word": Row(lambda: model().zero_shot_reliability(["hapy"]), r"No vector for 'hapy' .* zero_shot_reliability\(\{'hapy': 'happy'\}\)",
        code=r"reliability\((.+)\)", then=lambda labels: model().zero_shot_reliability(labels)),
    "how reliable by what": Row(lambda: model().zero_shot_reliability(["fear"], report=LABELS), "report lacks 'unseen', 'cosine'; give what inspection.zero_shot_report found"),
    "how reliable by one": Row(lambda: model().zero_shot_reliability(["fear"], report=pd.DataFrame({"unseen": [0.7], "cosine": [0.5]})), "report has 1 label.s. that were left out and scored; an estimate needs two"),
    "a picture of what": Row(lambda: ZeroShotDisplay(LABELS), "The report lacks 'cosine', 'unseen'; give what zero_shot_report found"),
    "a report without words": Row(lambda: zero_shot_report(make("LFLSTMClassifier"), X, LABELS), "LFLSTMClassifier has no label_vectors, .* give an estimator that has"),
    "calibrated columns": Row(lambda: model().set_labels(["fear"], calibrate="train"), "is for one class a row, but the model was fitted on columns of labels: .* leave calibrate at None"),
    "calibrated by what": Row(lambda: model("LFLSTMClassifier", "classes").set_labels(["fear"], calibrate=True), "calibrate=True was given; expected None or 'train'"),
    "calibrated without moments": Row(lambda: model("LFLSTMClassifier", "classes").set_labels(["fear"], calibrate="train"), "fit an MTEClassifier with label_vectors, or leave calibrate at None"),
    "how many emotions": Row(lambda: model().most_probable(X, "two"), "n_labels='two' was given; expected 1 or more"),
    "a score of fewer": Row(lambda: model().score(X, LABELS[:9]), "y has 9 rows but X has 96 utterances; give both the same rows"),
    "a score of classes": Row(lambda: model().score(X, CLASSES), r"y has shape \(96,\), but the model has 4 labels"),
    "a score of columns": Row(lambda: model("LFLSTMClassifier", "classes").score(X, LABELS), "y has 4 columns, but the model was fitted on one class a row; give the class"),
    "a score of codes": Row(lambda: model("LFLSTMClassifier", "classes").score(X, np.arange(96)), "y holds 0, but the classes of the model are 'anger', 'disgust', 'fear'; give these"),
    "a score of nobody": Row(lambda: model("LFLSTMClassifier", "classes").score(X, [None] * 96), r"Input y contains NaN: row\(s\) 0, 1, .* have no class; leave them out"),
    "a score the other way": Row(lambda: model().score(LABELS, X), "y is a MultimodalArray; utterances come first"),
    "a score of numbers": Row(lambda: model("LFLSTMRegressor").score(X, NUMBERS.where(NUMBERS > 0)), "y holds .* NaN or infinite values; expected finite numbers"),
    "more, of nobody": Row(lambda: more(None), "y is None; give the labels of the utterances"),
    "more, in classes": Row(lambda: more(CLASSES), "y has 1 dimensions; expected 2, as in fit"),
    "more, twice the same": Row(lambda: more(LABELS.set_axis([FIRST, FIRST, "fear", "happy"], axis=1)), "Labels repeat: 'anger'; give each label once"),
    "more, as text": Row(lambda: more(LABELS.astype(str)), r"column 'anger' of y holds the text '0'; expected 0 and 1: y\['anger'\] = y"),
    "more, without the old": Row(lambda: more(LABELS, labels=["anger"]), "labels leave out 'disgust', 'fear', 'happy', which the model knows; name all labels, old and new"),
    "more, with None": Row(lambda: model("LFLSTMClassifier", "classes").partial_fit(X, np.where(np.arange(96) < 2, None, CLASSES)), r"row\(s\) 0, 1 have no class; leave them out"),
    "more, in another way": Row(lambda: fit(continual={"method": "der"}), "continual='der' was given; expected one of 'gem', 'gem-gradient'"),
    "more, with a typo": Row(lambda: fit(continual={"tolerence": 0}), r"continual has 'tolerence' \(near: tolerance\); expected some of"),
    "less, of nobody": Row(lambda: model().forget_labels(["awe"]), "labels has 'awe', which the model was not trained on; it knows 'anger'"),
    "to a folder": Row(lambda: model().save("."), "'.' is a folder; give the path of a file"),
    "to no folder": Row(lambda: model().save("no/model"), "'no/model' lies in a folder that is not there; give the path"),
    "from a folder": Row(lambda: sk_mer.load("."), "'.' is a pipe, a device or a folder; give the path of a file"),
    "what cannot be saved": Row(lambda: sk_mer.save(3, "model"), "A int was given; expected a system of sk_mer or a Pipeline", TypeError),
    "no exported model": Row(lambda: OnnxEmotionPredictor("none"), "No file at 'none'; give one that export_onnx wrote", FileNotFoundError),
}  # fmt: skip

TOOLS = {
    "another scaler's data": Row(lambda: MultimodalScaler().fit(X.select("text")).transform(X), "'audio' was not in fit, which saw 'text'; leave it out"),
    "a scorer of nobody": Row(lambda: weighted_accuracy_scorer(model(), X, None), "y is None; a scorer needs the labels"),
    "a scorer of classes": Row(lambda: weighted_accuracy_scorer(model(), X, CLASSES), "one class a row, but the model has 4 labels; give a column of 0 and 1 for each"),
    "a scorer by a wrong name": Row(lambda: make_label_scorer("roc_auc", "hapy")(model(), X, LABELS), r"for label 'hapy' \(near: happy\), but y has"),
    "a metric that is none": Row(lambda: make_label_scorer("auc"), "metric='auc' was given; expected one of weighted_accuracy, roc_auc"),
    "one label of all": Row(lambda: make_label_scorer("micro_f1", "happy"), "metric='micro_f1' scores all labels at once; leave label out"),
    "a history without epochs": Row(lambda: sk_mer.inspection.HistoryDisplay.from_estimator(PooledLinearClassifier().fit(X, LABELS)), "PooledLinearClassifier has no history_; give a fitted system that is trained by epochs", TypeError),
    "labels without a space": Row(lambda: sk_mer.inspection.LabelSpaceDisplay.from_estimator(model("LFLSTMClassifier")), "LFLSTMClassifier has no label embeddings; give an MTEClassifier", TypeError),
    "curves of an unfitted model": Row(lambda: sk_mer.inspection.ThresholdCurveDisplay.from_estimator(PooledLinearClassifier(), X, LABELS), "no labels or no probabilities; give a fitted classifier"),
    "two published tables": Row(lambda: sk_mer.published_results(["iemocap-4", "mosei-mesm"]), "cannot be ranked together; call published_results once for each"),
    "no published table": Row(lambda: sk_mer.published_results("mosei"), "no published results 'mosei'; expected one of 'iemocap-4'"),
    "probabilities as answers": Row(lambda: weighted_accuracy_score(LABELS, LABELS * 0.3), "y_pred holds 0.3; expected 0 or 1 for each label"),
    "columns against fewer": Row(lambda: weighted_accuracy_score(LABELS, LABELS.to_numpy()[:, :2]), r"y_pred has shape \(96, 2\) but y_true \(96, 4\); expected the same"),
    "a mean that is none": Row(lambda: weighted_accuracy_score(LABELS, LABELS, average="micro"), "average='micro' was given; expected 'macro' or None"),
    "words in a metric": Row(lambda: weighted_accuracy_score("a", "b"), "y_true is 'a'; expected the labels of all utterances"),
    "AUC of classes": Row(lambda: label_auc_score(CLASSES, CLASSES), "y_true has 1 dimension.s.; expected 2, with a column of 0 and 1"),
    "concordance of words": Row(lambda: concordance_score(CLASSES, CLASSES), "y_true holds values that are no numbers; expected a column of numbers"),
    "thresholds the other way": Row(lambda: tune_thresholds(LABELS * 0.3, LABELS), "y_true holds 0.3; expected 0 or 1 for each label"),
    "few shots of nothing": Row(lambda: few_shot_split(X, LABELS, "hapy"), "y has no column 'hapy'; give a DataFrame"),
    "too many shots": Row(lambda: few_shot_split(X, LABELS, "happy", n_shots=500), "500 positives and as many negatives of 'happy' were asked for, but there are"),
    "a split of other rows": Row(lambda: list(OfficialSplit(["train", "test"]).split(X)), "split has 2 rows, but X has 96; give the split of these very utterances"),
    "a protocol without a label": Row(lambda: list(LeaveOneLabelOut(2, ["hapy"]).split(X, LABELS)), r"labels name 'hapy' \(near: happy\), but y has"),
    "validation of all": Row(lambda: validation_split(LABELS.to_numpy(bool), 1.5, np.random.RandomState(0)), "fraction=1.5 was given; expected 0 or more, below 1"),
    "one modality missing": Row(lambda: missing_modality_report(model(), X.select("text"), LABELS), "X has only 'text'; .*; give utterances with two modalities or more"),
    "numbers missing": Row(lambda: missing_modality_report(model("LFLSTMRegressor"), X, NUMBERS), "LFLSTMRegressor predicts no labels or is not fitted; give a fitted classifier"),
    "missing before fit": Row(lambda: missing_modality_report(make("MTEClassifier"), X, LABELS), "MTEClassifier predicts no labels or is not fitted"),
    "missing a metric": Row(lambda: MissingModalityDisplay({}, metric="f1"), "metric='f1'; expected 'weighted_accuracy' or 'auc'"),
    "a graph of no graph": Row(lambda: FusionGraphDisplay.from_estimator(model(), X[:1]), "A MTEClassifier was given; expected a GraphMFNClassifier", TypeError),
    "one sentence": Row(lambda: WordVectorSequences(WORDS).fit_transform("so happy"), "One string was given; expected a list of sentences", TypeError),
    "a table of sentences": Row(lambda: WordVectorSequences(WORDS).fit_transform(pd.DataFrame({"said": ["so"]})), r"A table was given; give its column .* X\['said'\]", TypeError,
        code=r"such as (X.+)\.", names={"X": pd.DataFrame({"said": ["so"]})}, then=WordVectorSequences(WORDS).fit_transform),
    "sentences of numbers": Row(lambda: WordVectorSequences(WORDS).fit_transform([1, 2]), "Sentences must be strings, but 2 are not", TypeError),
    "another language": Row(lambda: WordVectorSequences(WORDS).fit_transform(["ja"]), "None of the 1 words has a vector; check that the vectors are of the sentences' language"),
    "no file of words": Row(lambda: WordVectorSequences("none.txt").fit(["so"]), "No word-vector file at 'none.txt'; give the path", FileNotFoundError),
    "one recording": Row(lambda: AcousticSequences().fit("a.wav"), r"One path was given; expected a list of paths, as in \[path\]", TypeError),
    "samples of sound": Row(lambda: AcousticSequences().fit([np.zeros(99)]), "A ndarray was given in place of a path; write the samples to a file first", TypeError),
    "a table of recordings": Row(lambda: AcousticSequences().fit(pd.DataFrame({"clip": ["a.wav"]})), r"A table was given; give its column of paths, such as X\['clip'\]", TypeError),
    "no recording": Row(lambda: AcousticSequences().fit_transform(["none.wav"]), "none.wav: there is no such file; 1 of 1 files cannot be read: mend them, or give on_error='skip'"),
    "no table of faces": Row(lambda: ActionUnitSequences().fit(["none.csv"]), r"None of the 1 files has action units \(none.csv: there is no such file\)"),
    "one sentence to encode": Row(lambda: PretrainedText("a/b").fit("so happy"), "One string was given; expected a list of sentences", TypeError),
    "sentences of numbers to encode": Row(lambda: PretrainedText("a/b").fit([1.5]), "A float was given in place of a sentence", TypeError),
    "no folder of a model": Row(lambda: PretrainedSpeech("./none").fit(["a.wav"]), "model='./none': there is no such folder"),
    "a variable without a token": Row(lambda: PretrainedSpeech("a/b", token_env="NO_TOKEN").fit(["a.wav"]), "token_env='NO_TOKEN': there is no such environment variable; set it"),
    "sound as samples": Row(lambda: PretrainedSpeech("a/b").fit([np.zeros(9)]), r"A ndarray was given in place of a path; write the samples to a file first", TypeError),
    "vectors as an encoder": Row(lambda: LabelTexts(WORDS), "encoder is a dict; expected a PretrainedText", TypeError),
    "a template without a place": Row(lambda: LabelTexts(ModalityColumns([]), ["I feel it"]), "templates has 'I feel it'; expected sentences with {} where"),
    "two extractors": Row(lambda: MultimodalArray.concatenate([X.with_provenance({"text": {"model": name}}) for name in "ab"]),
        r"'text' is by features\('b'\) in one of the arrays, but by features\('a'\) in another; use the same extractor for both"),
    "a model without a licence": Row(lambda: model().push_to_hub("me/x", license=""), "license='' was given; name the licence of the model"),
    "a transcript of another kind": Row(lambda: read_transcript(__file__), "is no transcript that can be read; expected .srt, .vtt"),
    "a column that is not there": Row(lambda: ModalityColumns([("text", WordVectorSequences(WORDS), "txt")]).fit(pd.DataFrame({"said": ["so"]})), "X lacks the column 'txt'; it has said"),
    "no table": Row(lambda: ModalityColumns([("text", WordVectorSequences(WORDS), "said")]).fit(["so"]), "X is a list; expected a DataFrame", TypeError),
    "words that end first": Row(lambda: align_to_words(MultimodalArray(text=CUBE[:1, :1], audio=CUBE[:1]), [[[2, 1]]], {"audio": 9}), r"Word 0 of row 0 begins at 2 and ends before, at 1; give \(begin, end\)"),
    "times of nothing": Row(lambda: align_to_words(MultimodalArray(text=CUBE[:1, :1], audio=CUBE[:1]), [[[0, 1]]], {"audoi": 9}), "times were given for 'audoi'; expected modalities of X other than 'text'"),
    "no file": Row(lambda: load_multimodal("none.pkl"), "There is no file or folder at 'none.pkl'", FileNotFoundError),
    "a folder of nothing": Row(lambda: load_multimodal("."), "the folder holds 0 files and no layout that is known here; give the path"),
    "no utterance to generate": Row(lambda: make_multimodal_emotions(-1), "n_samples=-1 was given; expected at least 1"),
    "a line that is none": Row(lambda: PooledLinearClassifier(C=-1).fit(X, LABELS), "'C' parameter of PooledLinearClassifier must be"),
    "words without vectors": Row(lambda: sk_mer.LexicalEmotionScorer().fit(X, LABELS), "LexicalEmotionScorer compares words with labels, but label_vectors is None; say where"),
    "no module": Row(lambda: ModuleClassifier(module=3).fit(X, LABELS), "'module' parameter of ModuleClassifier must be a callable"),
}  # fmt: skip
EVERY = {
    f"{topic}: {name}": row
    for topic, rows in {
        "utterances": UTTERANCES,
        "targets": TARGETS,
        "settings": SETTINGS,
        "net_params": NET_PARAMS,
        "asked": ASKED,
        "tools": TOOLS,
    }.items()
    for name, row in rows.items()
}
# Words of numpy, pandas, torch and Python for what a user did.
BARE = (
    "ambiguous|could not convert|inhomogeneous|not iterable|has no attribute|not callable"
)
BARE += "|unexpected keyword|NAType|not supported between|invalid literal|KeyError"


# Two sentences of scikit-learn itself.
NOT_OURS = "Sparse data was passed|Got .* instead|a classifier, which expects"
FITTED = [("MTEClassifier", "columns"), ("LFLSTMClassifier", "columns")]
FITTED += [("LFLSTMClassifier", "classes"), ("LFLSTMRegressor", "columns")]


@pytest.fixture
def no_training(monkeypatch):
    """An error comes before the first weight is made."""

    def fail(*given, **named):
        raise AssertionError("training began")

    for name, form in FITTED:
        model(name, form)
    monkeypatch.setattr("sk_mer.base.train_net", fail)


def message_of(row):
    with pytest.raises(row.kind) as error:
        row.call()
    return str(error.value)


@pytest.mark.parametrize("name", EVERY)
def test_one_clear_sentence(name, no_training, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    row = EVERY[name]
    message = message_of(row)
    assert re.search(row.says, message), message
    assert "\n" not in message
    assert len(message) < 400
    assert not re.search(BARE, message), message
    if not re.search(NOT_OURS, message):
        assert not re.search(r"[.!?] [A-Z]", message), message


@pytest.mark.filterwarnings("ignore:The weight of")
@pytest.mark.parametrize("name", [name for name, row in EVERY.items() if row.code])
def test_the_advice_works(name):
    row = EVERY[name]
    code = re.search(row.code, message_of(row)).group(1)
    known = dict(row.names)
    if " = " in code and not code.startswith("["):
        exec(code, known)
        assert row.then(known["X"], known["y"]) is not None
    else:
        assert row.then(eval(code, known)) is not None


# What once passed silently or ended in words of numpy, and is read now.
NOT_TOLD = {
    "Int64": KNOWN.astype("Int64"),
    "objects": KNOWN.astype("Int64").astype(object),
    "boolean": KNOWN.astype("boolean"),
    "array": KNOWN.astype("Int64").to_numpy(dtype=object),
}


@pytest.mark.parametrize("form", NOT_TOLD)
def test_what_pandas_does_not_know(form):
    y = NOT_TOLD[form]
    one, other = fit(y=y), fit(y=KNOWN if hasattr(y, "columns") else KNOWN.to_numpy())
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))
    answer = model().predict(X)
    assert weighted_accuracy_score(y, answer) == weighted_accuracy_score(
        KNOWN.to_numpy(), answer
    )
    scores = [weighted_accuracy_scorer(model(), X, truth) for truth in (y, KNOWN)]
    assert scores[0] == scores[1]
    task = [
        fit(y=LABELS).partial_fit(X, truth, labels=list(LABELS)).predict_proba(X)
        for truth in (y, KNOWN)
    ]
    np.testing.assert_array_equal(*task)


def test_tensors_with_gradients_are_targets():
    y = torch.tensor(LABELS.to_numpy(np.float32), requires_grad=True)
    np.testing.assert_array_equal(
        fit(y=y).predict_proba(X), fit(y=LABELS.to_numpy()).predict_proba(X)
    )
    classes = torch.tensor(np.unique(CLASSES, return_inverse=True)[1] + 0.0)
    assert fit(y=classes.requires_grad_(), labels=[0, 1, 2]).classes_.tolist() == [0, 1, 2]
    valence = torch.tensor(NUMBERS["valence"].to_numpy(), requires_grad=True)
    assert regress(valence).predict(X).shape == (96,)


def test_a_switch_of_skorch_that_is_off_already(capsys):
    net(callbacks__print_log=None)
    fit(verbose=1, net_params={"callbacks__print_log": None})
    assert "train_loss" not in capsys.readouterr().out
    fit(verbose=1)
    assert "train_loss" in capsys.readouterr().out


def test_what_is_known_of_a_matrix_goes_with_it():
    estimator = make("LFLSTMClassifier", max_epochs=1)
    table = pd.DataFrame(np.eye(96, 3), columns=list("abc"))
    assert estimator.fit(table, LABELS).n_features_in_ == 3
    estimator.fit(X, LABELS)
    assert not hasattr(estimator, "n_features_in_")
    assert not hasattr(estimator, "feature_names_in_")
    assert estimator.fit(np.eye(96, 2), LABELS).n_features_in_ == 2
    assert not hasattr(estimator, "feature_names_in_")


def test_rows_that_tell_nothing_are_told_of_each_time():
    y = LABELS * 1.0
    y.iloc[:3] = np.nan
    message = "3 of 96 rows of y tell about no label and are left out"
    with pytest.warns(UserWarning, match=message):
        estimator = fit(y=y)
    with pytest.warns(UserWarning, match=message):
        estimator.partial_fit(X, y)
    weights = np.where(np.arange(96) < 3, 0.0, 1.0)
    estimator.partial_fit(X, y, sample_weight=weights)


@pytest.mark.parametrize(
    "modalities", [["text", "audio", "vision"], dict(X.n_features), X.matrix_form]
)
def test_an_exported_model_reads_what_the_estimator_reads(modalities, tmp_path):
    estimator = mte(modalities=modalities)
    estimator.export_onnx(tmp_path / "model.onnx")
    exported = OnnxEmotionPredictor(tmp_path / "model.onnx")
    assert exported.modalities == modalities
    more = {**{name: [u[name] for u in X] for name in X.modalities}, "smell": CUBE}
    forms = [more, X.to_matrix() if modalities is X.matrix_form else more]
    for given in forms:
        np.testing.assert_allclose(
            exported.predict_proba(given), estimator.predict_proba(given), atol=1e-5
        )
