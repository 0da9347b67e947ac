"""What every fitted model does, whatever runs it: check utterances, compute outputs."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_regressor
from sklearn.utils.validation import check_is_fitted

from ._display import Shown
from ._warn import warn_user
from .labels.space import quoted
from .multimodal._provenance import refuse_other_maker
from .multimodal.array import MultimodalArray
from .padding import rows_by_length
from .validation import (
    EmptyRowsError,
    check_aligned,
    check_fitted_modalities,
    check_multimodal,
    check_no_empty_rows,
    check_present,
    modalities_as_in,
    take_rows,
)

__all__ = ["MultimodalPredictor"]


class MultimodalPredictor(Shown, metaclass=ABCMeta):
    """Outputs of checked utterances; a subclass computes them in ``_forward``."""

    # Whether every utterance must have equally many steps in each modality.
    _needs_aligned: ClassVar[bool] = False

    # Parameters; those with a value are not parameters of every system.
    modalities: Any
    handle_nonfinite: str
    on_empty: str
    padding: str = "mask"
    missing: str = "error"

    modalities_: list[str]
    n_features_: dict[str, int]
    _n_steps: dict[str, int] | None

    def _check_fitted(self) -> None:
        check_is_fitted(self)

    @abstractmethod
    def _forward(self, X: MultimodalArray) -> NDArray[np.float32]:
        """Outputs of the network for checked utterances, in their order."""

    def _required(self, modalities: Sequence[str], *, fitting: bool) -> Sequence[str]:
        """Modalities that every utterance must have, of those of ``fit``.

        None in particular by default: any will do, where there is at least one.
        """
        return ()

    def _batch_groups(self, X: MultimodalArray) -> NDArray[Any] | None:
        """Groups that batches keep whole, for systems that read them together."""
        return None

    def _used_at_predict(self, modalities: Sequence[str]) -> Sequence[str]:
        """Modalities that are read at prediction, of those of ``fit``; all by default."""
        return modalities

    def _checked(
        self,
        X: Any,
        *,
        reset: bool,
        beside: MultimodalArray | None = None,
        what: str = "X_val",
        fitting: bool = False,
    ) -> MultimodalArray:
        """X as a container that fits this system, padding left out.

        Its modalities are those of ``fit``, of which some may be absent, or exactly those
        of the utterances `beside` which it stands as `what`. When `fitting`, what training
        needs must be there, and not only what prediction reads.
        """
        zero = self.handle_nonfinite == "zero"
        data = check_multimodal(self, X, self.modalities, reset=reset, allow_nonfinite=zero)
        fitting = fitting or reset or beside is not None
        known = data.n_features if reset else {}
        if beside is not None:
            known = beside.n_features
            required = self._required(list(known), fitting=True)
            lenient = known if self.missing == "zeros" else {}
            data = modalities_as_in(
                beside, data, required=required, may_lack=lenient, what=what
            )
        elif not reset:
            known = self.n_features_
            data = self._fitting_modalities(data, fitting=fitting)
        required = self._required(list(known), fitting=fitting)
        if self.padding == "mask":
            data = data.trim_padding(keep_empty=[name for name in required if name in data])
        check_no_empty_rows(data)
        if self.missing == "zeros":
            data = self._with_zeros(data, {name: known[name] for name in required})
        if required:
            # Names of parameters take longer than all other checks of one utterance.
            can_fill = "missing" in self._get_param_names()
            check_present(data, required, type(self).__name__, can_fill)
        if self._needs_aligned:
            can_align = "aligner" in self._get_param_names()
            check_aligned(data, type(self).__name__, can_align=can_align)
        return data

    def _checked_with_steps(
        self, X: Any, **how: Any
    ) -> tuple[MultimodalArray | None, NDArray[np.bool_] | None]:
        """X without the utterances that have no step, and a mask of these (None: none).

        There is no container where none has any.
        """
        try:
            return self._checked(X, **how), None
        except EmptyRowsError as error:
            if self.on_empty == "error":
                raise
            empty = error.rows
        if empty.all():
            return None, empty
        return self._checked(take_rows(X, np.flatnonzero(~empty)), **how), empty

    def _training_rows(
        self, X: Any, **how: Any
    ) -> tuple[MultimodalArray, NDArray[np.bool_] | None]:
        """X without utterances that have no step, and which they are; says so."""
        data, empty = self._checked_with_steps(X, **how)
        if data is None:
            raise ValueError(
                "No utterance has a step in any modality; give some that can be learned "
                "from."
            )
        if empty is not None:
            warn_user(
                f"{int(empty.sum())} of {len(empty)} utterances have no step in any "
                "modality and are left out; n_empty_ counts them."
            )
        return data, empty

    def _fitting_modalities(self, X: MultimodalArray, *, fitting: bool) -> MultimodalArray:
        """The modalities of ``fit``, in their order; refuses others and other sizes."""
        check_fitted_modalities(X, self.n_features_)
        known = getattr(self, "provenance_", {})
        for name, made_by in X.provenance.items():
            refuse_other_maker(name, made_by, known.get(name), "X", "fit")
        names = self.modalities_
        used = names if fitting else self._used_at_predict(names)
        present = [name for name in used if name in X]
        required = self._required(names, fitting=fitting)
        lacking = [name for name in required if name not in X]
        if (lacking and self.missing == "error") or not present:
            other = "give it" if is_regressor(self) else "MTEClassifier does without"
            raise ValueError(
                f"{type(self).__name__} needs {quoted(required or used)}, but X lacks "
                f"{quoted(lacking or used)}; {other}."
            )
        return X.select(*present)

    def _with_zeros(
        self, X: MultimodalArray, required: Mapping[str, int]
    ) -> MultimodalArray:
        """Zeros for the modalities that utterances lack, for ``missing="zeros"``."""
        counts = {
            name: int((X.lengths(name) == 0).sum()) if name in X else len(X)
            for name in required
        }
        told = [f"{name!r} in {count}" for name, count in counts.items() if count]
        if not told:
            return X
        warn_user(
            f"Modalities that utterances lack are read as zeros: {', '.join(told)} of "
            f"{len(X)} utterances."
        )
        filled = X._with_zeros(required)
        order = getattr(self, "modalities_", X.modalities)
        return filled.select(*(name for name in order if name in filled))

    def _outputs(
        self, X: Any, run: Any = None, prior: NDArray[np.float64] | None = None
    ) -> NDArray[np.float32]:
        """Outputs of utterances as given, or what `run` makes of them when checked."""
        self._check_fitted()
        run = self._run if run is None else run
        data, empty = self._checked_with_steps(X, reset=False)
        if data is not None and empty is None:
            return run(data)  # type: ignore[no-any-return]
        prior = self._prior_outputs() if prior is None else prior
        found = np.empty((0, len(prior)), np.float32) if data is None else run(data)
        if empty is None or self.on_empty == "skip":
            return found
        outputs = np.full((len(empty), len(prior)), np.nan, dtype=np.float32)
        outputs[~empty] = found
        if self.on_empty == "prior":
            warn_user(
                f"{int(empty.sum())} of {len(empty)} utterances have no step in any "
                "modality; they are answered with what is most common in the training "
                "rows (on_empty='prior')."
            )
            outputs[empty] = prior
        return outputs

    @abstractmethod
    def _prior_outputs(self) -> NDArray[np.float64]:
        """Outputs for an utterance of which nothing is known."""

    def _answered(self, X: Any, *rows: Any) -> list[Any]:
        """What belongs to the utterances that are answered: not all, to skip some."""
        if self.on_empty != "skip":
            return list(rows)
        _, empty = self._checked_with_steps(X, reset=False)
        kept = slice(None) if empty is None else np.flatnonzero(~empty)
        return [None if part is None else np.asarray(part)[kept] for part in rows]

    def _run(self, X: MultimodalArray) -> NDArray[np.float32]:
        """Logits of checked utterances, computed from the shortest to the longest."""
        self._prepare_prediction(X)
        self._warn_of_cut(X)
        if len(X) == 1:
            return self._forward(X)
        order = rows_by_length(X, self._batch_groups(X))
        sorted_logits = self._forward(X[order])
        logits = np.empty_like(sorted_logits)
        logits[order] = sorted_logits
        return logits

    def _prepare_prediction(self, X: MultimodalArray) -> None:
        """Settings that are read at prediction."""

    def _warn_of_cut(self, X: MultimodalArray) -> None:
        for name, window in (self._n_steps or {}).items():
            longer = int((X.lengths(name) > window).sum()) if name in X else 0
            if longer:
                warn_user(
                    f"{longer} utterances have more than the {window} steps of {name!r} "
                    "that fit saw and were cut to them; padding='mask' reads them whole."
                )
