"""Data that may be downloaded: fetched once, checked, kept."""

from __future__ import annotations

import calendar
import contextlib
import os
import struct
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.utils import Bunch

from .._optional import import_optional

__all__ = ["fetch_glove", "fetch_goemotions", "fetch_ravdess"]

# Their publisher gives no checksums: that of the first download is kept and compared.
_GLOVE_URL = "https://nlp.stanford.edu/data/"
_GLOVE = {
    "840B.300d": ("glove.840B.300d.zip", "glove.840B.300d.txt"),
    "42B.300d": ("glove.42B.300d.zip", "glove.42B.300d.txt"),
    **{
        f"6B.{size}d": ("glove.6B.zip", f"glove.6B.{size}d.txt")
        for size in (50, 100, 200, 300)
    },
}
_GOEMOTIONS_URL = (
    "https://raw.githubusercontent.com/monologg/GoEmotions-pytorch/"
    "b75f9d3a8b76bc1060687925b04ca98a1b8ea66b/data/original/"
)
_GOEMOTIONS = {
    "train.tsv": "1c254a142be5c00e80d819b9ae1bbd36d94b2eeb8f4b1271846508d57e57d9c5",
    "dev.tsv": "575489c079c9de1097062a01738f998590d6b7ead66dd1c9fd1d2ba01fd8bc62",
    "test.tsv": "0587b2dd8b27b97352adbfc3fb083d46005c8946657fdc2b1ca8b1cc7f1f8be4",
    "labels.txt": "45c3ef86782d2a4d7fedcd6d8c111aa0d0e94720689bd164fac94fefb4495a89",
}
_GOEMOTIONS_SPLITS = {"train": "train.tsv", "valid": "dev.tsv", "test": "test.tsv"}
_RAVDESS_URL = "https://zenodo.org/records/1188976/files/"
_RAVDESS = "Audio_Speech_Actors_01-24.zip"
_RAVDESS_EMOTIONS = (
    "neutral",
    "calm",
    "happy",
    "sad",
    "angry",
    "fearful",
    "disgust",
    "surprised",
)
_RAVDESS_SENTENCES = ("Kids are talking by the door", "Dogs are sitting by the door")


def _home(data_home: Any) -> Path:
    given = data_home or os.environ.get("SK_MER_DATA_HOME") or "~/sk_mer_data"
    return Path(given).expanduser().absolute()


def _fetch(
    url: str,
    known_hash: str | None,
    folder: Path,
    progress: bool,
    else_do: str = "do not use it otherwise",
) -> Path:
    """A file, downloaded unless it is there."""
    pooch = import_optional("pooch", "Downloading", "fetch")
    name = url.rpartition("/")[2]
    pooch.get_logger().setLevel("WARNING")
    try:
        path = pooch.retrieve(
            url, known_hash, fname=name, path=folder, progressbar=progress
        )
    except ValueError as error:
        if "hash" not in str(error):
            raise
        raise ValueError(
            f"{name} from {url} has another checksum than expected ({known_hash}): it was "
            f"changed or damaged on its way; try again, and {else_do}."
        ) from error
    except Exception as error:
        # Of the disk's troubles, such as a full one, the operating system speaks best.
        if type(error).__module__.partition(".")[0] not in ("requests", "urllib3"):
            raise
        raise ConnectionError(
            f"{url} could not be downloaded ({type(error).__name__}); check the network, "
            f"or put the file into {str(folder)!r} yourself."
        ) from error
    return Path(path)


def _fetch_archive(
    url: str, folder: Path, progress: bool, target: Path, member: str | None = None
) -> list[Path]:
    """Files of a zip archive (all, or one), unpacked unless they are there and whole.

    The checksum of the archive is kept once it has been unpacked, and compared from then
    on. What could not be unpacked is removed, or it would be found again by each call.
    """
    kept = folder / f"{url.rpartition('/')[2]}.sha256"
    known_hash = f"sha256:{kept.read_text()[:64]}" if kept.is_file() else None
    else_do = f"remove {str(kept)!r} if you know that its publisher changed it"
    path = _fetch(url, known_hash, folder, progress, else_do)
    try:
        files = _unpack(path, target, member)
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError,
            LookupError, RuntimeError) as error:  # fmt: skip
        path.unlink()
        kept.unlink(missing_ok=True)
        raise ValueError(
            f"What came from {url} is no zip archive, or a damaged one ({error}); it was "
            f"removed, so try again, or put the file into {str(folder)!r} yourself."
        ) from error
    if known_hash is None:
        pooch = import_optional("pooch", "Downloading", "fetch")
        kept.write_text(f"{pooch.file_hash(str(path))}  {path.name}\n")
    return files


