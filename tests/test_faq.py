"""The messages that the FAQ explains are those that users meet."""

from __future__ import annotations

import doctest
import re

import numpy as np
import pandas as pd
import pytest

from sk_mer import EFLSTMClassifier, LFLSTMClassifier, MTEClassifier, MultimodalArray
from sk_mer.datasets import make_multimodal_emotions
from sk_mer.feature_extraction import align_to_words
from sk_mer.metrics import weighted_accuracy_score

from .doc_pages import DOCS

SMALL = {"num_layers": 1, "max_epochs": 1, "random_state": 0}
DATA = make_multimodal_emotions(40, positive_rate=0.4, random_state=0)
X, Y = DATA.X, DATA.y[DATA.seen]


def late(**changes):
    return LFLSTMClassifier(hidden_sizes=4, **{**SMALL, **changes})


def mte(**changes):
    return MTEClassifier(**{**SMALL, "hidden_sizes": 4, **changes})


def without_sound(row):
    sequences = {name: [u[name] for u in X] for name in X.modalities}
    sequences["audio"][row] = None
    return MultimodalArray(sequences)


def with_a_nan():
    audio = [u["audio"].copy() for u in X]
    audio[7][0, 0] = np.nan
    return {"audio": audio}


# In the order of the page: what makes each message appear.
CAUSES = [
    lambda: mte(label_vectors={"joy": np.ones(3)}).fit(X, Y),
    lambda: late().fit(without_sound(3), Y),
    lambda: EFLSTMClassifier(hidden_size=4, **SMALL).fit(X, Y),
    lambda: late().fit(with_a_nan(), Y),
    lambda: late().fit(X, Y.assign(anger=0)),
    lambda: late().fit(X, Y.assign(anger=2)),
    lambda: late().fit(X, Y).set_labels(["excited"]),
    lambda: mte(label_vectors=None).fit(X, Y).set_labels(["excited"]),
    lambda: late().fit(X[:30], Y),
    lambda: late().fit(X, Y).predict(X.select("text")),
    lambda: late(threshold={"angry": 0.3}).fit(X, Y),
    lambda: late(threshold="tune", validation_fraction=None).fit(X, Y),
    lambda: align_to_words(X, [[[0, 1]]] * len(X), {"audio": 50}),
    lambda: weighted_accuracy_score(Y, Y.rename(columns={"anger": "angry"})),
    lambda: late(device="cuda:99").fit(X, Y),
    lambda: late().fit(X, Y.where(pd.Series(np.arange(40) > 1), np.nan)),
]


def messages():
    """Titles of the page: a message each, parts of it left out as three dots."""
    page = (DOCS / "faq.rst").read_text(encoding="utf-8")
    return [title for title, rule in re.findall(r"^(.+)\n(-+)$", page, re.MULTILINE)]


@pytest.mark.parametrize("place", range(len(CAUSES)))
def test_message(place):
    assert len(messages()) == len(CAUSES)
    with pytest.raises((ValueError, UserWarning)) as caught:
        CAUSES[place]()
    wanted = messages()[place].replace("``", "")
    same = doctest.OutputChecker().check_output(
        wanted + "\n", str(caught.value) + "\n", doctest.ELLIPSIS
    )
    assert same, f"the FAQ has\n{wanted}\nbut the message is\n{caught.value}"
