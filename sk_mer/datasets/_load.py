"""One call for every file of this field."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ._corpus import EmotionCorpus, ReadOptions, assemble
from ._faults import Fault, faults_of
from ._files import kind_of, read_npz
from ._folders import iemocap_nine, known_splits, mte_folder, mtl_folder, split_files
from ._joiner import add_emotion_labels
from ._layouts import MTE_ORDER, Part, from_split_dictionary
from ._limited_reader import read_untrusted
from ._sdk import is_csd, sdk_folder

__all__ = ["load_cmu_mosei", "load_iemocap", "load_multimodal"]


def load_multimodal(
    path: str | os.PathLike[str],
    split: str | None = None,
    *,
    label_names: Sequence[str] | None = None,
    drop_facet_emotions: bool = False,
    keep_empty: bool = False,
    splits: Mapping[str, Sequence[str]] | None = None,
    modalities: Mapping[str, str] | None = None,
) -> EmotionCorpus:
    """Read any file or folder of this field, told apart by what is in it.

    Known are the pickles of MulT and MTE (CMU-MOSI, CMU-MOSEI, IEMOCAP; aligned or
    not), ``mosei_emotion_aligned_60.pkl``, MMSA's pickles, TAILOR's ``.pt``, and the
    folders of MTE (HDF5), IEMOCAP with nine emotions (pickles of Python 2), MTL
    (``.npz``) and the CMU-MultimodalSDK (``.csd``). Nothing in a file is ever run.

    Parameters
    ----------
    path : path
        A file or a folder.
    split : {"train", "valid", "test"}, optional
        Only this split; of files that can, only that much is read.
    label_names : sequence of str, optional
        Names of the label columns, for pickles whose layout does not say them. One
        number a row is sentiment without them, and an emotion under one name.
    drop_facet_emotions : bool, default=False
        Leave out the first ten of the 35 FACET columns, which are outputs of emotion
        detectors and make zero-shot results look better than they are.
    keep_empty : bool, default=False
        Whether a modality that is zero throughout an utterance (no face was found)
        keeps its steps, as systems that need every modality want it; by default the
        utterance lacks that modality.
    splits : mapping of str to sequence of str, optional
        Videos of each split, for the SDK, which keeps them apart from its data.
    modalities : mapping of str to str, optional
        File name to modality, for ``.csd`` files whose names do not tell.

    Returns
    -------
    EmotionCorpus
        A Bunch with `X`, `y`, `ids`, `groups`, `split` and ``summary()``.

    Raises
    ------
    FileNotFoundError
        If there is nothing at `path`.
    ValueError
        If the file is damaged, asks for more than data, or is of no known layout.
    TypeError
        If `label_names`, `splits` or `modalities` are of another kind.
    ImportError
        If HDF5 is needed and h5py missing (``pip install sk-mer[hdf5]``).

    Notes
    -----
    Pickles and ``.pt`` files are read by a process of its own, which may take memory and
    time in proportion to the size of the file; see the user guide.

    Examples
    --------
    >>> from sk_mer.datasets import load_multimodal
    >>> data = load_multimodal("mosei_senti_data.pkl")  # doctest: +SKIP
    >>> data.X, data.y, data.groups  # doctest: +SKIP
    >>> print(data.summary())  # doctest: +SKIP
    """
    place = Path(path)
    if not place.exists():
        raise FileNotFoundError(f"There is no file or folder at {str(path)!r}.")
    options = ReadOptions(drop_facet_emotions, keep_empty)
    _check_names(label_names)
    _check_mappings(splits=splits, modalities=modalities)
    given = _Given(label_names, splits, modalities)
    with ExitStack() as stack, faults_of(place):
        if place.is_dir():
            layout, parts = _folder(place, split, stack, given)
        else:
            layout, parts = _file(place, stack, given)
        return assemble(layout, _chosen(parts, split), options)


def _check_names(label_names: Any) -> None:
    given = label_names is not None
    if given and (isinstance(label_names, str) or not np.iterable(label_names)):
        raise TypeError(
            f"label_names={label_names!r} was given; expected a list, a name for each "
            "column of labels."
        )


def _check_mappings(**given: Any) -> None:
    for name, value in given.items():
        if value is not None and not isinstance(value, Mapping):
            raise TypeError(
                f"{name}={value!r} was given; expected a mapping, see load_multimodal."
            )


def _chosen(parts: list[Part], split: str | None) -> list[Part]:
    if split is None:
        return parts
    known_splits({part.split: part for part in parts}, split)
    return [part for part in parts if part.split == split]


class _Given(NamedTuple):
    """What files do not say themselves."""

    label_names: Sequence[str] | None
    splits: Mapping[str, Sequence[str]] | None
    modalities: Mapping[str, str] | None


def _file(path: Path, stack: ExitStack, given: _Given) -> tuple[str, list[Part]]:
    kind = kind_of(path)
    if kind == "pickle":
        return from_split_dictionary(read_untrusted(path, "pickle"), given.label_names)
    if kind == "torch":
        return from_split_dictionary(read_untrusted(path, "torch"), given.label_names)
    if kind == "npz":
        names = ", ".join(sorted(read_npz(path))[:6])
        raise Fault(f"it is one archive ({names}); give the folder with all three of MTL's")
    if is_csd(path):
        return sdk_folder([path], stack, given.splits, given.modalities)
    raise Fault("it is one HDF5 file of several; give the folder that holds all of them")


def _folder(
    folder: Path, split: str | None, stack: ExitStack, given: _Given
) -> tuple[str, list[Part]]:
    kind, members = split_files(folder)
    if kind:
        wanted = known_splits(members, split)
        if kind == "hdf5":
            return mte_folder(members, wanted, stack)
        return iemocap_nine(members, wanted)
    files = [p for p in sorted(folder.iterdir()) if p.is_file() and p.name[0] != "."]
    if any(path.suffix == ".npz" for path in files):
        wanted = known_splits(dict.fromkeys(("train", "valid", "test")), split)
        return mtl_folder(folder, wanted)
    sequences = [path for path in files if path.suffix == ".csd"]
    if sequences:
        return sdk_folder(sequences, stack, given.splits, given.modalities)
    if len(files) == 1:
        return _file(files[0], stack, given)
    raise Fault(
        f"the folder holds {len(files)} files and no layout that is known here; give the "
        "path of the one you want"
    )


def load_cmu_mosei(
    path: str | os.PathLike[str],
    labels: str | os.PathLike[str] | None = None,
    **options: Any,
) -> EmotionCorpus:
    """CMU-MOSEI with its six emotions in the order of the MTE paper.

    Parameters
    ----------
    path : path
        Any of the published files or folders of CMU-MOSEI.
    labels : path, optional
        ``CMU_MOSEI_Labels.csd``, needed where `path` has sentiment only.
    **options
        As of :func:`load_multimodal`.

    Returns
    -------
    EmotionCorpus
        With the splits that the file has; ``data.part("train")`` gives one of them.

    Raises
    ------
    ValueError
        If there are no emotions, or as of :func:`load_multimodal`.

    Examples
    --------
    >>> from sk_mer.datasets import load_cmu_mosei
    >>> data = load_cmu_mosei(
    ...     "mosei_senti_data.pkl", "CMU_MOSEI_Labels.csd"
    ... )  # doctest: +SKIP
    """
    data = load_multimodal(path, **options)
    if labels is not None:
        data = add_emotion_labels(data, labels)
    missing = [name for name in MTE_ORDER if data.y is None or name not in data.y]
    if missing:
        raise ValueError(
            f"{Path(path).name} has no column {', '.join(map(repr, missing))}; it is not "
            "CMU-MOSEI with emotions, so give labels='CMU_MOSEI_Labels.csd' too."
        )
    data["y"] = data.y[list(MTE_ORDER)]
    return data


def load_iemocap(path: str | os.PathLike[str], **options: Any) -> EmotionCorpus:
    """IEMOCAP with its four or nine emotions, in the splits of the MTE paper.

    Sessions 3 to 5 train, session 2 validates, session 1 tests; the files come split.

    Parameters
    ----------
    path : path
        ``iemocap_data.pkl``, ``iemocap_data_noalign.pkl``, or the folder with nine
        emotions.
    **options
        As of :func:`load_multimodal`.

    Returns
    -------
    EmotionCorpus

    Raises
    ------
    ValueError
        If the emotions are not those of IEMOCAP, or as of :func:`load_multimodal`.

    Examples
    --------
    >>> from sk_mer.datasets import load_iemocap
    >>> data = load_iemocap("iemocap_data.pkl")  # doctest: +SKIP
    """
    data = load_multimodal(path, **options)
    if data.y is None or not {"neutral", "happy", "sad"} <= set(data.y.columns):
        raise ValueError(
            f"{Path(path).name} ({data.layout}) does not hold the emotions of IEMOCAP; "
            "read it with load_multimodal."
        )
    return data
