"""Too little memory: smaller micro-batches, the same training, one sentence."""

from __future__ import annotations

import re
import warnings
from ast import literal_eval

import numpy as np
import pytest
import torch
from torch import nn

from sk_mer import LFLSTMClassifier, LFLSTMRegressor, ModuleClassifier, MTLClassifier
from sk_mer.engine.row_limit import RowLimit
from sk_mer.models.lf_lstm import LFLSTMModule

from .. import systems
from ..second_device import second_device

X, Y = systems.X[:40], systems.LABELS[:40]
OUT = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nMore words.")
SETTINGS = {"hidden_sizes": 4, "num_layers": 1, "max_epochs": 2, "random_state": 0}
SETTINGS |= {"dropout": 0.0, "batch_size": 15, "validation_fraction": 0.25}


def model(system=LFLSTMClassifier, **params):
    return system(**{**SETTINGS, **params})


@pytest.fixture
def room(monkeypatch):
    """How many rows there is memory for, where something is learned and where not."""
    most, sizes = {"train": 10**6, "predict": 10**6}, []
    forward = LFLSTMModule.forward

    def limited(self, sequences, lengths):
        n = len(next(iter(lengths.values())))
        if n > most["train" if self.training else "predict"]:
            raise OUT
        sizes.append((self.training, n))
        return forward(self, sequences, lengths)

    monkeypatch.setattr(LFLSTMModule, "forward", limited)
    most["sizes"] = sizes
    return most


def weights_of(fitted):
    return torch.cat([w.detach().cpu().flatten() for w in fitted.net_.module_.parameters()])


def test_a_step_is_the_same_in_smaller_parts(room):
    whole = model().fit(X, Y)
    room["train"] = 5
    told = (
        "cpu ran out of memory for a step of training of 15 utterances at a time, so that "
        "micro-batches of 4 are computed from now on, which add up to the same; begin "
        "with that by net_params={'micro_batch_size': 4}."
    )
    with pytest.warns(UserWarning, match="cpu ran out") as said:
        small = model().fit(X, Y)
    assert [str(warning.message) for warning in said] == [told]
    assert said[0].filename == __file__
    torch.testing.assert_close(weights_of(small), weights_of(whole), rtol=1e-4, atol=1e-6)
    losses = [[row["train_loss"] for row in m.history_] for m in (small, whole)]
    np.testing.assert_allclose(*losses, rtol=1e-5)
    del room["sizes"][:]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = model(net_params={"micro_batch_size": 4}).fit(X, Y)
    torch.testing.assert_close(weights_of(again), weights_of(small), rtol=0, atol=0)
    assert max(n for training, n in room["sizes"] if training) == 4


def test_gradients_of_a_failed_attempt_are_gone(monkeypatch):
    """Memory runs out in the backward pass, when some weights have their gradients."""
    whole = model(max_epochs=1, batch_size=20, validation_fraction=None).fit(X, Y)
    backward = torch.Tensor.backward

    def half_done(self, *args, **kwargs):
        backward(self, *args, **kwargs)
        raise OUT

    monkeypatch.setattr(torch.Tensor, "backward", half_done)
    with pytest.warns(UserWarning, match="micro-batches of 10 are computed"):
        small = model(max_epochs=1, batch_size=20, validation_fraction=None).fit(X, Y)
    torch.testing.assert_close(weights_of(small), weights_of(whole), rtol=1e-4, atol=1e-6)


def test_predictions_and_validation(room):
    fitted = model().fit(X, Y)
    expected = fitted.predict_proba(X)
    room["predict"] = 7
    with pytest.warns(UserWarning, match="for a prediction of 40 .* of 5 are computed"):
        found = fitted.predict_proba(X)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted.predict_proba(X)
        model(net_params={"micro_batch_size": 5}).fit(X, Y).predict_proba(X)
    with pytest.warns(UserWarning, match="for a prediction of 10"):
        validated = model().fit(X, Y)
    losses = [[row["valid_loss"] for row in m.history_] for m in (validated, fitted)]
    np.testing.assert_allclose(*losses, rtol=1e-5)