def _unpack(path: Path, target: Path, member: str | None) -> list[Path]:
    target.mkdir(parents=True, exist_ok=True)
    files = []
    # Moved to its place when it is whole: who stops half way leaves nothing there.
    with (
        zipfile.ZipFile(path) as archive,
        tempfile.TemporaryDirectory(prefix=".unpacking-", dir=target) as scratch,
    ):
        for info in archive.infolist() if member is None else [archive.getinfo(member)]:
            if info.is_dir():
                continue
            name = Path(os.path.normpath(info.filename))
            if name.is_absolute() or ".." in name.parts:
                raise ValueError(f"{info.filename!r} would lie outside of the folder")
            place = target / name
            if not _is_whole(place, info):
                place.parent.mkdir(parents=True, exist_ok=True)
                os.replace(archive.extract(info, scratch), place)
                _mark_whole(place, info)
            files.append(place)
    return files


def _is_whole(place: Path, info: zipfile.ZipInfo) -> bool:
    """Whether a file is what an archive holds; it is read only if its time is another."""
    if not place.is_file() or place.stat().st_size != info.file_size:
        return False
    if place.stat().st_mtime_ns == _time_of(info):
        return True
    crc = 0
    with open(place, "rb") as stream:
        while block := stream.read(1 << 20):
            crc = zlib.crc32(block, crc)
    if crc == info.CRC:
        _mark_whole(place, info)
    return crc == info.CRC


def _mark_whole(place: Path, info: zipfile.ZipInfo) -> None:
    with contextlib.suppress(OSError):  # others' file: it is read each time then
        os.utime(place, ns=(_time_of(info), _time_of(info)))


def _time_of(info: zipfile.ZipInfo) -> int:
    """A time for a member, in ns: its date, and its checksum as the microseconds.

    Any change to the unpacked file sets another.
    """
    year, month, day, *clock = info.date_time
    seconds = calendar.timegm((year, min(max(month, 1), 12), day, *clock))
    return 1000 * (1_000_000 * seconds + info.CRC % 1_000_000)


def fetch_glove(
    name: str = "840B.300d",
    *,
    data_home: Any = None,
    base_url: str | None = None,
    progress: bool = False,
) -> Path:
    """Download GloVe word vectors (Pennington et al. 2014; public domain, PDDL).

    Parameters
    ----------
    name : {"840B.300d", "42B.300d", "6B.50d", "6B.100d", "6B.200d", "6B.300d"}, \
            default="840B.300d"
        Which release; the MTE paper uses the first, a download of 2.0 GB.
    data_home : path, optional
        Folder to keep it in; by default ``$SK_MER_DATA_HOME`` or ``~/sk_mer_data``.
    base_url : str, optional
        A mirror, ending in a slash.
    progress : bool, default=False
        Show a bar (``pip install sk-mer[progress]``).

    Returns
    -------
    Path
        A file for :func:`~sk_mer.load_label_vectors` and ``WordVectorSequences``.

    Raises
    ------
    ValueError
        If the name is unknown, or what comes is no archive or not what it was before.
    ConnectionError
        If it cannot be downloaded.
    ImportError
        If pooch is missing (``pip install sk-mer[fetch]``).

    Notes
    -----
    The publisher gives no checksums. That of the first archive that could be unpacked is
    kept beside it and compared from then on. An unpacked file of another size than in the
    archive, or changed since, is unpacked anew.

    Examples
    --------
    >>> from sk_mer.datasets import fetch_glove
    >>> path = fetch_glove("6B.50d")  # doctest: +SKIP
    """
    if name not in _GLOVE:
        raise ValueError(f"name={name!r}; expected one of {', '.join(_GLOVE)}.")
    archive, member = _GLOVE[name]
    folder = _home(data_home) / "glove"
    url = (base_url or _GLOVE_URL) + archive
    (path,) = _fetch_archive(url, folder, progress, folder, member)
    return path


