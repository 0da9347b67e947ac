"""The container: utterances with one ragged sequence per modality."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from html import escape
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._groups import checked_groups, joined_groups
from ._rows import position, row_index, row_key
from .ragged import Block
from .storage import read_container, write_container

__all__ = ["MultimodalArray"]


class MultimodalArray:
    """Utterances with a sequence of feature vectors in each of several modalities.

    To scikit-learn it is a one-dimensional array of ``n`` utterances: it can be
    indexed, split, cross-validated and pickled. Inside, each modality is one block of
    values plus the place of each utterance in it, so that indexing rows never copies
    the values and folds or joblib workers share one block.

    Parameters
    ----------
    modalities : mapping of str to array-like, optional
        Modalities by name, for names that are not valid keywords.
    lengths : mapping of str to array-like of int, or array-like of int, optional
        Number of valid leading steps of each utterance, for modalities given as
        ``(n, n_steps, n_features)`` arrays. An array-like applies to all of those.
    groups : array-like of shape (n,), optional
        Video, speaker or session of each utterance, strings or numbers. They stay with
        the utterances through indexing, splits, transformers and files.
    **named : array-like
        The same as `modalities`: ``text=..., audio=..., vision=...``. Each is

        - a list of ``(n_steps_i, n_features)`` arrays, where ``None`` or an empty
          array means that this utterance lacks this modality;
        - an ``(n, n_steps, n_features)`` array; without `lengths` all steps are kept
          and :meth:`trim_padding` can find the padding;
        - an ``(n, n_features)`` array: one step an utterance.

    Attributes
    ----------
    modalities : tuple of str
        Names of the modalities, in the order given.
    n_features : dict of str to int
        Feature size of each modality.
    groups : ndarray of shape (n,) or None
        Group of each utterance.
    shape : tuple of int
        ``(n,)``.

    Raises
    ------
    ValueError
        If modalities or groups disagree on the number of utterances, or a modality has a
        wrong rank or mixed feature sizes.
    TypeError
        If a modality is sparse, complex or not numeric.

    Notes
    -----
    Values are stored as float32; float16 stays float16. A float32 or float16 array
    that is contiguous, a ``numpy.memmap`` included, is used as it is, without a copy.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mer import MultimodalArray
    >>> rng = np.random.default_rng(0)
    >>> X = MultimodalArray(
    ...     text=[rng.normal(size=(n, 3)) for n in (4, 2, 5)],
    ...     audio=[rng.normal(size=(9, 2)), None, rng.normal(size=(7, 2))],
    ... )
    >>> X
    MultimodalArray of 3 utterances
      text   3 features, 2-5 steps (mean 3.7)
      audio  2 features, 7-9 steps (mean 8.0), missing in 1 utterance
    >>> X[1:].lengths("audio").tolist()
    [0, 7]
    """

    def __init__(
        self,
        modalities: Mapping[str, Any] | None = None,
        /,
        *,
        lengths: Any = None,
        groups: ArrayLike | None = None,
        **named: Any,
    ) -> None:
        given = {**(modalities or {}), **named}
        if not given:
            raise ValueError(
                "No modality was given; expected at least one, as in "
                "MultimodalArray(text=..., audio=...)."
            )
        _check_length_names(lengths, given)
        blocks = {}
        for name, data in given.items():
            own = lengths.get(name) if isinstance(lengths, Mapping) else lengths
            blocks[name] = Block.from_data(name, data, own)
        self._blocks: dict[str, Block] = _same_rows(blocks)
        self._groups = checked_groups(groups, len(self))

    @classmethod
    def _from_blocks(
        cls, blocks: Mapping[str, Block], groups: NDArray[Any] | None = None
    ) -> MultimodalArray:
        new = cls.__new__(cls)
        new._blocks = dict(blocks)
        new._groups = groups
        return new

    def _with_blocks(self, blocks: Mapping[str, Block]) -> MultimodalArray:
        """Other values of the same utterances."""
        return self._from_blocks(blocks, self._groups)

    @classmethod
    def from_ragged(
        cls,
        modalities: Mapping[str, tuple[Any, Any]] | None = None,
        /,
        *,
        vectors: Mapping[str, Any] | None = None,
        groups: ArrayLike | None = None,
        **named: Any,
    ) -> MultimodalArray:
        """Build from frames that already lie one after the other.

        Parameters
        ----------
        modalities, **named : tuple of (values, lengths)
            `values` is ``(total_steps, n_features)``, a memory map if you like, and
            `lengths` is ``(n,)``, the number of steps of each utterance in turn.
        vectors : mapping of str to array-like of shape (n_words, n_features), optional
            Modalities whose `values` are ``(total_steps,)`` integers: row numbers of
            these vectors. A corpus of words then takes the memory of its numbers, and
            batches hold the same vectors as ever.
        groups : array-like of shape (n,), optional
            Video, speaker or session of each utterance.

        Returns
        -------
        MultimodalArray

        Raises
        ------
        ValueError
            If `lengths` do not add up to the number of frames, a number is not that of a
            vector, or `groups` do not fit.

        Examples
        --------
        >>> import numpy as np
        >>> from sk_mer import MultimodalArray
        >>> X = MultimodalArray.from_ragged(audio=(np.ones((5, 2)), [2, 0, 3]))
        >>> X.lengths("audio").tolist()
        [2, 0, 3]
        >>> words = np.array([[0.0, 1.0], [1.0, 0.0]])
        >>> X = MultimodalArray.from_ragged(
        ...     text=([1, 1, 0], [2, 1]), vectors={"text": words}
        ... )
        >>> X[0]["text"].tolist()
        [[1.0, 0.0], [1.0, 0.0]]
        """
        given = {**(modalities or {}), **named}
        tables = vectors or {}
        strange = [name for name in tables if name not in given]
        if strange:
            raise ValueError(
                f"vectors were given for {_listed(strange)}, which is no modality here; "
                f"expected {_listed(list(given))}."
            )
        blocks = {}
        for name, (values, lengths) in given.items():
            if name in tables:
                blocks[name] = Block.from_ids(name, values, lengths, tables[name])
            else:
                blocks[name] = Block.from_flat(name, values, lengths)
        return cls._from_blocks(_same_rows(blocks)).with_groups(groups)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names, in the order given."""
        return tuple(self._blocks)

    @property
    def n_features(self) -> dict[str, int]:
        """Feature size of each modality."""
        return {name: block.n_features for name, block in self._blocks.items()}

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
            "A MultimodalArray holds ragged sequences and cannot become one numpy "
            "array; use X.padded(name) or X.values(name) for a single modality."
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
        return {name: block.row(row) for name, block in self._blocks.items()}

    def _block(self, name: str) -> Block:
        try:
            return self._blocks[name]
        except KeyError:
            raise ValueError(
                f"There is no modality {name!r} here; this MultimodalArray has "
                f"{_listed(self.modalities)}."
            ) from None

    def lengths(self, modality: str) -> NDArray[np.int64]:
        """Number of steps of each utterance in one modality.

        Parameters
        ----------
        modality : str
            Name of the modality.

        Returns
        -------
        ndarray of shape (n,)
            Steps; 0 where the utterance lacks the modality.

        Raises
        ------
        ValueError
            If there is no such modality.

        Examples
        --------
        >>> import numpy as np
        >>> from sk_mer import MultimodalArray
        >>> MultimodalArray(text=np.eye(3)).lengths("text").tolist()
        [1, 1, 1]
        """
        return self._block(modality).lengths.copy()

    def values(self, modality: str) -> NDArray[Any]:
        """All steps of one modality, utterance after utterance.

        Parameters
        ----------
        modality : str
            Name of the modality.

        Returns
        -------
        ndarray of shape (total_steps, n_features)
            A view of the stored block where the rows lie in it without gaps, else a
            gathered copy.

        Examples
        --------
        >>> import numpy as np
        >>> from sk_mer import MultimodalArray
        >>> X = MultimodalArray(text=np.eye(3))
        >>> bool(np.shares_memory(X[:2].values("text"), X.values("text")))
        True
        """
        return self._block(modality).steps()

    def padded(
        self, modality: str, n_steps: int | None = None, *, side: str = "right"
    ) -> NDArray[Any]:
        """One modality as a dense array.

        Parameters
        ----------
        modality : str
            Name of the modality.
        n_steps : int, optional
            Steps to pad or cut to (the first ones are kept); the longest by default.
        side : {"right", "left"}, default="right"
            Where the zeros go.

        Returns
        -------
        ndarray of shape (n, n_steps, n_features)

        Raises
        ------
        ValueError
            If there is no such modality or `side` is neither right nor left.

        Examples
        --------
        >>> import numpy as np
        >>> from sk_mer import MultimodalArray
        >>> X = MultimodalArray(text=[np.ones((1, 1)), np.ones((2, 1))])
        >>> X.padded("text")[..., 0].tolist()
        [[1.0, 0.0], [1.0, 1.0]]
        """
        if side not in ("right", "left"):
            raise ValueError(f"side={side!r} was given; expected 'right' or 'left'.")
        return self._block(modality).padded(n_steps, left=side == "left")

    def count_nonfinite(self, modality: str) -> int:
        """Number of NaN and infinite values in one modality.

        Parameters
        ----------
        modality : str
            Name of the modality.

        Returns
        -------
        int

        Examples
        --------
        >>> import numpy as np
        >>> from sk_mer import MultimodalArray
        >>> MultimodalArray(audio=[[0.0, -np.inf], [1.0, 2.0]]).count_nonfinite("audio")
        1
        """
        return self._block(modality).nonfinite()[0]

    def select(self, *modalities: str) -> MultimodalArray:
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

    def drop(self, *modalities: str) -> MultimodalArray:
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

    def with_groups(self, groups: ArrayLike | None) -> MultimodalArray:
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

    def copy(self) -> MultimodalArray:
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
    def concatenate(cls, arrays: Sequence[MultimodalArray]) -> MultimodalArray:
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
        first = arrays[0]
        for other in arrays[1:]:
            if set(other.modalities) != set(first.modalities):
                raise ValueError(
                    f"Cannot join utterances with {_listed(first.modalities)} and with "
                    f"{_listed(other.modalities)}; select the common modalities first."
                )
        names = first.modalities
        groups = joined_groups([array.groups for array in arrays])
        blocks = {m: Block.concatenate(m, [a._blocks[m] for a in arrays]) for m in names}
        return cls._from_blocks(blocks, groups)

    def to_disk(self, folder: str | os.PathLike[str]) -> None:
        """Write the utterances as plain files that can be mapped into memory.

        Parameters
        ----------
        folder : path
            New, or empty. It receives a ``.npy`` file of values and one of lengths for
            each modality, ``container.json``, and ``groups.json`` where there are groups.

        Raises
        ------
        FileExistsError
            If the folder is not empty.

        Examples
        --------
        >>> import tempfile
        >>> import numpy as np
        >>> from sk_mer import MultimodalArray
        >>> X = MultimodalArray(text=np.eye(3))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     X.to_disk(folder)
        ...     MultimodalArray.from_disk(folder, mmap=False)
        MultimodalArray of 3 utterances
          text  3 features, 1 step
        """
        write_container(self._blocks, self._groups, Path(folder))

    @classmethod
    def from_disk(
        cls, folder: str | os.PathLike[str], *, mmap: bool = True
    ) -> MultimodalArray:
        """Open utterances that :meth:`to_disk` wrote.

        Parameters
        ----------
        folder : path
            Where they lie.
        mmap : bool, default=True
            Whether the values stay in their files and are read as they are needed;
            otherwise all of them are read now.

        Returns
        -------
        MultimodalArray

        Raises
        ------
        FileNotFoundError
            If there is no such folder.
        ValueError
            If a file is missing or damaged, or of another version.

        Notes
        -----
        What was read of a memory map is given back to the system after each batch, so
        that the memory of a process stays far below the size of its data.
        """
        return cls._from_blocks(*read_container(Path(folder), mmap))

    def _with_zeros(self, n_features: Mapping[str, int]) -> MultimodalArray:
        """Zeros for what utterances lack of these modalities, without storing them.

        They are as many steps as the utterance's longest other modality, so that
        word-aligned data stays aligned. A modality that is absent altogether comes last.
        """
        blocks = dict(self._blocks)
        steps = np.stack([block.lengths for block in blocks.values()])
        longest = steps.max(axis=0)
        for name, size in n_features.items():
            block = blocks.get(name) or Block.missing(len(self), size)
            blocks[name] = block.with_zeros(longest)
        return self._with_blocks(blocks)

    def trim_padding(
        self, *, keep_empty: bool | Collection[str] = False
    ) -> MultimodalArray:
        """Leave out all-zero steps at either end of dense arrays.

        Files of this field are zero-padded on the left or on the right. Modalities
        that were given as ``(n, n_steps, n_features)`` arrays without `lengths` are
        searched; those with the same `n_steps` count as word-aligned, and a step of
        theirs is padding only where it is zero in all of them. Sequences whose lengths
        were given are left alone.

        Parameters
        ----------
        keep_empty : bool or collection of str, default=False
            Whether a modality that is zero throughout an utterance keeps the steps that
            modalities aligned with it have; by default the utterance then lacks that
            modality. Modalities that are named keep at least one step.

        Returns
        -------
        MultimodalArray
            Shares the values.

        Raises
        ------
        ValueError
            If `keep_empty` names a modality that is not there.

        Examples
        --------
        >>> import numpy as np
        >>> from sk_mer import MultimodalArray
        >>> left = np.array([[[0.0], [0.0], [1.0]], [[0.0], [2.0], [3.0]]])
        >>> MultimodalArray(text=left).trim_padding().lengths("text").tolist()
        [1, 2]
        """
        named = self._names_to_keep(keep_empty)
        keep_all = not named and bool(keep_empty)
        windows: dict[int, list[str]] = {}
        for name, block in self._blocks.items():
            if block.window is not None:
                windows.setdefault(block.window, []).append(name)
        blocks = dict(self._blocks)
        for names in windows.values():
            filled = {name: self._blocks[name].filled_steps() for name in names}
            used = np.logical_or.reduce(list(filled.values()))
            for name in names:
                kept = used.copy()
                if name in named:
                    kept[~used.any(axis=1), 0] = True
                elif not keep_all:
                    kept &= filled[name].any(axis=1, keepdims=True)
                blocks[name] = self._blocks[name].trimmed(kept)
        return self._with_blocks(blocks)

    def _names_to_keep(self, keep_empty: bool | Collection[str]) -> Collection[str]:
        if not isinstance(keep_empty, Collection):
            return ()
        if isinstance(keep_empty, str):
            raise ValueError(
                f"keep_empty={keep_empty!r} was given; expected True, False or a list of "
                f"modalities, such as [{keep_empty!r}]."
            )
        for name in keep_empty:
            self._block(name)
        return keep_empty

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


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _check_length_names(lengths: Any, given: Mapping[str, Any]) -> None:
    unknown = sorted(set(lengths) - set(given)) if isinstance(lengths, Mapping) else []
    if unknown:
        raise ValueError(
            f"lengths were given for {_listed(unknown)}, but the modalities are "
            f"{_listed(list(given))}."
        )


def _same_rows(blocks: dict[str, Block]) -> dict[str, Block]:
    counts = {name: len(block.lengths) for name, block in blocks.items()}
    if len(set(counts.values())) > 1:
        found = ", ".join(f"{name} has {n}" for name, n in counts.items())
        raise ValueError(
            f"The modalities have different numbers of utterances ({found}); give "
            "each modality one entry per utterance, None where it is missing."
        )
    return blocks
