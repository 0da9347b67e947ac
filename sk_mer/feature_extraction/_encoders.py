"""Frozen networks of transformers that turn items into frames; they need torch."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, NamedTuple
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from .._optional import import_optional
from ._stitch import Piece, StepMeans, pieces_of

__all__ = ["Encoder", "ImageEncoder", "SpeechEncoder", "TextEncoder"]

Frames = NDArray[np.float32]
# What checkpoints may lack, as it is not used: heads of pretraining and pooling.
_UNUSED = ("pooler", "masked_spec_embed", "position_ids", "logit_scale", "logit_bias")
# Samples that are squared at a time, so that hours of sound are held once.
_SUMMED = 1 << 20
_DTYPES = ("float32", "float16", "bfloat16")


class Size(NamedTuple):
    """What the configuration of a model says."""

    n_features: int
    n_layers: int
    frame_rate: float | None


class _Network:
    """A module with what prepares its inputs; shared by all that ask for the same one."""

    def __init__(self, module: Any, prepare: Any) -> None:
        self.module = module
        self.prepare = prepare


_LOADED: WeakValueDictionary[tuple[Any, ...], _Network] = WeakValueDictionary()


class Encoder(ABC):
    """A frozen network.

    Parameters
    ----------
    folder : Path
        Of its checkpoint.
    name : str
        For messages.
    layers : list of int
        Whose outputs are averaged.
    batch_size : int
        Pieces that are computed at once.
    device, dtype : str
        Where and how.
    """

    _SIZES: ClassVar[dict[tuple[str, str], Size]] = {}
    # Frames computed again on either side of a cut, as a share of the longest piece.
    _CONTEXT: ClassVar[float] = 0.0

    def __init__(
        self,
        folder: Path,
        name: str,
        layers: list[int],
        batch_size: int,
        device: str,
        dtype: str,
    ) -> None:
        torch = import_optional("torch", type(self).__name__, "pretrained")
        self._torch, self._layers = torch, layers
        self._batch_size, self._device = batch_size, _device(torch, device)
        self._dtype = getattr(torch, dtype)
        key = (type(self), str(folder.resolve()), str(self._device), dtype)
        network = _LOADED.get(key)
        if network is None:
            with _quiet():
                module = self._checked_module(folder, name)
                network = _Network(module, self._preparation(folder, module.config))
            module.to(device=self._device, dtype=self._dtype).eval().requires_grad_(False)
            _LOADED[key] = network
        self._network = network
        self._prepare_cuts()

    @classmethod
    def size(cls, folder: Path, name: str) -> Size:
        """Sizes by the configuration alone; no weights are read.

        Parameters
        ----------
        folder : Path
            Of the checkpoint.
        name : str
            For messages.

        Returns
        -------
        Size

        Raises
        ------
        ValueError
            If it is no model of this kind.
        """
        return cls._size(_config(folder, name), name)

    @classmethod
    @abstractmethod
    def _size(cls, config: Any, name: str) -> Size:
        """Sizes, of the part that is used."""

    @abstractmethod
    def _part(self, model: Any) -> Any:
        """The part of a model that is used."""

    @abstractmethod
    def _preparation(self, folder: Path, config: Any) -> Any:
        """What makes inputs of items."""

    def _prepare_cuts(self) -> None:
        """Lengths that pieces may have."""
        self._longest = 1 << 62

    @abstractmethod
    def _n_frames(self, content: Any) -> int:
        """Frames that an item has."""

    @abstractmethod
    def _cut(self, content: Any, piece: Piece) -> Any:
        """The part of an item that gives the frames of a piece."""

    @abstractmethod
    def _frames(self, cuts: Sequence[Any]) -> list[Frames]:
        """Frames of several parts, computed together."""

    def _steps_per_frame(self, rate: float | None) -> float:
        return 1.0

    def _read(self, content: Any) -> Any:
        """An item as it is cut."""
        return content

    def encode(
        self, contents: Sequence[Any], *, rate: float | None = None, one_step: bool = False
    ) -> list[Frames]:
        """Steps of items.

        Parameters
        ----------
        contents : sequence
            The items.
        rate : float, optional
            Steps a second; all frames by default.
        one_step : bool, default=False
            Average all frames of an item.

        Returns
        -------
        list of ndarray of shape (n_steps, n_features)
        """
        items = [self._read(content) for content in contents]
        per_frame = 0.0 if one_step else self._steps_per_frame(rate)
        width = self._width()
        means = [StepMeans(self._n_frames(item), width, per_frame) for item in items]
        context = int(self._longest * self._CONTEXT)
        pieces = [
            piece
            for i, item in enumerate(items)
            for piece in pieces_of(i, self._n_frames(item), self._longest, context)
            if piece.stop
        ]
        pieces.sort(key=lambda piece: piece.stop - piece.start)
        for k in range(0, len(pieces), self._batch_size):
            some = pieces[k : k + self._batch_size]
            cuts = [self._cut(items[piece.item], piece) for piece in some]
            with self._torch.inference_mode(), warnings.catch_warnings():
                # Of masks of two types, which WavLM hands to torch and torch reads right.
                warnings.filterwarnings("ignore", message=".*mismatched key_padding_mask")
                found = self._frames(cuts)
            for piece, frames in zip(some, found, strict=True):
                own = frames[piece.first - piece.start : piece.last - piece.start]
                means[piece.item].add(piece.first, own)
        return [mean.result() for mean in means]

    def _width(self) -> int:
        config = self._network.module.config
        return int(getattr(config, "hidden_size", 0) or config.d_model)

    def _mean_of_layers(self, output: Any) -> Any:
        states = output.hidden_states
        return self._torch.stack([states[k].float() for k in self._layers]).mean(dim=0)

    def _run(self, **inputs: Any) -> Any:
        """Hidden states as they are, of inputs on any device and of any precision."""
        sent = {}
        for key, value in inputs.items():
            dtype = self._dtype if value.is_floating_point() else value.dtype
            sent[key] = value.to(self._device, dtype)
        module = self._network.module
        return module(**sent, output_hidden_states=True, return_dict=True)

    def _checked_module(self, folder: Path, name: str) -> Any:
        """The module, every weight of which is that of the checkpoint."""
        transformers = _transformers()
        try:
            model, told = transformers.AutoModel.from_pretrained(
                folder, local_files_only=True, output_loading_info=True
            )
        except Exception as error:
            text = " ".join(str(error).split())
            raise ValueError(
                f"The weights of {name!r} cannot be read ({text[:200]}); fetch them again."
            ) from error
        part = self._part(model)
        ids = {id(weight) for weight in part.parameters()}
        used = {key for key, weight in model.named_parameters() if id(weight) in ids}
        absent = {
            key
            for key in (*told["missing_keys"], *told["mismatched_keys"])
            if key in used and not any(word in key for word in _UNUSED)
        }
        if absent:
            raise ValueError(
                f"{len(absent)} of {len(used)} weights of {name!r} are not in its files, "
                f"such as {min(absent)}; they do not belong to its config.json."
            )
        return part


def _transformers() -> Any:
    return import_optional("transformers", "A pretrained model", "pretrained")


def _config(folder: Path, name: str) -> Any:
    with _quiet():
        try:
            return _transformers().AutoConfig.from_pretrained(folder, local_files_only=True)
        except ImportError:
            raise
        except Exception as error:
            text = " ".join(str(error).split())
            raise ValueError(
                f"config.json of {name!r} is of no model that transformers knows "
                f"({text[:200]})."
            ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the bars and notes of transformers."""
    logging = _transformers().utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _device(torch: Any, device: str) -> Any:
    if device != "auto":
        return torch.device(device)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def check_dtype(dtype: Any) -> None:
    """Refuse a precision that encoders cannot compute in."""
    if dtype not in _DTYPES:
        raise ValueError(f"dtype={dtype!r} was given; expected one of {_DTYPES}.")