def fetch_goemotions(
    split: str = "train",
    *,
    data_home: Any = None,
    base_url: str | None = None,
    progress: bool = False,
) -> Bunch:
    """Download GoEmotions: comments with 27 emotions (Demszky et al. 2020).

    Parameters
    ----------
    split : {"train", "valid", "test"}, default="train"
        43,410, 5,426 or 5,427 comments.
    data_home : path, optional
        Folder to keep it in; by default ``$SK_MER_DATA_HOME`` or ``~/sk_mer_data``.
    base_url : str, optional
        A mirror, ending in a slash.
    progress : bool, default=False
        Show a bar (``pip install sk-mer[progress]``).

    Returns
    -------
    Bunch
        ``sentences``, list of str; ``y``, DataFrame of 0 and 1 with a column for each
        emotion (a comment that is only neutral has none); ``neutral``, Series of 0
        and 1; ``ids``, list of str.

    Raises
    ------
    ValueError
        If the split is unknown or a checksum differs.
    ConnectionError
        If it cannot be downloaded.
    ImportError
        If pooch is missing (``pip install sk-mer[fetch]``).

    Examples
    --------
    >>> from sk_mer.datasets import fetch_goemotions
    >>> data = fetch_goemotions("valid")  # doctest: +SKIP
    """
    if split not in _GOEMOTIONS_SPLITS:
        raise ValueError(f"split={split!r}; expected 'train', 'valid' or 'test'.")
    folder = _home(data_home) / "goemotions"
    url = base_url or _GOEMOTIONS_URL
    for name in ("labels.txt", _GOEMOTIONS_SPLITS[split]):
        _fetch(url + name, _GOEMOTIONS[name], folder, progress)
    return goemotions_rows(folder, split)


def goemotions_rows(folder: Path, split: str) -> Bunch:
    """What :func:`fetch_goemotions` returns, of a folder that holds the files.

    Parameters
    ----------
    folder : Path
        ``labels.txt`` and the files of the splits.
    split : {"train", "valid", "test"}
        Which.

    Returns
    -------
    Bunch
    """
    names = (folder / "labels.txt").read_text(encoding="utf-8").split()
    rows = pd.read_csv(
        folder / _GOEMOTIONS_SPLITS[split],
        sep="\t",
        header=None,
        names=["text", "labels", "id"],
        quoting=3,
        keep_default_na=False,
        dtype=str,
    )
    flags = rows["labels"].str.get_dummies(sep=",")
    y = flags.reindex(columns=[str(k) for k in range(len(names))], fill_value=0)
    y.columns = pd.Index(names)
    return Bunch(
        sentences=rows["text"].tolist(),
        y=y.drop(columns="neutral").astype(int),
        neutral=y["neutral"].astype(int),
        ids=rows["id"].tolist(),
    )


def fetch_ravdess(
    *, data_home: Any = None, base_url: str | None = None, progress: bool = False
) -> pd.DataFrame:
    """Download RAVDESS's speech: 24 actors, eight emotions (Livingstone & Russo 2018).

    Its licence is CC BY-NC-SA 4.0: not for commercial use.

    Parameters
    ----------
    data_home : path, optional
        Folder to keep it in; by default ``$SK_MER_DATA_HOME`` or ``~/sk_mer_data``.
    base_url : str, optional
        A mirror, ending in a slash.
    progress : bool, default=False
        Show a bar (``pip install sk-mer[progress]``).

    Returns
    -------
    DataFrame
        One row a clip: ``file``, ``sentence``, ``emotion``, ``intensity``,
        ``repetition``, ``actor`` (use it as `groups`) and ``gender``.

    Raises
    ------
    ValueError
        If what comes is no archive or not what it was before, or holds no clips.
    ConnectionError
        If it cannot be downloaded.
    ImportError
        If pooch is missing (``pip install sk-mer[fetch]``).

    Notes
    -----
    A download of 208 MB, checked and unpacked like that of :func:`fetch_glove`.

    Examples
    --------
    >>> from sk_mer.datasets import fetch_ravdess
    >>> clips = fetch_ravdess()  # doctest: +SKIP
    """
    folder = _home(data_home) / "ravdess"
    url = (base_url or _RAVDESS_URL) + _RAVDESS
    files = _fetch_archive(url, folder, progress, folder / "speech")
    clips = sorted(path for path in files if path.suffix == ".wav")
    if not clips:
        raise ValueError(f"{_RAVDESS} holds no clips; delete {str(folder)!r}, try again.")
    return pd.DataFrame([_ravdess_row(path) for path in clips])


def _ravdess_row(path: Path) -> dict[str, Any]:
    """What RAVDESS's names of files say: seven numbers."""
    _, _, emotion, intensity, statement, repetition, actor = map(int, path.stem.split("-"))
    return {
        "file": str(path),
        "sentence": _RAVDESS_SENTENCES[statement - 1],
        "emotion": _RAVDESS_EMOTIONS[emotion - 1],
        "intensity": "strong" if intensity == 2 else "normal",
        "repetition": repetition,
        "actor": actor,
        "gender": "female" if actor % 2 == 0 else "male",
    }
