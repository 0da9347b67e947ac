"""Parameters and attributes that systems share, documented once.

A class docstring has the line ``{shared_parameters}`` under Parameters, and
``{shared_attributes}`` under Attributes; each becomes the entries below of what the
class has.
"""

from __future__ import annotations

import inspect
import textwrap
from typing import Any

__all__ = ["fill_shared_docs"]

_PARAMETERS = """
labels : sequence, mapping or None, default=None
    Names of the columns of `y`; those of a DataFrame by default, of which a list may
    leave some out. A mapping says what some of the names stand for, and leaves none
    out.
modalities : sequence of str, mapping, or None, default=None
    Modalities to use; all of them by default. For `X` given as one array, a mapping of
    modalities to their numbers of columns; for a matrix that ``X.to_matrix()`` made, its
    ``X.matrix_form``.
padding : {"mask", "none"}, default="mask"
    ``"mask"`` runs each utterance as if alone, at its own length. ``"none"`` pads all to
    the longest of ``fit``, and the padded steps are read too, as public code does.
missing : {"error", "zeros"}, default="error"
    What to do where an utterance lacks a modality that the system needs: refuse it, or
    read zeros there, with a warning.
threshold : float, sequence, mapping or "tune", default=0.5
    An emotion is predicted where its probability is greater. One number, one for each
    label, or chosen for weighted accuracy on validation data. Classes (1-D `y`) are
    predicted by the highest score: leave it at 0.5 there.
pos_weight : "balanced", sequence, mapping or None, default="balanced"
    Weight of the positives of each label in the loss, for columns of labels; balanced:
    negatives / positives of the training rows.
class_weight : "balanced", mapping or None, default="balanced"
    Weight of each class in the loss, for one class a row; balanced: the inverse of its
    frequency. With a mapping the validation loss, which these weights shape, chooses
    the epoch that is kept.
loss : {"squared_error", "concordance"}, default="squared_error"
    Mean squared error, or one minus the concordance correlation coefficient of a batch,
    which wants batches of dozens of rows. Columns of `y` are standardised before.
lr : float, default={lr}
    Learning rate of Adam; divided by ten when the validation loss has not fallen for
    more than five epochs.
batch_size : int, default={batch_size}
    Utterances a step.
max_epochs : int, default={max_epochs}
    Passes over the training rows at most. A ConvergenceWarning tells where validation
    still improved when they were over.
patience : int or None, default={patience}
    Epochs without a better validation score before training stops; the weights of the
    best epoch are kept. The score is the mean weighted accuracy, the validation loss
    where that is equal; numbers are judged by the loss. None trains to the end.
clip_norm : float or None, default={clip_norm}
    Largest global norm of the gradient.
validation_fraction : float or None, default=0.1
    Share of rows (of groups, where given) set aside in ``fit``, unless a validation set
    is given. Copies of an utterance stay together. None or 0: no early stopping.
handle_nonfinite : {"error", "zero"}, default="error"
    Refuse NaN and infinite values in `X`, or read them as 0.
on_empty : {"prior", "nan", "skip", "error"}, default="prior"
    What to do with utterances without a step in any modality, such as a comment without
    a known word. ``fit`` leaves them out, with a warning, unless this is ``"error"``.
    Answers for them are the shares of the labels (the means of the numbers) among the
    training rows, with a warning; NaN, where ``predict`` says no label, or the most
    frequent class; or ``"skip"``: there are none, so that answers have fewer rows than X.
device : str or torch.device, default="cpu"
    Where torch computes; ``"auto"`` takes a GPU where there is one. ``"worker"`` shares out
    the GPUs of a machine among joblib's workers (``n_jobs`` of a search): worker `k` takes
    GPU `k`, and they begin again where there are fewer; without a GPU it is the CPU.
precision : {"fp32", "bf16"}, default="fp32"
    Matrix products in float32, or in bfloat16 where the device has units for it: faster,
    with two to three significant digits in each product.
continual : str or mapping, default="gem"
    How ``partial_fit`` keeps what was learned before. ``"gem"``: the loss on what is
    remembered of each past task is no higher after a call than before, by more than a
    tolerance of 0.05. ``"gem-gradient"``: projecting gradients, as Gradient Episodic Memory
    was published (``"agem"`` is its cheap variant). ``"replay"`` adds the gradient of the
    memory, ``"joint"`` steps on source data in between, ``"finetune"`` does nothing. A
    mapping has one of these as its ``"method"``, and may have the ``"tolerance"``, and
    ``"lr"``, ``"batch_size"`` and ``"max_epochs"`` of the calls.
memory_size : int or None, default=256
    Utterances of all past tasks together that are kept for that; None keeps all.
memory_strength : float, default=0.01
    With ``"gem-gradient"``, how much a step is pulled back towards each past task when it
    would harm one of them.
store_memory : bool, default=False
    Whether these utterances travel with pickle, joblib, copies and ``save``.
modality_dropout : float or mapping of str to float, default=0.0
    How often each step of training takes a modality away from an utterance, drawn anew
    each epoch: one rate for all, or rates by name, 0 for others. The last modality that
    an utterance has stays. Validation and prediction read all.
random_state : int, RandomState or None, default=None
    Seeds weights, batches, dropout and the validation draw.
verbose : int, default=0
    1 prints the expected time after a few batches, and a line an epoch.
net_params : dict or None, default=None
    Anything else for :class:`skorch.NeuralNet`: ``callbacks``, ``optimizer``,
    ``optimizer__weight_decay`` ... Parameters of the estimator, such as ``lr``, are
    refused here. In a grid search each has a name of its own, such as
    ``net_params__optimizer__weight_decay``.
"""

