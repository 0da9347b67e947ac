"""The container: utterances with one ragged sequence per modality."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._construct import blocks_of, named_modalities, ragged_blocks
from ._groups import checked_groups
from ._matrix import MatrixRows
from ._trim import filled_blocks, trimmed_blocks
from .storage import read_container, write_container

__all__ = ["MultimodalArray"]


class MultimodalArray(MatrixRows):
    """Utterances with a sequence of feature vectors in each of several modalities.

    To scikit-learn it is a one-dimensional array of ``n`` utterances: it can be
    indexed, split, cross-validated and pickled. Inside, each modality is one block of
    values plus the place of each utterance in it, so that indexing rows never copies
    the values and folds or joblib workers share one block.

    Parameters
    ----------
    modalities : mapping of str to array-like, DataFrame or list of dict, optional
        Modalities by name, for names that are not valid keywords; a table whose cells
        hold the sequences; or utterances, each a dict of its modalities, as iterating a
        container gives them.
    lengths : mapping of str to array-like of int, or array-like of int, optional
        Number of valid leading steps of each utterance, for modalities given as
        ``(n, n_steps, n_features)`` arrays. An array-like applies to all of those.
    groups : array-like of shape (n,), optional
        Video, speaker or session of each utterance, strings or numbers. They stay with
        the utterances through indexing, splits, transformers and files.
    **named : array-like
        The same as `modalities`: ``text=..., audio=..., vision=...``. Each is

        - a list of ``(n_steps_i, n_features)`` arrays or tensors, where ``None`` or an
          empty array means that this utterance lacks this modality;
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
        If a modality is sparse, complex or not numeric, or has no name.

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
        modalities: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        /,
        *,
        lengths: Any = None,
        groups: ArrayLike | None = None,
        **named: Any,
    ) -> None:
        self._blocks = blocks_of(named_modalities(modalities, named), lengths)
        self._groups = checked_groups(groups, len(self))

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
        blocks = ragged_blocks({**(modalities or {}), **named}, vectors or {})
        return cls._from_blocks(blocks).with_groups(groups)

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
        return self._with_blocks(filled_blocks(self._blocks, n_features))

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
        return self._with_blocks(trimmed_blocks(self._blocks, keep_empty))
