"""EF- and LF-LSTM: sizes, equations, alignment, untrained rows for unseen labels."""

import numpy as np
import pytest
import torch

from sk_mer import EFLSTMClassifier, LFLSTMClassifier
from sk_mer.module_spec import ModuleSpec

from ..conftest import SMALL, encoder_size

MOSEI = {"text": 300, "audio": 74, "vision": 35}
BOTH = pytest.mark.parametrize("system", [EFLSTMClassifier, LFLSTMClassifier])


@pytest.mark.parametrize(
    ("system", "count"), [(EFLSTMClassifier, 3_874_806), (LFLSTMClassifier, 5_372_806)]
)
def test_parameter_count_of_the_published_models(system, count):
    module = system()._make_module(ModuleSpec(MOSEI, MOSEI, tuple(range(6))))
    assert sum(p.numel() for p in module.parameters()) == count


def test_early_fusion_is_the_equation(aligned):
    model = EFLSTMClassifier(hidden_size=6, **SMALL).fit(aligned.X, aligned.y[aligned.seen])
    module = model.net_.module_
    for utterance, z in zip(
        aligned.X[:5], model.decision_function(aligned.X[:5]), strict=True
    ):
        joined = torch.from_numpy(np.concatenate(list(utterance.values()), axis=1))[None]
        expected = module.head(module.encoder.lstm(joined)[0][:, -1])[0]
        np.testing.assert_allclose(z, expected.detach(), rtol=1e-4, atol=1e-5)


def test_late_fusion_is_the_equation(emotions):
    model = LFLSTMClassifier(hidden_sizes=(6, 5, 4), **SMALL)
    model.fit(emotions.X, emotions.y[emotions.seen])
    module = model.net_.module_
    for utterance, z in zip(
        emotions.X[:5], model.decision_function(emotions.X[:5]), strict=True
    ):
        last = [
            encoder.lstm(torch.tensor(utterance[name])[None])[0][0, -1]
            for name, encoder in zip(module.names, module.encoders, strict=True)
        ]
        assert [len(state) for state in last] == [12, 10, 8]
        expected = module.head(torch.cat(last)[None])[0]
        np.testing.assert_allclose(z, expected.detach(), rtol=1e-4, atol=1e-5)


@BOTH
def test_unseen_labels_as_the_paper_ran_them(aligned, system):
    model = system(**encoder_size(system, 6), unseen_labels="random", **SMALL)
    model.fit(aligned.X, aligned.y[aligned.seen])
    before = model.predict_proba(aligned.X)
    model.set_labels([*aligned.seen, "excited"])
    after = model.predict_proba(aligned.X)
    np.testing.assert_array_equal(after[:, :6], before)
    np.testing.assert_array_equal(
        model.set_labels(["excited"]).predict_proba(aligned.X)[:, 0], after[:, 6]
    )
    model.set_params(random_state=1).set_labels(["excited"])
    assert not np.allclose(model.predict_proba(aligned.X)[:, 0], after[:, 6])
    np.testing.assert_array_equal(model.reset_labels().predict_proba(aligned.X), before)


def test_early_fusion_needs_alignment(emotions):
    with pytest.raises(
        ValueError, match="different numbers of steps in 'text' and 'audio'"
    ):
        EFLSTMClassifier().fit(emotions.X, emotions.y[emotions.seen])


@BOTH
def test_all_zero_modality_of_a_dense_array_is_read(aligned, system):
    """A face that was never found is zero in public files, and not missing."""
    dense = {name: aligned.X.padded(name, side="left") for name in aligned.X.modalities}
    dense["vision"][:10] = 0
    model = system(**encoder_size(system, 6), **SMALL).fit(dense, aligned.y[aligned.seen])
    right = {name: aligned.X.padded(name) for name in aligned.X.modalities}
    right["vision"][:10] = 0
    np.testing.assert_array_equal(model.predict_proba(dense), model.predict_proba(right))


@BOTH
def test_preset(system):
    model = system.from_preset("readme")
    assert (model.batch_size, model.lr, model.clip_norm) == (64, 1e-3, 1.0)