def _wrong_kind(name: str, config: Any, wanted: str) -> ValueError:
    return ValueError(
        f"{name!r} is a model of type {config.model_type!r}; expected {wanted}."
    )


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
            raise _wrong_kind(name, config, wanted)
        rate = cls.RATE / int(np.prod(config.conv_stride))
        return Size(config.hidden_size, config.num_hidden_layers, rate)

    def _part(self, model: Any) -> Any:
        return model.encoder if model.config.model_type == "whisper" else model

    def _preparation(self, folder: Path, config: Any) -> Any:
        prepare = _transformers().AutoFeatureExtractor.from_pretrained(
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


class TextEncoder(Encoder):
    """Models of text, tokens that frame a sentence left out."""

    _CONTEXT = 0.25

    @classmethod
    def _size(cls, config: Any, name: str) -> Size:
        width = getattr(config, "hidden_size", None) or getattr(config, "d_model", None)
        layers = getattr(config, "num_hidden_layers", None)
        if not width or not layers or not getattr(config, "vocab_size", 0):
            raise _wrong_kind(name, config, "a model of text, such as BERT or RoBERTa")
        return Size(int(width), int(layers), None)

    def _part(self, model: Any) -> Any:
        return model.encoder if model.config.is_encoder_decoder else model

    def _preparation(self, folder: Path, config: Any) -> Any:
        return _transformers().AutoTokenizer.from_pretrained(folder, local_files_only=True)

    def _prepare_cuts(self) -> None:
        config, tokenizer = self._network.module.config, self._network.prepare
        pad = tokenizer.pad_token_id
        self._pad = 0 if pad is None else pad
        framed, inside = self._tokens("a")
        at = int(np.argmax(inside)) if inside.any() else len(framed)
        after = len(framed) - int(inside.sum()) - at
        self._before, self._after = framed[:at], framed[len(framed) - after :]
        most = getattr(config, "max_position_embeddings", None) or 1 << 30
        # RoBERTa counts positions from behind the number of its padding.
        most -= self._pad + 1 if self._pad < 4 else 0
        most = min(most, tokenizer.model_max_length)
        self._longest = int(most) - len(self._before) - len(self._after)

    def _tokens(self, text: str) -> tuple[list[int], NDArray[np.bool_]]:
        with _quiet():  # a note on long texts, which are read in pieces
            found = self._network.prepare(text, return_special_tokens_mask=True)
        return found["input_ids"], np.asarray(found["special_tokens_mask"]) == 0

    def _read(self, content: Any) -> list[int]:
        numbers, inside = self._tokens(content)
        return [n for n, own in zip(numbers, inside, strict=True) if own]

    def _n_frames(self, content: list[int]) -> int:
        return len(content)

    def _cut(self, content: list[int], piece: Piece) -> list[int]:
        return [*self._before, *content[piece.start : piece.stop], *self._after]

    def _frames(self, cuts: Sequence[list[int]]) -> list[Frames]:
        states = self._mean_of_layers(self._states(cuts)).cpu().numpy()
        first, last = len(self._before), len(self._after)
        return [s[first : len(cut) - last] for s, cut in zip(states, cuts, strict=True)]

    def _states(self, cuts: Sequence[list[int]]) -> Any:
        torch, longest = self._torch, max(map(len, cuts))
        numbers = torch.full((len(cuts), longest), self._pad)
        mask = torch.zeros_like(numbers)
        for row, cut in enumerate(cuts):
            numbers[row, : len(cut)] = torch.tensor(cut)
            mask[row, : len(cut)] = 1
        return self._run(input_ids=numbers, attention_mask=mask)


class ImageEncoder(Encoder):
    """Models of images: CLIP, SigLIP, DINOv2 and other vision transformers."""

    @classmethod
    def _size(cls, config: Any, name: str) -> Size:
        vision = getattr(config, "vision_config", config)
        if not hasattr(vision, "patch_size") or not hasattr(vision, "hidden_size"):
            raise _wrong_kind(name, config, "CLIP, SigLIP, DINOv2 or a vision transformer")
        return Size(vision.hidden_size, vision.num_hidden_layers, None)

    def _part(self, model: Any) -> Any:
        return getattr(model, "vision_model", model)

    def _preparation(self, folder: Path, config: Any) -> Any:
        return _transformers().AutoImageProcessor.from_pretrained(
            folder, local_files_only=True
        )

    def _prepare_cuts(self) -> None:
        self._longest = 1  # images do not meet

    def _n_frames(self, content: Sequence[Any]) -> int:
        return len(content)

    def _cut(self, content: Sequence[Any], piece: Piece) -> Any:
        return content[piece.start]

    def _frames(self, cuts: Sequence[Any]) -> list[Frames]:
        pixels = self._network.prepare(images=list(cuts), return_tensors="pt")
        values = pixels["pixel_values"]
        states = self._mean_of_layers(self._run(pixel_values=values))
        patch = self._network.module.config.patch_size
        n_patches = (values.shape[-1] // patch) * (values.shape[-2] // patch)
        # Tokens of the class and registers come before those of the patches.
        first = max(0, states.shape[1] - n_patches)
        means = states[:, first:].mean(dim=1).cpu().numpy()
        return [row[None] for row in means]
