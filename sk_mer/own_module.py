"""A torch module of the user's own, trained and asked as the published systems are."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .classifier import BaseMultimodalClassifier
from .engine.losses import bare_logits
from .labels.space import quoted
from .module_spec import ModuleSpec

__all__ = ["ModuleClassifier"]

_NO_FILE = (
    "A ModuleClassifier holds a module of your own, which a file without code cannot; use "
    "joblib.dump and joblib.load where your class can be imported."
)


class _OwnModule(nn.Module):
    """What training asks of a network, around one that has only a ``forward``.

    Parameters
    ----------
    inner : Module
        The user's.
    n_labels : int
        Its outputs.
    """

    def __init__(self, inner: nn.Module, n_labels: int) -> None:
        super().__init__()
        self.inner = inner
        self.n_labels = n_labels

    @property
    def rows_are_independent(self) -> bool:
        """Whether the user's module says that no utterance is read for another."""
        return bool(getattr(self.inner, "rows_are_independent", False))

    def forward(
        self, sequences: Mapping[str, Tensor], lengths: Mapping[str, Tensor]
    ) -> Any:
        """What the user's module answers."""
        return self.inner(sequences, lengths)

    def label_rows(self) -> NDArray[np.float32]:
        """A row of nothing for each label: they cannot be exchanged."""
        return np.zeros((self.n_labels, 1), dtype=np.float32)

    def set_label_rows(self, rows: Tensor, learn: bool = True) -> None:
        """Nothing to set."""


class ModuleClassifier(BaseMultimodalClassifier):
    """Your own torch module as a classifier of emotions.

    The module is made as ``module(n_features, n_labels, **module_params)``, `n_features` a
    dict of feature sizes by modality. Its ``forward(sequences, lengths)`` is given two
    dicts by modality, ``(n, n_steps, n_features)``, zero beyond each length, and ``(n,)``;
    it returns logits ``(n, n_labels)``. Everything else is as for the published systems:
    masks, validation, thresholds, scores, searches, ``partial_fit`` on labels that it
    knows.

    Parameters
    ----------
    module : callable or Module
        A class of modules, or a function that makes one; or a module, of which a copy is
        trained, from the weights that it has.
    module_params : mapping or None, default=None
        Further arguments of a callable `module`.
    {shared_parameters}

    Attributes
    ----------
    {shared_attributes}

    See Also
    --------
    LFLSTMClassifier : A published system.

    Notes
    -----
    A module that reads no utterance for another may say ``rows_are_independent = True``:
    its batches are then computed in parts, side by side on a processor's cores.

    Examples
    --------
    >>> import torch
    >>> from sk_mer import ModuleClassifier
    >>> from sk_mer.datasets import make_multimodal_emotions
    >>> class MeanOfSteps(torch.nn.Module):
    ...     def __init__(self, n_features, n_labels):
    ...         super().__init__()
    ...         self.layer = torch.nn.Linear(sum(n_features.values()), n_labels)
    ...
    ...     def forward(self, sequences, lengths):
    ...         means = [sequences[m].sum(1) / lengths[m][:, None] for m in sequences]
    ...         return self.layer(torch.cat(means, dim=1))
    >>> data = make_multimodal_emotions(n_samples=60, random_state=0)
    >>> est = ModuleClassifier(MeanOfSteps, max_epochs=2, random_state=0)
    >>> est.fit(data.X, data.y[data.seen]).predict(data.X[:5]).shape
    (5, 6)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMultimodalClassifier._parameter_constraints,
        "module": [callable],
        "module_params": [Mapping, None],
    }
    # Its outputs are what they are: other labels are chosen among them.
    _labels_interact = True
    _gives_states = False

    def __init__(
        self,
        module: Callable[..., nn.Module],
        *,
        module_params: Mapping[str, Any] | None = None,
        labels: Any = None,
        modalities: Any = None,
        padding: str = "mask",
        missing: str = "error",
        threshold: Any = 0.5,
        pos_weight: Any = "balanced",
        class_weight: Any = "balanced",
        lr: float = 1e-3,
        batch_size: int = 64,
        max_epochs: int = 100,
        patience: int | None = 8,
        clip_norm: float | None = 1.0,
        validation_fraction: float | None = 0.1,
        handle_nonfinite: str = "error",
        on_empty: str = "prior",
        device: Any = "cpu",
        precision: str = "fp32",
        continual: str = "gem",
        memory_size: int | None = 256,
        memory_strength: float = 0.01,
        store_memory: bool = False,
        random_state: Any = None,
        verbose: int = 0,
        net_params: dict[str, Any] | None = None,
    ) -> None:
        self.module = module
        self.module_params = module_params
        self.labels = labels
        self.modalities = modalities
        self.padding = padding
        self.missing = missing
        self.threshold = threshold
        self.pos_weight = pos_weight
        self.class_weight = class_weight
        self.lr = lr
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.clip_norm = clip_norm
        self.validation_fraction = validation_fraction
        self.handle_nonfinite = handle_nonfinite
        self.on_empty = on_empty
        self.device = device
        self.precision = precision
        self.continual = continual
        self.memory_size = memory_size
        self.memory_strength = memory_strength
        self.store_memory = store_memory
        self.random_state = random_state
        self.verbose = verbose
        self.net_params = net_params

    def _required(self, modalities: Sequence[str], *, fitting: bool) -> Sequence[str]:
        return modalities

    def _make_module(self, spec: ModuleSpec) -> nn.Module:
        if isinstance(self.module, nn.Module):
            inner = copy.deepcopy(self.module)
        else:
            settings = dict(self.module_params or {})
            inner = self.module(dict(spec.n_features), len(spec), **settings)
        _try_out(inner, spec)
        return _OwnModule(inner, len(spec))

    def _rows_of_new(
        self, recipes: Mapping[Any, Any], rng: np.random.RandomState
    ) -> NDArray[np.float32]:
        raise ValueError(
            f"{quoted(recipes)} were not in fit, and your module has as many outputs as "
            "fit had labels; fit again with all of them."
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """A module of your own cannot be saved without code; use joblib.

        Parameters
        ----------
        path : path
            Where to write.

        Raises
        ------
        TypeError
            Always.
        """
        raise TypeError(_NO_FILE)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, label_vectors: Any = None) -> Any:
        """A module of your own cannot be read without code; use joblib.

        Parameters
        ----------
        path : path
            A file.
        label_vectors : None
            Not used.

        Raises
        ------
        TypeError
            Always.
        """
        raise TypeError(_NO_FILE)


def _try_out(module: Any, spec: ModuleSpec) -> None:
    """Refuse a module that does not answer two utterances as a classifier must."""
    name = type(module).__name__
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"module made a {name}; expected a torch.nn.Module with "
            "forward(sequences, lengths)."
        )
    sequences = {m: torch.zeros(2, 3, size) for m, size in spec.n_features.items()}
    lengths = {m: torch.tensor([3, 1]) for m in sequences}
    training = module.training
    with torch.no_grad():
        answer = bare_logits(module.eval()(sequences, lengths))
    module.train(training)
    wanted, found = (2, len(spec)), getattr(answer, "shape", None)
    if found is None or tuple(found) != wanted:
        shown = type(answer).__name__ if found is None else f"shape {tuple(found)}"
        raise ValueError(
            f"{name} answered two utterances with {shown}; expected logits of shape "
            f"{wanted}, a column for each of the {len(spec)} labels."
        )
