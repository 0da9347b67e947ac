"""What makes the container an array of utterances: rows, modalities, joining."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from html import escape
from numbers import Integral
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._declared import damaged
from ._construct import listed
from ._groups import checked_groups, joined_groups
from ._provenance import checked_provenance
from ._rows import Utterance, position, row_index, row_key
from .ragged import Block

__all__ = ["Utterances"]

Self = TypeVar("Self", bound="Utterances")


class Utterances:
    """A one-dimensional array of utterances, as scikit-learn sees it."""

    _blocks: dict[str, Block]
    _groups: NDArray[Any] | None

    @classmethod
    def _from_blocks(
        cls: type[Self], blocks: Mapping[str, Block], groups: NDArray[Any] | None = None
    ) -> Self:
        new = cls.__new__(cls)
        new._blocks = dict(blocks)
        new._groups = groups
        return new

    def _with_blocks(self: Self, blocks: Mapping[str, Block]) -> Self:
        """Other values of the same utterances."""
        return self._from_blocks(blocks, self._groups)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names, in the order given."""
        return tuple(self._blocks)

    @property
    def n_features(self) -> dict[str, int]:
        """Feature size of each modality."""
        return {name: block.n_features for name, block in self._blocks.items()}

    @property
    def provenance(self) -> dict[str, dict[str, Any]]:
        """What made each modality, of those where that is known."""
        made = {name: block.provenance for name, block in self._blocks.items()}
        return {name: dict(maker) for name, maker in made.items() if maker is not None}

    @property
    def groups(self) -> NDArray[Any] | None:
        """Group of each utterance, or None."""
        return self._groups

    @property
    def shape(self) -> tuple[int]:
        """``(n,)``, as of a one-dimensional array."""
        return (len(self),)

    @property
    def ndim(self) -> int:
        """Always 1: an array of utterances."""
        return 1

    @property
    def size(self) -> int:
        """Number of utterances."""
        return len(self)

    @property
    def nbytes(self) -> int:
        """Bytes of the value blocks, those shared with other views included."""
        return sum(block.nbytes for block in self._blocks.values())

    def __sizeof__(self) -> int:
        """Bytes with the values, so that dask sends large data once and not by task."""
        return self.nbytes

    def __len__(self) -> int:
        return len(next(iter(self._blocks.values())).lengths)

    def __iter__(self) -> Iterator[dict[str, NDArray[Any]]]:
        return (self._utterance(i) for i in range(len(self)))

    def __contains__(self, name: object) -> bool:
        return name in self._blocks

    def __array__(self, dtype: Any = None, copy: Any = None) -> NDArray[Any]:
        raise TypeError(
            "A MultimodalArray holds ragged sequences and cannot become one numpy array; "
            "use X.padded(name) or X.values(name) for a single modality, or, for a tool "
            "of scikit-learn that needs a matrix, X.to_matrix() with "
            "modalities=X.matrix_form in the estimator."
        )

    def __getitem__(self, key: Any) -> Any:
        """Rows by index: an integer gives one utterance, all else a view.

        Parameters
        ----------
        key : int, slice, bool mask or array-like of int
            Which utterances.

        Returns
        -------
        dict of str to ndarray or MultimodalArray
            For an integer the sequences by modality, ``(n_steps, n_features)``; else
            the chosen rows, which share their values with this container.

        Examples
        --------
        >>> import numpy as np
        >>> from sk_mer import MultimodalArray
        >>> X = MultimodalArray(text=np.eye(3))
        >>> X[-1]["text"].tolist()
        [[0.0, 0.0, 1.0]]
        >>> len(X[[True, False, True]])
        2
        """
        if isinstance(key, tuple):
            key = row_key(key)
        if isinstance(key, Integral) and not isinstance(key, (bool, np.bool_)):
            return self._utterance(position(int(key), len(self)))
        rows = key if isinstance(key, slice) else row_index(key, len(self))
        groups = None if self._groups is None else self._groups[rows]
        return self._from_blocks({m: b.take(rows) for m, b in self._blocks.items()}, groups)

    def _utterance(self, row: int) -> dict[str, NDArray[Any]]:
        return Utterance((name, block.row(row)) for name, block in self._blocks.items())

    def _block(self, name: str) -> Block:
        try:
            return self._blocks[name]
        except KeyError:
            raise ValueError(
                f"There is no modality {name!r} here; this MultimodalArray has "
                f"{listed(self.modalities)}."
            ) from None

    def select(self: Self, *modalities: str) -> Self:
        """Keep these modalities only.

        Parameters
        ----------
        *modalities : str
            Names of modalities.

        Returns
        -------
        MultimodalArray
            Shares the values.

        Raises
        ------
        ValueError
            If none is named or one is unknown.

        Examples
        --------
        >>> import numpy as np
        >>> from sk_mer import MultimodalArray
        >>> X = MultimodalArray(text=np.eye(3), audio=np.eye(3))
        >>> X.select("audio").modalities
        ('audio',)
        """
        if not modalities:
            raise ValueError("select() was given no modality; name at least one.")
        return self._with_blocks({name: self._block(name) for name in modalities})

    def drop(self: Self, *modalities: str) -> Self:
        """Leave these modalities out.

        Parameters
        ----------
        *modalities : str
            Names of modalities.

        Returns
        -------
        MultimodalArray
            Shares the values.

        Raises
        ------
        ValueError
            If one is unknown or none would be left.

        Examples
        --------
        >>> import numpy as np
        >>> from sk_mer import MultimodalArray
        >>> X = MultimodalArray(text=np.eye(3), audio=np.eye(3))
        >>> X.drop("audio").modalities
        ('text',)
        """
        for name in modalities:
            self._block(name)
        return self.select(*(m for m in self.modalities if m not in modalities))

    def with_groups(self: Self, groups: ArrayLike | None) -> Self:
        """The same utterances with these groups.

        Parameters
        ----------
        groups : array-like of shape (n,) or None
            Video, speaker or session of each utterance; None for no groups.

        Returns
        -------
        MultimodalArray
            Shares the values.

        Raises
        ------
        ValueError
            If there is not one string or number for each utterance.

        Examples
        --------
        >>> import numpy as np
        >>> from sk_mer import MultimodalArray
        >>> X = MultimodalArray(text=np.eye(3)).with_groups(["a", "a", "b"])
        >>> X[1:].groups.tolist()
        ['a', 'b']
        """
        return self._from_blocks(self._blocks, checked_groups(groups, len(self)))

    def with_provenance(
        self: Self, provenance: Mapping[str, Mapping[str, Any] | None]
    ) -> Self:
        """The same utterances, with what made the features of these modalities.

        Estimators remember it and refuse utterances whose features another extractor
        made, or the same one with other settings. Extractors of this package that read
        pretrained models tell it themselves.

        Parameters
        ----------
        provenance : mapping of str to mapping or None
            By modality; text, numbers and lists of them by name, such as
            ``{"model": "emotion2vec", "layers": [8]}``. None for what is not known.

        Returns
        -------
        MultimodalArray
            Shares the values.

        Raises
        ------
        ValueError
            If a modality is unknown, or a value is of another kind.

        Examples
        --------
        >>> import numpy as np
        >>> from sk_mer import MultimodalArray
        >>> X = MultimodalArray(audio=np.eye(3))
        >>> X = X.with_provenance({"audio": {"model": "emotion2vec", "layers": [8]}})
        >>> X[:2].provenance
        {'audio': {'model': 'emotion2vec', 'layers': [8]}}
        """
        blocks = dict(self._blocks)
        for name, maker in provenance.items():
            block, known = self._block(name), None
            if maker is not None:
                with damaged("provenance cannot be kept ({}).".format):
                    known = checked_provenance(maker, f"provenance[{name!r}]")
            blocks[name] = replace(block, provenance=known)
        return self._with_blocks(blocks)

    def copy(self: Self) -> Self:
        """A compact copy that holds the steps of these rows and no others.

        Returns
        -------
        MultimodalArray

        Examples
        --------
        >>> import numpy as np
        >>> from sk_mer import MultimodalArray
        >>> MultimodalArray(text=np.eye(300))[:2].copy().nbytes
        2400
        """
        return self._with_blocks({m: b.compact() for m, b in self._blocks.items()})

    @classmethod
    def concatenate(cls: type[Self], arrays: Sequence[Self]) -> Self:
        """Join utterances of several containers, one after the other.

        Parameters
        ----------
        arrays : sequence of MultimodalArray
            With the same modalities and feature sizes; all with groups or none, where
            equal groups are one.

        Returns
        -------
        MultimodalArray

        Raises
        ------
        ValueError
            If there is nothing to join, the modalities or their sizes differ, or only
            some have groups.

        Examples
        --------
        >>> import numpy as np
        >>> from sk_mer import MultimodalArray
        >>> X = MultimodalArray(text=np.eye(3))
        >>> len(MultimodalArray.concatenate([X, X[:1]]))
        4
        """
        arrays = list(arrays)
        if not arrays:
            raise ValueError("concatenate() was given no arrays; expected at least one.")
        others = [array for array in arrays if not hasattr(array, "_blocks")]
        if others:
            raise TypeError(
                f"concatenate() was given a {type(others[0]).__name__}; expected a list of "
                "MultimodalArray, as in MultimodalArray.concatenate([X, X])."
            )
        first = arrays[0]
        for other in arrays[1:]:
            if set(other.modalities) != set(first.modalities):
                raise ValueError(
                    f"Cannot join utterances with {listed(first.modalities)} and with "
                    f"{listed(other.modalities)}; select the common modalities first."
                )
        names = first.modalities
        groups = joined_groups([array.groups for array in arrays])
        blocks = {m: Block.concatenate(m, [a._blocks[m] for a in arrays]) for m in names}
        return cls._from_blocks(blocks, groups)

    def _headline(self) -> str:
        head = f"MultimodalArray of {_counted(len(self), 'utterance')}"
        if self._groups is None:
            return head
        return f"{head} in {_counted(len(np.unique(self._groups)), 'group')}"

    def __repr__(self) -> str:
        width = max(map(len, self.modalities))
        head = self._headline()
        rows = [f"  {m:<{width}}  {b.summary()}" for m, b in self._blocks.items()]
        return "\n".join([head, *rows])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th>{escape(m)}</th><td>{escape(b.summary())}</td></tr>"
            for m, b in self._blocks.items()
        )
        head = escape(self._headline())
        return f"<table><caption>{head}</caption>{rows}</table>"


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
