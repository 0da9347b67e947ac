"""Recordings of speech as sequences of acoustic features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._optional import import_optional
from ._files import FileByFile
from ._sound import mono_blocks

__all__ = ["AcousticSequences"]

_N_MFCC = 20
_WINDOW_SECONDS = 0.032
_MFCC_COLUMNS = [
    *(f"mfcc_{k}" for k in range(_N_MFCC)),
    *(f"mfcc_delta_{k}" for k in range(_N_MFCC)),
    "rms",
    "zero_crossing_rate",
    "spectral_centroid",
    "spectral_rolloff",
]
# openSMILE's sets of low-level descriptors, all at 100 steps a second.
_SMILE_SETS = {"egemaps": "eGeMAPSv02", "gemaps": "GeMAPSv01b", "compare": "ComParE_2016"}
_SMILE_RATE = 100.0


class AcousticSequences(FileByFile):
    """Turn sound files into sequences of acoustic features.

    Parameters
    ----------
    feature_set : {"mfcc", "egemaps", "gemaps", "compare"}, default="mfcc"
        ``"mfcc"`` is computed by librosa (ISC licence): 20 cepstral coefficients, their
        changes, energy, zero crossings, and centroid and roll-off of the spectrum. The
        others are openSMILE's low-level descriptors: eGeMAPS (25), GeMAPS (18) and
        ComParE 2016 (65). openSMILE is free for research and teaching only; its
        licence is audEERING's.
    sampling_rate : int, default=16000
        Hertz that files are brought to; they may be of any rate and have any number of
        channels, which are averaged.
    hop : float, default=0.02
        Seconds between steps of ``"mfcc"``; openSMILE's step is always 0.01.
    modality : str, default="audio"
        Name of the modality that is made.
    on_error : {"raise", "skip"}, default="raise"
        What to do with files that cannot be read: stop, or go on as if the utterance
        had no recording.
    memory : path, optional
        Folder where results are kept, so that a file is read once as long as it and
        the settings stay the same.
    n_jobs : int, optional
        Files that are read side by side, as in joblib.
    progress : bool, default=False
        Show a bar (``pip install sk-mer[progress]``).

    Attributes
    ----------
    columns_ : list of str
        Names of the features.
    frame_rate_ : float
        Steps a second.

    Notes
    -----
    Readers of sound are those of the soundfile package: wav, flac, ogg, mp3; and of
    video, PyAV (``pip install sk-mer[video]``). A video without sound counts as missing.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> import soundfile
    >>> from sk_mer.feature_extraction import AcousticSequences
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = Path(folder.name) / "tone.wav"
    >>> soundfile.write(path, np.sin(np.arange(16000) / 10), 16000)
    >>> X = AcousticSequences().fit_transform([path, None])
    >>> X.lengths("audio").tolist(), X.n_features
    ([51, 0], {'audio': 44})
    >>> folder.cleanup()
    """

    def __init__(
        self,
        feature_set: str = "mfcc",
        *,
        sampling_rate: int = 16000,
        hop: float = 0.02,
        modality: str = "audio",
        on_error: str = "raise",
        memory: Any = None,
        n_jobs: int | None = None,
        progress: bool = False,
    ) -> None:
        self.feature_set = feature_set
        self.sampling_rate = sampling_rate
        self.hop = hop
        self.modality = modality
        self.on_error = on_error
        self.memory = memory
        self.n_jobs = n_jobs
        self.progress = progress

    def _find_columns(self, paths: Sequence[Path]) -> list[str]:
        if self.feature_set == "mfcc":
            import_optional("librosa", "feature_set='mfcc'", "audio")
            self.frame_rate_ = 1 / self.hop
            return list(_MFCC_COLUMNS)
        if self.feature_set not in _SMILE_SETS:
            raise ValueError(
                f"feature_set={self.feature_set!r}; expected 'mfcc', 'egemaps', 'gemaps' "
                "or 'compare'."
            )
        self.frame_rate_ = _SMILE_RATE
        return list(_smile(self.feature_set).feature_names)

    def _settings(self) -> dict[str, Any]:
        own = {"sampling_rate": self.sampling_rate}
        if self.feature_set == "mfcc":
            return {**own, "hop": self.hop}
        return {**own, "feature_set": self.feature_set}

    def _reader(self) -> Callable[..., Any]:
        return _mfcc if self.feature_set == "mfcc" else _opensmile


def _samples(path: str, sampling_rate: int) -> NDArray[np.float32]:
    """One channel at the rate that was asked for."""
    blocks, rate = mono_blocks(Path(path))
    parts = [np.asarray(block, dtype=np.float32) for block in blocks]
    if not sum(map(len, parts)):
        raise ValueError("it holds no samples")
    mono: NDArray[np.float32] = np.concatenate(parts)
    if rate == sampling_rate:
        return mono
    librosa = import_optional("librosa", "Changing the sampling rate", "audio")
    changed = librosa.resample(mono, orig_sr=rate, target_sr=sampling_rate)
    return np.asarray(changed, dtype=np.float32)


def _mfcc(path: str, sampling_rate: int, hop: float) -> NDArray[Any]:
    librosa = import_optional("librosa", "feature_set='mfcc'", "audio")
    samples = _samples(path, sampling_rate)
    frames = {
        "n_fft": int(_WINDOW_SECONDS * sampling_rate),
        "hop_length": max(1, int(hop * sampling_rate)),
    }
    samples = np.pad(samples, (0, max(0, frames["n_fft"] - len(samples))))
    spectrum = np.abs(librosa.stft(samples, **frames))
    mel = librosa.feature.melspectrogram(S=spectrum**2, sr=sampling_rate, n_mels=64)
    mfcc = librosa.feature.mfcc(S=librosa.power_to_db(mel), n_mfcc=_N_MFCC)
    about = {"S": spectrum, "sr": sampling_rate, "n_fft": frames["n_fft"]}
    rows = [
        mfcc,
        librosa.feature.delta(mfcc, width=5, mode="nearest"),
        librosa.feature.rms(S=spectrum, frame_length=frames["n_fft"]),
        librosa.feature.zero_crossing_rate(
            samples, frame_length=frames["n_fft"], hop_length=frames["hop_length"]
        ),
        librosa.feature.spectral_centroid(**about),
        librosa.feature.spectral_rolloff(**about),
    ]
    return np.asarray(np.concatenate(rows).T)


def _smile(feature_set: str) -> Any:
    opensmile = import_optional("opensmile", f"feature_set={feature_set!r}", "opensmile")
    return opensmile.Smile(
        feature_set=getattr(opensmile.FeatureSet, _SMILE_SETS[feature_set]),
        feature_level=opensmile.FeatureLevel.LowLevelDescriptors,
    )


def _opensmile(path: str, sampling_rate: int, feature_set: str) -> NDArray[Any]:
    samples = _samples(path, sampling_rate)
    found = _smile(feature_set).process_signal(samples, sampling_rate)
    return np.asarray(
        np.nan_to_num(found.to_numpy())
    )  # NaN where a clip is too short for a window
