"""Fitted models sent to a hub with a card, and fetched again, every weight of them."""

from __future__ import annotations

import importlib
import shutil
import types
from pathlib import Path

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline

import sk_mer
from sk_mer import EFLSTMClassifier, LFLSTMRegressor, MTEClassifier, PooledLinearClassifier
from sk_mer.preprocessing import MultimodalScaler

from ..conftest import tiny_fit
from ..local_hub import COMMIT, running


@pytest.fixture
def folder_hub(monkeypatch, tmp_path):
    """A folder that stands for the hub when a model is sent."""
    import huggingface_hub

    calls = []

    class Api:
        def __init__(self, token=None):
            calls.append(token)

        def create_repo(self, repo_id, *, private, exist_ok):
            calls.append((repo_id, private, exist_ok))
            if repo_id.startswith("closed/"):
                raise OSError("403 Forbidden: you may not write here")

        def upload_folder(self, *, repo_id, folder_path):
            shutil.copytree(folder_path, tmp_path / repo_id, dirs_exist_ok=True)
            return types.SimpleNamespace(repo_url=f"https://hub/{repo_id}")

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    return tmp_path, calls


def test_there_and_back(folder_hub, tiny, tiny_model):
    root, calls = folder_hub
    address = tiny_model.push_to_hub(
        "me/emotions", license="cc-by-nc-4.0", X_test=tiny.X, y_test=tiny.y[tiny.seen],
        data="Forty made-up utterances.", private=True,
    )  # fmt: skip
    assert address == "https://hub/me/emotions"
    assert calls == [None, ("me/emotions", True, True)]
    assert {p.name for p in (root / "me/emotions").iterdir()} == {
        "README.md",
        "model.safetensors",
    }
    again = MTEClassifier.from_pretrained(root / "me/emotions")
    np.testing.assert_array_equal(
        again.predict_proba(tiny.X), tiny_model.predict_proba(tiny.X)
    )
    for name, weight in tiny_model.net_.module_.state_dict().items():
        np.testing.assert_array_equal(again.net_.module_.state_dict()[name], weight)
    plain = {k: v for k, v in tiny_model.get_params().items() if k != "label_vectors"}
    assert {k: again.get_params()[k] for k in plain} == plain


def test_the_card(folder_hub, tiny, tiny_model):
    root, _ = folder_hub
    X = tiny.X.with_provenance(
        {"audio": {"made_by": "PretrainedSpeech", "model": "a/b", "layers": [3]}}
    )
    model = make_pipeline(MultimodalScaler(), tiny_fit(tiny)).fit(X, tiny.y[tiny.seen])
    shuffled = tiny.y[tiny.seen[::-1]]
    sk_mer.push_to_hub(model, "me/x", license="mit", X_test=X, y_test=shuffled,
                       data="Forty made-up utterances.", intended_use="Tests.")  # fmt: skip
    card = (root / "me/x/README.md").read_text(encoding="utf-8")
    assert card.startswith('---\nlicense: "mit"\nlibrary_name: "sk-mer"\n')
    for part in (
        "`MTEClassifier` of sk_mer", "behind MultimodalScaler", "Forty made-up utterances.",
        "sk_mer.from_pretrained('me/x')", "## Intended use\n\nTests.", "## Limits",
        f"| audio | {X.n_features['audio']} | PretrainedSpeech a/b | layers=[3] |",
        "| always: all-no |  | 0.5 | 0.5 |", "Do not use it to decide",
    ):  # fmt: skip
        assert part in card
    first = tiny.seen[0]
    truth, told = tiny.y[first], model.predict(X)[:, 0]
    accuracy = (told[truth == 1].mean() + (1 - told[truth == 0]).mean()) / 2
    (row,) = [line for line in card.splitlines() if line.startswith(f"| {first} |")]
    assert row.split(" | ")[1:3] == [f"{truth.sum():.3g}", f"{accuracy:.3g}"]
    tiny_model.push_to_hub("me/y", license="other")
    assert "None were given with this model" in (root / "me/y/README.md").read_text()


def test_classes_numbers_and_models_without_a_network(folder_hub, tiny):
    root, _ = folder_hub
    classes = np.where(tiny.y[tiny.seen[0]] == 1, "b", "a")
    linear = PooledLinearClassifier(C=1.0).fit(tiny.X, classes)
    linear.push_to_hub("me/linear", license="mit", X_test=tiny.X, y_test=classes)
    again = PooledLinearClassifier.from_pretrained(str(root / "me/linear"))
    np.testing.assert_array_equal(again.predict(tiny.X), linear.predict(tiny.X))
    numbers = tiny_fit(tiny, LFLSTMRegressor)
    truth = tiny.y[tiny.seen]
    numbers.push_to_hub("me/numbers", license="mit", X_test=tiny.X, y_test=truth)
    card = (root / "me/numbers/README.md").read_text()
    assert "| always: the mean | 0 |" in card
    assert "numbers: " in card


def test_by_the_protocol_of_the_hub(folder_hub, tiny, tiny_model, monkeypatch, tmp_path):
    root, _ = folder_hub
    tiny_model.push_to_hub("me/emotions", license="mit")
    with running(monkeypatch, tmp_path / "cache") as hub:
        hub.models["me/emotions"] = root / "me/emotions"
        found = sk_mer.from_pretrained("me/emotions", revision=COMMIT)
        np.testing.assert_array_equal(found.predict(tiny.X), tiny_model.predict(tiny.X))
        assert not [path for path in hub.asked if path.endswith("README.md")]
        hub.asked.clear()
        again = sk_mer.from_pretrained(
            "me/emotions", local_files_only=True, revision=COMMIT
        )
        assert not hub.asked
        np.testing.assert_array_equal(again.predict(tiny.X), found.predict(tiny.X))
        with pytest.raises(
            ValueError, match="holds a MTEClassifier, not a EFLSTMClassifier"
        ):
            EFLSTMClassifier.from_pretrained("me/emotions")
        with pytest.raises(ValueError, match="no model 'me/none' that it would show"):
            sk_mer.from_pretrained("me/none")


def test_what_is_refused(folder_hub, tiny, tiny_model, monkeypatch):
    root, calls = folder_hub
    with pytest.raises(TypeError, match="license"):
        tiny_model.push_to_hub("me/x")
    with pytest.raises(
        ValueError, match="name the licence of the model, such as 'cc-by-nc"
    ):
        tiny_model.push_to_hub("me/x", license=" ")
    with pytest.raises(ValueError, match="Only one of X_test and y_test"):
        tiny_model.push_to_hub("me/x", license="mit", X_test=tiny.X)
    with pytest.raises(
        ValueError, match="token_env='NO_TOKEN': there is no such environment"
    ):
        tiny_model.push_to_hub("me/x", license="mit", token_env="NO_TOKEN")
    assert not calls
    with pytest.raises(
        ValueError, match=r"'closed/x' could not be sent .*403 Forbidden.*token"
    ):
        tiny_model.push_to_hub("closed/x", license="mit")
    with pytest.raises(ValueError, match=r"holds no model.safetensors; give a model that"):
        sk_mer.from_pretrained(root)
    (root / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"model.safetensors is damaged"):
        sk_mer.from_pretrained(Path(root))
    real = importlib.import_module

    def hidden(name, *args):
        if name == "huggingface_hub":
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr("importlib.import_module", hidden)
    with pytest.raises(
        ImportError, match=r"push_to_hub needs .*pip install 'sk-mer\[hub\]'"
    ):
        tiny_model.push_to_hub("me/x", license="mit")
