"""Video and images through frozen pretrained models of images."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from .._optional import import_optional
from ._feature_cache import digest_of_file
from ._files import NothingThere, paths_of
from ._media import faces_of, fitted, video_frames
from ._pretrained import PretrainedFiles
from ._pretrained_docs import ON_ERROR, documented

__all__ = ["PretrainedFrames"]


@documented(
    models="A model of images: CLIP or SigLIP, of which the image part is used, DINOv2 or"
    "\n        another vision transformer.",
    steps="frames",
    units="Frames",
    batch_size="32",
    modality="vision",
    item="clip",
    on_error=ON_ERROR,
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
    Video and faces need ``pip install sk-mer[video]``: PyAV (BSD), whose wheels bring
    ffmpeg along (LGPL, with codecs under licences of their own, such as x264's GPL), and
    OpenCV below 5 (Apache 2.0), with its cascade of frontal faces (Intel's licence, of the
    BSD kind). Faces that look away are missed.

    Examples
    --------
    >>> from sk_mer.feature_extraction import PretrainedFrames
    >>> step = PretrainedFrames("openai/clip-vit-base-patch32", memory="cache")
    >>> step.fit_transform(["talk_aligned"]).n_features  # doctest: +SKIP
    {'vision': 768}
    """

    _ENCODER = ("._image_encoder", "ImageEncoder")
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
        return {"steps_per_second": self._rate, "faces": bool(self.faces)}

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
