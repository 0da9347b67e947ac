"""Features of today: text, speech and frames through frozen pretrained encoders."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_is_fitted

from .._display import Shown
from .._optional import import_optional
from ..multimodal.array import MultimodalArray
from ._feature_cache import digest_of_file
from ._files import NothingThere, paths_of
from ._media import faces_of, fitted, video_frames
from ._pretrained import Item, PretrainedFeatures, PretrainedFiles
from ._sound import mono_samples

__all__ = ["PretrainedFrames", "PretrainedSpeech", "PretrainedText"]

_SHARED = """model : str or path
        {models} A name of the hub is fetched in ``fit`` where it is not on this machine;
        a folder that ``save_pretrained`` of transformers wrote is read as it is.
    revision : str, optional
        Branch, tag or commit on the hub. Give a commit to get the same weights for ever.
    layers : {{"mean", "last4"}}, int or list of int, default="mean"
        Layers whose outputs are averaged: all of them, the last four, or those of these
        numbers, from 1 (-1 is the last, 0 what goes into the first). Emotion lies in the
        middle layers more than in the last.
    pooling : {{None, "mean"}}, default=None
        ``"mean"`` makes one step of each utterance, the mean over its {steps}."""
_REST = """batch_size : int, default={batch_size}
        {units} that are computed at once; it changes no result.
    device : str, default="auto"
        Where: ``"cpu"``, ``"cuda"``; by default a GPU where there is one.
    dtype : {{"float32", "float16", "bfloat16"}}, default="float32"
        Precision of the model. What comes out is float32.
    modality : str, default="{modality}"
        Name of the modality that is made.{on_error}
    memory : path, optional
        Folder where the features of each {item} are kept, by its content, the model and
        the settings, so that folds, searches and later runs compute nothing again.
        Several processes may use it at once.
    memory_limit : int or str or None, default="10G"
        Bytes that the folder may take; what was not used for longest goes first.
    local_files_only : bool, default=False
        Fetch nothing. The environment variable ``HF_HUB_OFFLINE`` does the same.
    token_env : str, optional
        Name of the environment variable with an access token of the hub, for models
        that are private or whose terms must be accepted.
    progress : bool, default=False
        Show a bar (``pip install sk-mer[progress]``).

    Attributes
    ----------
    columns_ : list of str
        Names of the features.
    provenance_ : dict
        What made the features: model, revision, a digest of the weights, layers, pooling
        and rate."""
_ON_ERROR = """
    on_error : {"raise", "skip"}, default="raise"
        What to do with files that cannot be read: stop, or go on as if the utterance
        had no recording."""


def _documented(**words: Any) -> Any:
    """Parameters that all three have, documented once."""

    def fill(kind: Any) -> Any:
        shared, rest = _SHARED.format(**words), _REST.format(**words)
        kind.__doc__ = kind.__doc__.replace("{shared}", shared).replace("{rest}", rest)
        return kind

    return fill


@_documented(
    models="A model of text: BERT, RoBERTa and their kin, sentence encoders (e5, bge), or "
    "a\n        language model.",
    steps="tokens",
    units="Sentences",
    batch_size=32,
    modality="text",
    item="sentence",
    on_error="",
)
class PretrainedText(  # type: ignore[call-arg]
    PretrainedFeatures, TransformerMixin, Shown, auto_wrap_output_keys=None
):
    """Turn sentences into sequences of token vectors of a frozen language model.

    Tokens that frame a sentence, such as ``[CLS]``, are left out. A text that is longer
    than the model reads is cut into pieces that overlap.

    Parameters
    ----------
    {shared}
    {rest}

    Notes
    -----
    Some sentence encoders expect a word before each text, such as e5 ``"query: "``: put it
    there yourself.

    Examples
    --------
    >>> from sk_mer.feature_extraction import PretrainedText
    >>> step = PretrainedText("bert-base-uncased", layers=[9, 10, 11, 12])
    >>> step.fit_transform(["So happy!"]).n_features  # doctest: +SKIP
    {'text': 768}
    """

    _ENCODER = "TextEncoder"
    _PACKAGES = ("transformers", "torch", "tokenizers")

    def __init__(
        self,
        model: Any,
        *,
        revision: str | None = None,
        layers: Any = "mean",
        pooling: str | None = None,
        batch_size: int = 32,
        device: str = "auto",
        dtype: str = "float32",
        modality: str = "text",
        memory: Any = None,
        memory_limit: Any = "10G",
        local_files_only: bool = False,
        token_env: str | None = None,
        progress: bool = False,
    ) -> None:
        self.model = model
        self.revision = revision
        self.layers = layers
        self.pooling = pooling
        self.batch_size = batch_size
        self.device = device
        self.dtype = dtype
        self.modality = modality
        self.memory = memory
        self.memory_limit = memory_limit
        self.local_files_only = local_files_only
        self.token_env = token_env
        self.progress = progress

    def fit(self, X: Iterable[Any], y: Any = None) -> PretrainedText:
        """Find the model; its weights are loaded when they are needed.

        Parameters
        ----------
        X : iterable of str
            Sentences; None or empty where an utterance has none.
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the model cannot be had, or a parameter is wrong.
        TypeError
            If something else than a string was given.
        ImportError
            If transformers is missing.
        """
        _texts(X)
        self._prepare()
        return self

    def transform(self, X: Iterable[Any]) -> MultimodalArray:
        """Turn sentences into sequences.

        Parameters
        ----------
        X : iterable of str
            Sentences; None or empty where an utterance has none.

        Returns
        -------
        MultimodalArray
            With one modality; an utterance without a sentence has no steps.

        Raises
        ------
        NotFittedError
            If the transformer is not fitted.
        TypeError
            If something else than a string was given.
        """
        check_is_fitted(self)
        texts = _texts(X)
        items = [
            Item(hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
                 len(text), lambda text=text: text)  # type: ignore[misc]
            for text in texts
            if text
        ]  # fmt: skip
        found = iter(self._found(items))
        none = np.zeros((0, len(self.columns_)), dtype=np.float32)
        rows = []
        for text in texts:
            steps = next(found).steps if text else None
            rows.append(none if steps is None else steps)
        made = MultimodalArray({self.modality: rows})
        return made.with_provenance({self.modality: self.provenance_})

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Names of the features of a step.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self)
        return np.asarray(self.columns_, dtype=object)


def _texts(X: Any) -> list[str]:
    """Sentences, empty where there is none."""
    if isinstance(X, str):
        raise TypeError("One string was given; expected a list of sentences.")
    if hasattr(X, "columns"):
        raise TypeError(
            "A table was given; give its column of sentences, such as "
            f"X[{next(iter(X.columns), 'text')!r}]."
        )
    texts = []
    for text in X:
        if isinstance(text, str):
            texts.append(text.strip())
        elif text is None or (np.ndim(text) == 0 and pd.isna(text)):
            texts.append("")
        else:
            raise TypeError(
                f"A {type(text).__name__} was given in place of a sentence; give strings, "
                "None where there is none."
            )
    return texts


@_documented(
    models="A model of speech: Whisper, of which the encoder is used, wav2vec 2.0, HuBERT,"
    "\n        WavLM or one that is built like them.",
    steps="frames",
    units="Pieces of sound",
    batch_size=8,
    modality="audio",
    item="recording",
    on_error=_ON_ERROR,
)
class PretrainedSpeech(PretrainedFiles):
    """Turn recordings into sequences by the encoder of a frozen model of speech.

    Files may be of any rate, with any number of channels, which are averaged, and of any
    length: what is longer than 30 seconds is computed in pieces that overlap, and of each
    frame the value is kept that is farthest from a cut.

    Parameters
    ----------
    {shared}
    steps_per_second : float or None, default=5
        Steps a second, each the mean of its frames. None keeps all frames of the model,
        50 a second with most, which is much for a small corpus to learn from.
    {rest}

    Examples
    --------
    >>> from sk_mer.feature_extraction import PretrainedSpeech
    >>> step = PretrainedSpeech("openai/whisper-base", memory="cache")
    >>> step.fit_transform(["talk.wav"]).n_features  # doctest: +SKIP
    {'audio': 512}
    """

    _ENCODER = "SpeechEncoder"
    _PACKAGES = ("transformers", "torch", "soundfile", "soxr")
    _LACK = "it has no sound"

    def __init__(
        self,
        model: Any,
        *,
        revision: str | None = None,
        layers: Any = "mean",
        pooling: str | None = None,
        steps_per_second: float | None = 5.0,
        batch_size: int = 8,
        device: str = "auto",
        dtype: str = "float32",
        modality: str = "audio",
        on_error: str = "raise",
        memory: Any = None,
        memory_limit: Any = "10G",
        local_files_only: bool = False,
        token_env: str | None = None,
        progress: bool = False,
    ) -> None:
        self.model = model
        self.revision = revision
        self.layers = layers
        self.pooling = pooling
        self.steps_per_second = steps_per_second
        self.batch_size = batch_size
        self.device = device
        self.dtype = dtype
        self.modality = modality
        self.on_error = on_error
        self.memory = memory
        self.memory_limit = memory_limit
        self.local_files_only = local_files_only
        self.token_env = token_env
        self.progress = progress

    def _own_settings(self) -> dict[str, Any]:
        return {"steps_per_second": self.steps_per_second}

    def _load(self, path: Path) -> NDArray[np.float32]:
        return mono_samples(path, self._kind().RATE)


@_documented(
    models="A model of images: CLIP or SigLIP, of which the image part is used, DINOv2 or"
    "\n        another vision transformer.",
    steps="frames",
    units="Frames",
    batch_size=32,
    modality="vision",
    item="clip",
    on_error=_ON_ERROR,
)
class PretrainedFrames(PretrainedFiles):
    """Turn video into sequences by a frozen model of images.

    An utterance is a video file, an image, or a folder of images in the order of their
    names. Of each frame the largest face is cut out, by a detector that OpenCV brings
    along; frames without a face are left out, and an utterance that shows none lacks the
    modality. A frame becomes the mean over the patches of its image; tokens of the class
    are left out.

    Parameters
    ----------
    {shared}
    steps_per_second : float or None, default=5
        Frames that are read of a second of video, None for all; of a folder of images all
        are.
    faces : bool, default=True
        Whether faces are cut out; False where frames show them alone, as in the folders
        of aligned faces that OpenFace writes, or where the whole picture counts.
    {rest}

    Notes
    -----
    Video and faces need ``pip install sk-mer[video]``: PyAV (BSD), which brings ffmpeg
    along, and OpenCV below 5 (Apache 2.0), with its cascade of frontal faces. Faces that
    look away are missed.

    Examples
    --------
    >>> from sk_mer.feature_extraction import PretrainedFrames
    >>> step = PretrainedFrames("openai/clip-vit-base-patch32", memory="cache")
    >>> step.fit_transform(["talk_aligned"]).n_features  # doctest: +SKIP
    {'vision': 768}
    """

    _ENCODER = "ImageEncoder"
    _PACKAGES = ("transformers", "torch", "pillow", "av", "opencv-python-headless")
    _LACK = "it shows no face, or nothing at all"
    _SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")

    def __init__(
        self,
        model: Any,
        *,
        revision: str | None = None,
        layers: Any = "mean",
        pooling: str | None = None,
        steps_per_second: float | None = 5.0,
        faces: bool = True,
        batch_size: int = 32,
        device: str = "auto",
        dtype: str = "float32",
        modality: str = "vision",
        on_error: str = "raise",
        memory: Any = None,
        memory_limit: Any = "10G",
        local_files_only: bool = False,
        token_env: str | None = None,
        progress: bool = False,
    ) -> None:
        self.model = model
        self.revision = revision
        self.layers = layers
        self.pooling = pooling
        self.steps_per_second = steps_per_second
        self.faces = faces
        self.batch_size = batch_size
        self.device = device
        self.dtype = dtype
        self.modality = modality
        self.on_error = on_error
        self.memory = memory
        self.memory_limit = memory_limit
        self.local_files_only = local_files_only
        self.token_env = token_env
        self.progress = progress

    def _own_settings(self) -> dict[str, Any]:
        return {"steps_per_second": self.steps_per_second, "faces": self.faces}

    def times(self, X: Iterable[Any]) -> list[NDArray[np.float64]]:
        """When each step was filmed, for :func:`align_to_words`.

        Faces are looked for anew, as only features are kept.

        Parameters
        ----------
        X : iterable of path
            Videos, as in ``transform``; None where there is none.

        Returns
        -------
        list of ndarray of shape (n_steps,)
            Seconds from the beginning; of images their numbers.

        Raises
        ------
        NotFittedError
            If the transformer is not fitted.
        ValueError
            If a file cannot be read.
        """
        check_is_fitted(self)
        found = []
        for path in paths_of(X):
            try:
                timed = [] if path is None else list(self._timed(path))
            except NothingThere:
                timed = []
            found.append(np.array([time for time, _ in timed], dtype=np.float64))
        return found

    def _images(self, path: Path) -> list[Path]:
        if not path.is_dir():
            return [path]
        return sorted(p for p in path.iterdir() if p.suffix.lower() in self._SUFFIXES)

    def _digest(self, path: Path) -> tuple[str, int]:
        images = self._images(path)
        digests = [digest_of_file(image) for image in images]
        size = sum(image.stat().st_size for image in images)
        return hashlib.sha256("".join(digests).encode()).hexdigest(), size

    def _load(self, path: Path) -> list[NDArray[np.uint8]]:
        images = [image for _, image in self._timed(path)]
        if not images:
            raise NothingThere
        return images

    def _timed(self, path: Path) -> Iterator[tuple[float, NDArray[np.uint8]]]:
        """Frames, or the faces in them, each with its time."""
        if path.is_dir() or path.suffix.lower() in self._SUFFIXES:
            timed = self._timed_images(path)
        else:
            timed = video_frames(path, self.provenance_["steps_per_second"])
        if self.provenance_["faces"]:
            yield from faces_of(timed)
            return
        for time, image in timed:
            yield time, fitted(image)

    def _timed_images(self, path: Path) -> Iterator[tuple[float, NDArray[np.uint8]]]:
        images = self._images(path)
        if not images:
            raise ValueError("it is a folder without images")
        pillow = import_optional("PIL.Image", "Reading images", "pretrained")
        for number, image in enumerate(images):
            with pillow.open(image) as opened:
                yield float(number), np.asarray(opened.convert("RGB"))
