"""Answers of a batch in micro-batches, each padded no further than it needs."""

import numpy as np
import pytest
import torch
from torch import nn

from sk_mer import ModuleClassifier, MultimodalArray

seen, trained = [], []


class Mean(nn.Module):
    """Logits from the mean of the steps; notes what it is given."""

    rows_are_independent = True

    def __init__(self, n_features, n_labels):
        super().__init__()
        self.layer = nn.Linear(sum(n_features.values()), n_labels)

    def forward(self, sequences, lengths):
        (trained if self.training else seen).append(tuple(sequences["text"].shape[:2]))
        return self.layer(sequences["text"].sum(dim=1) / lengths["text"][:, None])


class MeanOfBatch(Mean):
    """Which may not be divided."""

    rows_are_independent = False


def utterances():
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 30, size=200)
    return MultimodalArray(text=[rng.normal(size=(n, 3)) for n in lengths]), lengths


def fitted(module, **settings):
    X, _ = utterances()
    y = np.random.default_rng(1).integers(0, 2, size=(len(X), 2))
    how = {"max_epochs": 1, "validation_fraction": None, "patience": None}
    return ModuleClassifier(module, **how, **settings, random_state=0).fit(X, y)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_micro_batches_are_small_and_padded_to_their_own_rows():
    X, lengths = utterances()
    model = fitted(Mean)
    seen.clear()
    together = model.predict_proba(X)
    sizes, steps = zip(*seen, strict=True)
    assert sum(sizes) == len(X)
    assert max(sizes) <= 64
    assert sorted(steps) == sorted(
        int(part.max())
        for part in np.split(np.sort(lengths), np.cumsum(sorted_sizes(sizes)))
    )
    alone = np.concatenate([model.predict_proba(X[i : i + 1]) for i in range(20)])
    np.testing.assert_allclose(together[:20], alone, atol=1e-6)


def sorted_sizes(sizes):
    """Where micro-batches of like size end; the smallest is the last."""
    return sorted(sizes, reverse=True)[:-1]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_batch_whose_rows_meet_stays_whole():
    X, lengths = utterances()
    model = fitted(MeanOfBatch)
    seen.clear()
    model.predict_proba(X)
    assert seen == [(len(X), lengths.max())]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_gradients_still_flow_through_a_net_that_is_asked_for_them():
    X, _ = utterances()
    model = fitted(Mean)
    inputs, _ = model._dataset(X, None, None).batch(np.arange(len(X)))
    seen.clear()
    answer = model.net_.infer(inputs)
    assert answer.requires_grad
    assert seen == [(len(X), max(X.lengths("text")))]
    with torch.no_grad():
        torch.testing.assert_close(model.net_.infer(inputs), answer.detach())
    assert len(seen) > 2


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_windows_are_whole_in_every_micro_batch():
    """With padding="none" the padded steps are read, in training and after it."""
    X, lengths = utterances()
    trained.clear()
    model = fitted(Mean, padding="none", batch_size=128)
    seen.clear()
    model.predict_proba(X)
    for shapes in (trained, seen):
        assert max(rows for rows, _ in shapes) <= 64
        assert {steps for _, steps in shapes} == {lengths.max()}
