"""Recordings through frozen pretrained models of speech."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._pretrained import PretrainedFiles
from ._pretrained_docs import ON_ERROR, documented
from ._sound import mono_samples

__all__ = ["PretrainedSpeech"]


@documented(
    models="A model of speech: Whisper, of which the encoder is used, wav2vec 2.0, HuBERT,"
    "\n        WavLM or one that is built like them.",
    steps="frames",
    units="Pieces of sound",
    batch_size="8",
    modality="audio",
    item="recording",
    on_error=ON_ERROR,
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

    _ENCODER = ("._speech_encoder", "SpeechEncoder")
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
        return {"steps_per_second": self._rate}

    def _load(self, path: Path) -> NDArray[np.float32]:
        return mono_samples(path, self._kind().RATE)
