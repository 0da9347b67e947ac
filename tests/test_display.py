"""What estimators and generated data show of themselves: no rows of numbers."""

import re

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.utils.validation import check_is_fitted

import sk_mer
from sk_mer import MTEClassifier, load_label_vectors
from sk_mer.datasets import make_multimodal_emotions
from sk_mer.feature_extraction import (
    AcousticSequences,
    ActionUnitSequences,
    ModalityColumns,
    WordVectorSequences,
)
from sk_mer.preprocessing import MultimodalScaler, SegmentStatistics, SilenceTrimmer

from .systems import ALL, DATA

VECTORS = {"happy": np.arange(300) + 0.12345, "sad": np.arange(300) - 0.54321}
NUMBERS = re.compile(r"\.1234|\.4567|array\(|\d\.\d{6}")
ESTIMATORS = [
    *(getattr(sk_mer, name)() for name in ALL),
    *(MultimodalScaler(), SilenceTrimmer(), SegmentStatistics()),
    *(AcousticSequences(), ActionUnitSequences(), WordVectorSequences(VECTORS)),
    ModalityColumns([("text", WordVectorSequences(VECTORS), "sentence")]),
]


@pytest.mark.parametrize("vectors", [VECTORS, np.stack(list(VECTORS.values()))])
def test_vectors_are_shown_in_short(vectors):
    model = MTEClassifier(label_vectors=vectors, lr=0.5)
    assert repr(model) == (
        "MTEClassifier(label_vectors=<2 vectors of 300 numbers>, lr=0.5)"
    )
    assert model.label_vectors is vectors
    assert clone(model).get_params()["label_vectors"] is not None
    pipeline = make_pipeline(MultimodalScaler(), model)
    for shown in (repr(model), repr(pipeline), model._repr_html_(), pipeline._repr_html_()):
        text = shown.partition("<body>")[2] or shown  # without its style sheet
        assert "MTEClassifier" in text
        assert "2 vectors of 300 numbers" in text
        assert not NUMBERS.search(text), NUMBERS.search(text)


def test_many_parameters_take_several_lines():
    model = MTEClassifier(
        label_vectors=VECTORS, hidden_sizes={"text": 3}, lr=0.5, batch_size=7, max_epochs=9
    )
    pipeline = make_pipeline(MultimodalScaler(), model)
    for shown in (repr(model), repr(pipeline)):
        assert max(map(len, shown.splitlines())) < 90
        assert "batch_size=7" in shown


@pytest.mark.parametrize("vectors", [None, {}, "glove.txt"])
def test_other_sources_are_shown_as_they_are(vectors):
    model = MTEClassifier(label_vectors=vectors, lr=0.5)
    expected = "" if vectors is None else f"label_vectors={vectors!r}, "
    assert repr(model) == f"MTEClassifier({expected}lr=0.5)"


def test_a_fitted_one_is_still_said_to_be_fitted():
    model = MTEClassifier(label_vectors=DATA.label_vectors, hidden_sizes=2, max_epochs=1)
    assert "Not fitted" in model._repr_html_()
    model.fit(DATA.X, DATA.y[DATA.seen])
    repr(model)
    check_is_fitted(model)
    assert "Not fitted" not in model._repr_html_()


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_the_link_leads_to_our_documentation(estimator):
    link = estimator._get_doc_link()
    assert link == "https://github.com/sk-mer/sk-mer/blob/main/docs/api.rst"
    assert link in estimator._repr_html_()
    assert "modules/generated" not in estimator._repr_html_()


class TestGeneratedData:
    def test_a_few_lines(self):
        shown = repr(make_multimodal_emotions(50, random_state=0))
        assert len(shown.splitlines()) < 15
        assert max(map(len, shown.splitlines())) < 200
        assert not NUMBERS.search(shown)
        for name in ("X ", "y ", "seen ", "unseen ", "label_vectors ", "best_auc "):
            assert f"\n{name}" in f"\n{shown}"
        assert "8 vectors of 16 numbers" in shown

    def test_as_a_table(self):
        shown = make_multimodal_emotions(50, random_state=0)._repr_html_()
        assert shown.startswith("<table><tr><th>X</th><td>MultimodalArray of 50 utterances")
        assert not NUMBERS.search(shown)

    def test_it_is_a_bunch(self):
        data = make_multimodal_emotions(50, random_state=0)
        assert list(data) == [
            *("X", "y", "seen", "unseen", "label_vectors", "best_proba", "best_auc")
        ]
        assert dict(data.label_vectors) == data.label_vectors
        del data["best_auc"]
        assert "MultimodalArray" in repr(data)

    def test_loaded_vectors(self):
        found = load_label_vectors(VECTORS, ["sad", "happy"])
        assert repr(found) == "<2 vectors of 300 numbers>"
        assert list(found) == ["sad", "happy"]