_ATTRIBUTES = """
labels_ : list
    Labels that the estimator scores now; ``set_labels`` changes them.
seen_labels_ : list
    Labels of ``fit``.
classes_ : ndarray of shape (n_labels,)
    ``labels_`` as an array, as scikit-learn's tools expect it.
multilabel_ : bool
    Whether `y` had a column a label.
thresholds_ : ndarray of shape (n_labels,)
    In use for each of ``labels_``.
targets_ : list
    Names of the columns of `y`.
target_mean_, target_scale_ : ndarray of shape (n_targets,)
    Of the training rows; the network learns (y - mean) / scale.
modalities_ : list of str
    Modalities of ``fit``.
n_features_ : dict of str to int
    Their feature sizes.
provenance_ : dict of str to dict
    What made the features of ``fit``, by modality, where ``X.provenance`` told it; those
    of another extractor are refused.
n_steps_ : dict of str to int
    Steps of the longest utterance of ``fit`` in each.
n_nonfinite_ : dict of str to int
    NaN and infinite values met in ``fit``, by modality.
n_empty_ : int
    Utterances without any step, which were left out of training and validation.
history_ : list of dict
    Losses of each epoch, the validation weighted accuracy of classifiers, the learning
    rate (``lr``), and numbers that callbacks record.
n_iter_ : int
    Epochs run.
continual_report_ : list of dict
    For each call of ``partial_fit`` after the first: scores of each label before and
    after, losses on the memory of each past task before and after, steps, violations met,
    mean angle in degrees between gradients before and after their projection.
memory_ : EpisodicMemory
    What is kept of past tasks, unless ``continual="finetune"``.
net_ : skorch.NeuralNet
    The fitted net, trimmed for prediction.
n_features_in_ : int
    Columns, where `X` was a matrix.
"""
# Attributes of one kind of estimator only, and what tells that a class is of it.
_OF_CLASSIFIERS: tuple[str, ...] = (
    "labels_",
    "seen_labels_",
    "classes_",
    "multilabel_",
    "thresholds_",
    "continual_report_",
    "memory_",
)
_OF_REGRESSORS: tuple[str, ...] = ("targets_", "target_mean_, target_scale_")
_OF_NETWORKS = (
    "target_mean_, target_scale_",
    "n_steps_",
    "history_",
    "n_iter_",
    "continual_report_",
    "memory_",
    "net_",
)


def fill_shared_docs(cls: type) -> None:
    """Put the shared entries into a class's docstring, where it asks for them.

    Parameters
    ----------
    cls : type
        An estimator; what its docstring says itself is left as it is.
    """
    doc = cls.__dict__.get("__doc__")
    if not doc or "{shared_parameters}" not in doc:
        return
    defaults = inspect.signature(cls).parameters
    own = _entries(doc)
    wanted = [
        entry.replace(f"{{{name}}}", str(defaults[name].default))
        for name, entry in _entries(_PARAMETERS).items()
        if name in defaults and name not in own
    ]
    other = _OF_REGRESSORS if hasattr(cls, "set_labels") else _OF_CLASSIFIERS
    other += () if hasattr(cls, "_make_module") else _OF_NETWORKS
    attributes = [
        entry
        for name, entry in _entries(_ATTRIBUTES).items()
        if name not in other and name not in own
    ]
    for mark, entries in (
        ("    {shared_parameters}", wanted),
        ("    {shared_attributes}", attributes),
    ):
        doc = doc.replace(mark, textwrap.indent("\n".join(entries), "    "))
    cls.__doc__ = doc


def _entries(text: str) -> dict[str, Any]:
    """Entries of a numpydoc section by the name before their colon."""
    entries: dict[str, list[str]] = {}
    for line in inspect.cleandoc(text).splitlines():
        if line and not line.startswith(" ") and " : " in line:
            entries[line.split(" : ")[0]] = [line]
        elif line.startswith(" ") and entries:
            entries[next(reversed(entries))].append(line)
    return {name: "\n".join(lines) for name, lines in entries.items()}
