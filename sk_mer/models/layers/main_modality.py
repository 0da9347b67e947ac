"""What it takes to learn from several modalities for the sake of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from skorch.utils import to_tensor
from torch import nn
from torch.nn import functional

from ...base import BaseMultimodalEstimator
from ...labels.space import quoted
from ...targets import Examples
from ...validation import EmptyRowsError, refuse_rows
from .embedding_loss import SharedSpaceLoss

__all__ = ["CrossModalTraining"]


class CrossModalTraining(BaseMultimodalEstimator):
    """Trained with all modalities, of which one is the main one; predicts from any.

    What the classifier and the regressor of EmoBed share. Epochs and thresholds are chosen
    on the main modality alone. The module has a ``space``, as
    :class:`~sk_mer.models.layers.shared_space.SharedSpace`.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "main_modality": [str, None],
        **{
            name: [Interval(Integral, 1, None, closed="left")]
            for name in ("hidden_size", "embedding_size")
        },
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "auxiliary_weight": [Interval(Real, 0, None, closed="left")],
        "embedding_loss": [StrOptions({"triplet", "contrastive", "mse"}), None],
        "embedding_weight": [Interval(Real, 0, None, closed="left")],
        "margin": [Interval(Real, 0, None, closed="neither"), None],
    }

    main_modality: str | None
    hidden_size: int
    embedding_size: int
    dropout: float
    auxiliary_weight: float
    embedding_loss: str | None
    embedding_weight: float
    margin: float | None

    def _main(self, modalities: Sequence[str]) -> str:
        usual = "text" if "text" in modalities else modalities[0]
        main = usual if self.main_modality is None else self.main_modality
        if main not in modalities:
            raise ValueError(
                f"main_modality={main!r} was given; expected one of {quoted(modalities)}."
            )
        return main

    def _required(self, modalities: Sequence[str], *, fitting: bool) -> Sequence[str]:
        used = self._used_at_predict(modalities)
        return [self._main(modalities)] if fitting or len(used) == 1 else ()

    def _used_at_predict(self, modalities: Sequence[str]) -> Sequence[str]:
        compares = self.embedding_loss is not None and self.embedding_weight > 0
        learns = self.auxiliary_weight > 0 or compares
        return modalities if learns else [self._main(modalities)]

    def _check_settings(self) -> None:
        super()._check_settings()
        given = [n for n in self.net_params or {} if n.partition("__")[0] == "criterion"]
        if given and len(self._used_at_predict(["", self.main_modality or "text"])) > 1:
            raise ValueError(
                f"net_params has {quoted(given)}, a loss of the main modality alone; leave "
                "it out, or set auxiliary_weight=0 and embedding_loss=None."
            )

    def _split(self, *given: Any) -> tuple[Examples, Examples | None]:
        train, valid = super()._split(*given)
        return train, self._of_main(valid)

    def _given_validation(self, *given: Any) -> Examples | None:
        return self._of_main(super()._given_validation(*given))

    def _of_main(self, valid: Examples | None) -> Examples | None:
        """Validation rows with the main modality alone, by which epochs are chosen."""
        if valid is None:
            return None
        return replace(valid, X=valid.X.select(self._main(valid.X.modalities)))

    def _shared_space_loss(self, loss: nn.Module, kind: str, overlap: float) -> nn.Module:
        return SharedSpaceLoss(
            loss,
            kind,
            *(self.auxiliary_weight, self.embedding_loss, self.embedding_weight),
            margin=self.margin,
            overlap=overlap,
        )

    def embed(self, X: Any, modality: str) -> NDArray[np.float32]:
        """Utterances in the space that modalities share, by what one of them shows.

        Parameters
        ----------
        X : like in ``fit``
            Utterances that have this modality; others may be absent.
        modality : str
            One that was learned.

        Returns
        -------
        ndarray of shape (n, embedding_size)
            Of length 1, so that a dot product is a cosine.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If the modality was not learned, or an utterance lacks it.
        """
        check_is_fitted(self)
        learned = self._used_at_predict(self.modalities_)
        if modality not in learned:
            raise ValueError(
                f"modality={modality!r} was given; expected one of {quoted(learned)}, "
                "which fit learned."
            )
        fault = f"no steps in modality {modality!r}"
        remedy = "leave these utterances out, or ask for another modality"
        try:
            data = self._checked(X, reset=False)
        except EmptyRowsError as error:
            refuse_rows(np.flatnonzero(error.rows), fault, remedy)
            raise
        if modality not in data:
            raise ValueError(f"X lacks {modality!r}; give it, or ask for another modality.")
        refuse_rows(np.flatnonzero(data.lengths(modality) == 0), fault, remedy)
        dataset = self._dataset(data.select(modality), None, self._n_steps)
        module, found = self.net_.module_.eval(), []
        for inputs, _ in self.net_.get_iterator(dataset):
            with torch.no_grad(), self.net_.autocast():
                batch = to_tensor(inputs, self.net_.device)
                embedded, _ = module.space(**batch)[modality]
            found.append(functional.normalize(embedded.float(), dim=1).cpu().numpy())
        return np.concatenate(found)
