"""A training that is killed goes on from its last finished epoch, to the same weights."""

import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from sk_mer import MTEClassifier
from sk_mer.datasets import make_multimodal_emotions

from ..systems import ALL, LABELS, X, make, targets


class Killed(Exception):
    """Stands for the end of the process."""


class KillAfter(Callback):
    def __init__(self, n_epochs, n_batches):
        self.n_epochs = n_epochs
        self.n_batches = n_batches

    def on_batch_end(self, net, training=False, **kwargs):
        n_batches = sum(1 for _ in net.history[-1, "batches"])
        if training and len(net.history) > self.n_epochs and n_batches >= self.n_batches:
            raise Killed


def weights(model):
    return {name: w.numpy() for name, w in model.net_.module_.state_dict().items()}


def settings(folder, *callbacks):
    return {"checkpoint_dir": str(folder), "callbacks": [*callbacks]}


# Longer than two epochs, with validation rows and batches that are drawn.
HOW = {"max_epochs": 4, "batch_size": 24, "patience": 3, "validation_fraction": 0.2}


@pytest.mark.parametrize("name", ALL)
def test_every_system_goes_on(name, tmp_path):
    how = {**HOW, "random_state": 3}
    expected = make(name, **how).fit(X, targets(name))
    stopped = make(name, **how, net_params=settings(tmp_path, KillAfter(2, 2)))
    with pytest.raises(Killed):
        stopped.fit(X, targets(name))
    resumed = make(name, **how, net_params=settings(tmp_path)).fit(X, targets(name))
    for key, value in weights(expected).items():
        np.testing.assert_array_equal(weights(resumed)[key], value, err_msg=key)
    ours, theirs = resumed.history_, expected.history_
    assert [row["train_loss"] for row in ours] == [row["train_loss"] for row in theirs]
    assert [row["valid_loss"] for row in ours] == [row["valid_loss"] for row in theirs]


def test_a_finished_training_is_not_repeated(tmp_path):
    how = {**HOW, "random_state": 3}
    first = make("MTEClassifier", **how, net_params=settings(tmp_path)).fit(X, LABELS)
    never = settings(tmp_path, KillAfter(0, 1))
    again = make("MTEClassifier", **how, net_params=never).fit(X, LABELS)
    for key, value in weights(first).items():
        np.testing.assert_array_equal(weights(again)[key], value)


@pytest.mark.parametrize(
    "change",
    [
        {"lr": 0.5},
        {"random_state": 4},
        {"batch_size": 12},
        {"max_epochs": 5},
        {"modality_dropout": 0.5},
    ],
)
def test_another_training_begins_anew(change, tmp_path):
    how = {**HOW, "random_state": 3}
    make("MTEClassifier", **how, net_params=settings(tmp_path)).fit(X, LABELS)
    how.update(change)
    with pytest.raises(Killed):
        make("MTEClassifier", **how, net_params=settings(tmp_path, KillAfter(0, 1))).fit(
            X, LABELS
        )


def test_other_data_begin_anew(tmp_path):
    how = {**HOW, "random_state": 3}
    make("MTEClassifier", **how, net_params=settings(tmp_path)).fit(X, LABELS)
    model = make("MTEClassifier", **how, net_params=settings(tmp_path, KillAfter(0, 1)))
    with pytest.raises(Killed):
        model.fit(X[::-1], LABELS.iloc[::-1])


def test_files_hold_no_code(tmp_path):
    how = {**HOW, "random_state": 3}
    make("MTEClassifier", **how, net_params=settings(tmp_path)).fit(X, LABELS)
    (path,) = tmp_path.iterdir()
    state = torch.load(path, weights_only=True)
    assert len(state["history"]) == HOW["max_epochs"]


FIT = """
    import sys, time
    import torch
    from skorch.callbacks import Callback
    from sk_mer import MTEClassifier
    from sk_mer.datasets import make_multimodal_emotions

    torch.set_num_threads(1)

    class Slow(Callback):
        def on_batch_end(self, net, **kwargs):
            if len(net.history) == 3:
                print("third epoch", flush=True)
                time.sleep(60)

    data = make_multimodal_emotions(120, noise=0.5, random_state=0)
    MTEClassifier(
        label_vectors=data.label_vectors, hidden_sizes=(16, 6, 6), lr=0.01, batch_size=16,
        max_epochs=4, random_state=0,
        net_params={"checkpoint_dir": sys.argv[1], "callbacks": [Slow()]},
    ).fit(data.X, data.y[data.seen])
"""


def test_kill_9(tmp_path):
    script = tmp_path / "fit.py"
    script.write_text(textwrap.dedent(FIT))
    folder = tmp_path / "checkpoints"
    command = [sys.executable, str(script), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "third epoch\n"
        process.send_signal(signal.SIGKILL)
    data = make_multimodal_emotions(120, noise=0.5, random_state=0)
    how = {"label_vectors": data.label_vectors, "hidden_sizes": (16, 6, 6), "lr": 0.01}
    how |= {"batch_size": 16, "max_epochs": 4, "random_state": 0}
    y = data.y[data.seen]
    resumed = MTEClassifier(**how, net_params=settings(folder)).fit(data.X, y)
    expected = MTEClassifier(**how).fit(data.X, y)
    assert len(list(folder.glob("*.checkpoint"))) == 1
    for key, value in weights(expected).items():
        np.testing.assert_allclose(weights(resumed)[key], value, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"random_state": None}, "no training could be known again; give a number"),
        ({"net_params": {"checkpoint_dir": 3}}, "expected the path of a folder"),
        ({"net_params": {"checkpoint_dir": __file__}}, "a file; give a folder"),
        (
            {
                "net_params": {
                    "checkpoint_dir": "somewhere",
                    "iterator_train": torch.utils.data.DataLoader,
                }
            },
            "leave iterator_train out of net_params",
        ),
        (
            {"net_params": {"checkpoint_dir": "somewhere", "accelerator": object()}},
            "leave one of them out",
        ),
    ],
)
def test_what_it_cannot_do(change, sentence, tmp_path):
    how = {"random_state": 0, "net_params": settings(tmp_path), **change}
    with pytest.raises(ValueError, match=sentence):
        make("MTEClassifier", **how).fit(X, LABELS)
