"""Frozen models of speech: Whisper's encoder, and wav2vec 2.0 with its kin."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ._encoders import Encoder, Frames, Size, transformers_package, wrong_kind
from ._stitch import Piece

__all__ = ["SpeechEncoder"]

# Samples that are squared at a time, so that hours of sound are held once.
_SUMMED = 1 << 20


class SpeechEncoder(Encoder):
    """Whisper's encoder, and wav2vec 2.0 with those that are built like it."""

    # Seconds of a piece, and the share of it computed again beside each cut.
    _SECONDS: ClassVar[float] = 30.0
    _CONTEXT = 0.1
    RATE = 16000

    @classmethod
    def _size(cls, config: Any, name: str) -> Size:
        if config.model_type == "whisper":
            return Size(config.d_model, config.encoder_layers, cls.RATE / 320)
        if not (hasattr(config, "conv_stride") and hasattr(config, "conv_kernel")):
            wanted = "Whisper, wav2vec 2.0, HuBERT, WavLM or one built like them"
            raise wrong_kind(name, config, wanted)
        rate = cls.RATE / int(np.prod(config.conv_stride))
        return Size(config.hidden_size, config.num_hidden_layers, rate)

    def _part(self, model: Any) -> Any:
        return model.encoder if model.config.model_type == "whisper" else model

    def _preparation(self, folder: Path, config: Any) -> Any:
        prepare = transformers_package().AutoFeatureExtractor.from_pretrained(
            folder, local_files_only=True
        )
        if prepare.sampling_rate != self.RATE:
            raise ValueError(
                f"{folder.name!r} reads sound of {prepare.sampling_rate} Hz; expected a "
                f"model of {self.RATE} Hz."
            )
        return prepare

    def _prepare_cuts(self) -> None:
        module = self._network.module
        self._is_whisper = module.config.model_type == "whisper"
        if self._is_whisper:
            self._hop = self._reach = 320
        else:
            kernels, strides = module.config.conv_kernel, module.config.conv_stride
            self._hop = int(np.prod(strides))
            steps = np.cumprod([1, *strides[:-1]])
            self._reach = 1 + int(np.dot(np.asarray(kernels) - 1, steps))
            _mask_group_norms(self._torch, module)
        self._longest = int(self._SECONDS * self.RATE / self._hop)
        if self._is_whisper:  # 30 seconds of every checkpoint that was published
            self._longest = module.config.max_source_positions

    def _read(self, content: Any) -> Frames:
        sound: Frames = np.asarray(content, dtype=np.float32)
        if len(sound) < self._reach:
            sound = np.pad(sound, (0, self._reach - len(sound)))
        if getattr(self._network.prepare, "do_normalize", False) and not self._is_whisper:
            # Over the whole recording, and not piece by piece.
            sound = sound - np.float32(sound.mean(dtype=np.float64))
            parts = np.array_split(sound, len(sound) // _SUMMED + 1)
            squares = sum(np.square(part, dtype=np.float64).sum() for part in parts)
            sound /= np.float32(np.sqrt(squares / len(sound) + 1e-7))
        return sound

    def _n_frames(self, content: Frames) -> int:
        if self._is_whisper:
            return -(-len(content) // self._hop)
        return (len(content) - self._reach) // self._hop + 1

    def _cut(self, content: Frames, piece: Piece) -> Frames:
        stop: int | None = (piece.stop - 1) * self._hop + self._reach
        if piece.stop == self._n_frames(content):
            stop = None  # with what is left over, which norms over time see too
        return content[piece.start * self._hop : stop]

    def _steps_per_frame(self, rate: float | None) -> float:
        return 1.0 if rate is None else rate * self._hop / self.RATE

    def _frames(self, cuts: Sequence[Frames]) -> list[Frames]:
        counts = [self._n_frames(cut) for cut in cuts]
        if self._is_whisper:
            features = self._network.prepare(
                list(cuts), sampling_rate=self.RATE, return_tensors="pt"
            )
            output = self._run(input_features=features["input_features"])
        else:
            torch, lengths = self._torch, [len(cut) for cut in cuts]
            values = torch.zeros(len(cuts), max(lengths))
            mask = torch.zeros(len(cuts), max(lengths), dtype=torch.long)
            for row, cut in enumerate(cuts):
                values[row, : len(cut)] = torch.from_numpy(np.ascontiguousarray(cut))
                mask[row, : len(cut)] = 1
            for norm in _masked_norms(self._network.module):
                norm.set_samples(lengths)
            output = self._run(input_values=values, attention_mask=mask)
        frames = self._mean_of_layers(output).cpu().numpy()
        return [row[:count] for row, count in zip(frames, counts, strict=True)]


def _masked_norms(module: Any) -> list[Any]:
    return [part for part in module.modules() if hasattr(part, "set_samples")]


def _mask_group_norms(torch: Any, module: Any) -> None:
    """Have norms over time read the sound alone, and not the padding beside it.

    The base models norm their first layer over all of the time, so that padding would
    change every frame of a shorter recording.
    """

    class MaskedGroupNorm(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, norm: Any, kernel: int, stride: int) -> None:
            super().__init__()
            self.norm, self.kernel, self.stride = norm, kernel, stride

        def set_samples(self, lengths: Sequence[int]) -> None:
            self.lengths = [(n - self.kernel) // self.stride + 1 for n in lengths]

        def forward(self, x: Any) -> Any:
            rows = [self.norm(x[i : i + 1, :, :n]) for i, n in enumerate(self.lengths)]
            longest = x.shape[-1]
            pad = torch.nn.functional.pad
            return torch.cat([pad(row, (0, longest - row.shape[-1])) for row in rows])

    extractor = getattr(module, "feature_extractor", None)
    if extractor is None:
        return
    for layer in extractor.conv_layers:
        if isinstance(getattr(layer, "layer_norm", None), torch.nn.GroupNorm):
            kernel, stride = layer.conv.kernel_size[0], layer.conv.stride[0]
            layer.layer_norm = MaskedGroupNorm(layer.layer_norm, kernel, stride)