def test_on_a_device(room):
    with second_device():
        whole = weights_of(model(device="cuda").fit(X, Y))
        room["train"] = room["predict"] = 8
        with pytest.warns(UserWarning, match="cuda ran out of memory"):
            fitted = model(device="cuda").fit(X, Y)
    torch.testing.assert_close(weights_of(fitted), whole, rtol=1e-4, atol=1e-6)


def test_no_room_for_one(room):
    room["train"] = 0
    message = (
        r"^cpu ran out of memory \(CUDA out of memory. Tried to allocate 2.00 GiB\) for a "
        "step of training of a single utterance; make the network smaller, or use device"
    )
    with pytest.raises(torch.OutOfMemoryError, match=message):
        model().fit(X, Y)
    room.update(train=99, predict=0)
    with pytest.raises(torch.OutOfMemoryError, match="a prediction of a single utterance"):
        model().fit(X, Y)


STAYS_WHOLE = r"for a step of training of a batch of \d+ utterances, which must stay whole"


def test_a_loss_that_needs_all_rows(room):
    room["train"] = 15
    settings = {"loss": "concordance", "batch_size": 30}
    y = systems.NUMBERS[:40]
    with pytest.raises(
        torch.OutOfMemoryError, match=STAYS_WHOLE + " here; fit with batch_size=15"
    ):
        model(LFLSTMRegressor, **settings).fit(X, y)
    model(LFLSTMRegressor, **{**settings, "batch_size": 15}).fit(X, y)
    with pytest.raises(
        ValueError, match=r"^net_params has micro_batch_size=8, but a batch of this system"
    ):
        model(LFLSTMRegressor, net_params={"micro_batch_size": 8}, **settings).fit(X, y)


class Mean(nn.Module):
    """Rows meet in it, as far as anybody knows."""

    def __init__(self, n_features, n_labels):
        super().__init__()
        self.out = nn.Linear(1, n_labels)

    def forward(self, sequences, lengths):
        if len(lengths["text"]) > 16:
            raise OUT
        return self.out(sequences["text"].mean(dim=(1, 2))[:, None])


def test_a_module_that_reads_rows_together():
    settings = {"module": Mean, "max_epochs": 1, "validation_fraction": None}
    with pytest.raises(
        torch.OutOfMemoryError, match=STAYS_WHOLE + " here; fit with batch_size=14"
    ):
        ModuleClassifier(batch_size=27, **settings).fit(X, Y)
    fitted = ModuleClassifier(batch_size=14, **settings).fit(X, Y)
    message = r"a prediction of a batch of 27 .* here; fit with net_params=(\{.*\})\.$"
    with pytest.raises(torch.OutOfMemoryError, match=message) as caught:
        fitted.predict(X[:27])
    # What the message says to do.
    given = literal_eval(re.search(message, str(caught.value))[1])
    fitted.set_params(net_params=given).fit(X, Y).predict(X[:27])


def test_a_loss_of_the_user_whose_mean_is_unknown():
    class Loss(nn.BCEWithLogitsLoss):
        pass

    given = {"criterion": Loss, "micro_batch_size": 8}
    with pytest.raises(ValueError, match="a batch of this system and loss must stay whole"):
        model(net_params=given).fit(X, Y)
    model(net_params={**given, "criterion": nn.BCEWithLogitsLoss}).fit(X, Y)


def test_videos_are_read_whole():
    with pytest.raises(ValueError, match="a batch of this system and loss must stay whole"):
        MTLClassifier(net_params={"micro_batch_size": 6}).fit(X, Y)


def test_limits():
    limit = RowLimit()
    assert limit.count(100, "train") == 1
    seen = []

    def compute():
        seen.append(limit.count(10, "train"))
        if seen[-1] < 4:
            raise OUT
        return "done"

    with pytest.warns(UserWarning, match=re.escape("of 10 utterances at a time")):
        assert limit.within(compute, 10, "train", "cuda:0", lambda: True) == "done"
    assert seen == [1, 2, 4]
    assert limit.most == {"train": 3, "predict": None}


@pytest.mark.parametrize("size", [0, -1, 2.0, True, "8"])
def test_sizes_that_are_none(size):
    with pytest.raises(
        ValueError, match=rf"^net_params has micro_batch_size={size!r}; exp"
    ):
        model(net_params={"micro_batch_size": size}).fit(X, Y)
