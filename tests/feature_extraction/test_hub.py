"""Models of the hub, for which a local server stands; no test asks the real one."""

from __future__ import annotations

import numpy as np
import pytest

from sk_mer.feature_extraction import PretrainedText

from ..local_hub import COMMIT, running


@pytest.fixture
def hub(monkeypatch, tmp_path):
    with running(monkeypatch, tmp_path / "hub") as server:
        yield server


def test_a_model_of_the_hub(hub, encoder_folder):
    hub.models["someone/tiny-bert"] = encoder_folder("bert")
    step = PretrainedText("someone/tiny-bert").fit(["so"])
    assert step.provenance_["model"] == "someone/tiny-bert"
    assert step.provenance_["revision"] == COMMIT
    local = PretrainedText(encoder_folder("bert")).fit(["so"])
    assert step.provenance_["weights"] == local.provenance_["weights"]
    found, expected = (s.transform(["so happy"]).values("text") for s in (step, local))
    np.testing.assert_array_equal(found, expected)
    hub.asked.clear()
    offline = PretrainedText("someone/tiny-bert", local_files_only=True).fit(["so"])
    assert offline.provenance_ == step.provenance_
    assert not hub.asked


def says(pattern, step):
    with pytest.raises(ValueError, match=pattern) as told:
        step.fit(["so"])
    assert "\n" not in str(told.value)


def test_what_the_hub_does_not_give(hub, encoder_folder, monkeypatch):
    hub.models["someone/gated"] = encoder_folder("bert")
    hub.gated.add("someone/gated")
    says(r"terms accepted before it gives 'someone/gated': .* give token_env='HF_TOKEN'",
         PretrainedText("someone/gated"))  # fmt: skip
    says("token_env='MY_TOKEN': there is no such environment variable",
         PretrainedText("someone/gated", token_env="MY_TOKEN"))  # fmt: skip
    monkeypatch.setenv("MY_TOKEN", "bad")
    says("with the account of the token in it",
         PretrainedText("someone/gated", token_env="MY_TOKEN"))  # fmt: skip
    monkeypatch.setenv("MY_TOKEN", "good")
    step = PretrainedText("someone/gated", token_env="MY_TOKEN").fit(["so"])
    assert "good" not in repr(vars(step))
    says("no model 'someone/none' that it would show", PretrainedText("someone/none"))
    says("'someone/gated' has no revision 'v9' on the hub",
         PretrainedText("someone/gated", revision="v9", token_env="MY_TOKEN"))  # fmt: skip
    says(r"'someone/other' is not on this machine and nothing may be fetched; .*hf download",
         PretrainedText("someone/other", local_files_only=True))  # fmt: skip
    hub.shutdown()
    hub.server_close()
    says("'someone/other' is not on this machine and no hub answers",
         PretrainedText("someone/other"))  # fmt: skip
