"""Utterances as rows of one matrix of numbers, and the way back."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._utterances import Utterances
from .ragged import Block

__all__ = ["MatrixRows", "checked_form", "is_form"]

Self = TypeVar("Self", bound="MatrixRows")

# What stands for the columns that are left, whatever their number.
_REST = "rest"


class MatrixRows(Utterances):
    """Utterances that can become rows of a matrix, for tools that take nothing else."""

    @property
    def matrix_form(self) -> dict[str, Any]:
        """``{modality: (n_steps, n_features)}`` of :meth:`to_matrix`: the longest steps."""
        return {
            name: (max(1, int(block.lengths.max(initial=0))), block.n_features)
            for name, block in self._blocks.items()
        }

    def to_matrix(self, form: Mapping[str, Any] | None = None) -> NDArray[np.float32]:
        """One matrix of numbers, for tools of scikit-learn that insist on one.

        An estimator whose ``modalities`` is the form reads it as the same utterances.

        Parameters
        ----------
        form : mapping of str to (int, int), optional
            Steps and features of each modality; :attr:`matrix_form` by default. Give
            that of all utterances where parts of them are to fit each other.

        Returns
        -------
        ndarray of shape (n, n_columns)
            float32: for each modality a column of lengths, then its steps one after the
            other, zeros behind the last. Every utterance takes the room of the longest:
            ``4 * sum(1 + n_steps * n_features)`` bytes.

        Raises
        ------
        ValueError
            If utterances have modalities, features or steps that the form has not.

        Examples
        --------
        >>> import numpy as np
        >>> from sk_mer import MultimodalArray
        >>> X = MultimodalArray(text=[np.ones((1, 2)), np.ones((2, 2))])
        >>> X.matrix_form
        {'text': (2, 2)}
        >>> X.to_matrix().tolist()
        [[1.0, 1.0, 1.0, 0.0, 0.0], [2.0, 1.0, 1.0, 1.0, 1.0]]
        """
        return _matrix_of(self._blocks, form or self.matrix_form, len(self))

    @classmethod
    def from_matrix(cls: type[Self], matrix: ArrayLike, form: Mapping[str, Any]) -> Self:
        """The utterances that :meth:`to_matrix` made a matrix of.

        Parameters
        ----------
        matrix : array-like of shape (n, n_columns)
            As it gave it.
        form : mapping of str to (int, int)
            As it was given it, or the :attr:`matrix_form` then. A last entry may be
            ``"rest"``: the columns behind the others, if there are any, as one step of
            a modality of that name.

        Returns
        -------
        MultimodalArray
            Without groups.

        Raises
        ------
        ValueError
            If the matrix has another form.

        Examples
        --------
        >>> import numpy as np
        >>> from sk_mer import MultimodalArray
        >>> X = MultimodalArray(text=[np.ones((1, 2)), np.ones((2, 2))])
        >>> MultimodalArray.from_matrix(X.to_matrix(), X.matrix_form)
        MultimodalArray of 2 utterances
          text  2 features, 1-2 steps (mean 1.5)
        """
        return cls._from_blocks(_blocks_of_matrix(matrix, form))


def is_form(modalities: Any) -> bool:
    """Whether a mapping says how a matrix is read, and not how wide modalities are."""
    if not isinstance(modalities, Mapping) or not modalities:
        return False
    return any(isinstance(size, (tuple, list, str)) for size in modalities.values())


def checked_form(form: Mapping[str, Any]) -> dict[str, tuple[int, int] | str]:
    """Steps and features of each modality, whole numbers from 1; the rest at the end."""
    checked: dict[str, tuple[int, int] | str] = {}
    for place, (name, size) in enumerate(form.items()):
        if isinstance(size, str) and size == _REST and place == len(form) - 1 > 0:
            checked[name] = _REST
            continue
        pair = isinstance(size, (tuple, list)) and len(size) == 2
        if not pair or not all(isinstance(n, Integral) and int(n) >= 1 for n in size):
            raise ValueError(
                f"The form of a matrix has {size!r} for {name!r}; expected (n_steps, "
                f"n_features), or {_REST!r} for the last of several modalities."
            )
        checked[name] = (int(size[0]), int(size[1]))
    return checked


def _matrix_of(
    blocks: Mapping[str, Block], form: Mapping[str, Any], n: int
) -> NDArray[np.float32]:
    """For each modality a column of lengths, then its padded steps, the first one first."""
    sizes = checked_form(form)
    _refuse_other_forms(blocks, sizes)
    parts = []
    for name, size in sizes.items():
        if isinstance(size, str):
            parts.append(blocks[name].padded(1)[:, 0] if name in blocks else None)
            continue
        n_steps, n_features = size
        block = blocks.get(name, Block.missing(n, n_features))
        parts.append(block.lengths[:, None])
        parts.append(block.padded(n_steps).reshape(n, -1))
    found = [part for part in parts if part is not None]
    return np.concatenate(found, axis=1, dtype=np.float32)


def _refuse_other_forms(
    blocks: Mapping[str, Block], sizes: Mapping[str, tuple[int, int] | str]
) -> None:
    """Refuse modalities, features or steps for which a form has no columns."""
    for name, block in blocks.items():
        if name not in sizes:
            raise ValueError(
                f"The form of the matrix has no modality {name!r}; add it, or leave it out "
                "with X.drop()."
            )
        size = sizes[name]
        n_steps, n_features = (1, block.n_features) if isinstance(size, str) else size
        if block.n_features != n_features:
            raise ValueError(
                f"Modality {name!r} has {block.n_features} features, but {n_features} in "
                "the form of the matrix; use the same extractor for both."
            )
        longer = int((block.lengths > n_steps).sum())
        if longer:
            raise ValueError(
                f"{longer} utterances have more than {n_steps} steps of {name!r}, the most "
                f"that the form of the matrix has; give it {int(block.lengths.max())}."
            )


def _blocks_of_matrix(matrix: Any, form: Mapping[str, Any]) -> dict[str, Block]:
    """The way back; lengths must be whole numbers that fit."""
    sizes = checked_form(form)
    values = np.asarray(matrix)
    if values.ndim != 2:
        raise ValueError(
            f"A matrix of utterances has {values.ndim} dimensions; expected 2, as "
            "to_matrix() gives."
        )
    pairs = {name: size for name, size in sizes.items() if not isinstance(size, str)}
    total = sum(1 + n_steps * n_features for n_steps, n_features in pairs.values())
    extra = values.shape[1] - total
    if extra < 0 or (extra and len(pairs) == len(sizes)):
        raise ValueError(
            f"modalities={dict(form)!r} is the form of a matrix of {total} columns, but X "
            f"has {values.shape[1]}; give all columns of to_matrix()"
            + (", or add 'others': 'rest' for those behind them." if extra > 0 else ".")
        )
    blocks, first = {}, 0
    for name, (n_steps, n_features) in pairs.items():
        lengths = _lengths(name, values[:, first], n_steps)
        last = first + 1 + n_steps * n_features
        frames = values[:, first + 1 : last].reshape(-1, n_features)
        block = Block.from_flat(name, frames, np.full(len(values), n_steps))
        blocks[name] = block.narrowed(np.zeros_like(lengths), lengths)
        first = last
    if extra:
        name = next(reversed(sizes))
        blocks[name] = Block.from_flat(name, values[:, first:], np.ones(len(values), int))
    return blocks


def _lengths(name: str, column: NDArray[Any], n_steps: int) -> NDArray[np.int64]:
    good = (column >= 0) & (column <= n_steps) & (column == np.round(column))
    if not good.all():
        raise ValueError(
            f"The column of lengths of {name!r} holds {column[~good][0]!s}; expected whole "
            f"numbers from 0 to {n_steps}, as to_matrix() gives: scale utterances before "
            "they become a matrix."
        )
    return column.astype(np.int64)
