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

__all__ = [
    "Encoder",
    "Size",
    "check_dtype",
    "quiet",
    "transformers_package",
    "wrong_kind",
]

Frames = NDArray[np.float32]
# What checkpoints may lack, as it is not used: heads of pretraining and pooling.
_UNUSED = ("pooler", "masked_spec_embed", "position_ids", "logit_scale", "logit_bias")
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
        self._torch, self._layers, self._folder = torch, layers, folder
        self._batch_size, self._device = batch_size, _device(torch, device)
        self._dtype = getattr(torch, dtype)
        key = (type(self), str(folder.resolve()), str(self._device), dtype)
        network = _LOADED.get(key)
        if network is None:
            with quiet():
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
        self,
        contents: Sequence[Any],
        *,
        rate: float | None = None,
        pooling: str | None = None,
    ) -> list[Frames]:
        """Steps of items.

        Parameters
        ----------
        contents : sequence
            The items.
        rate : float, optional
            Steps a second; all frames by default.
        pooling : {None, "mean"}, default=None
            Whether all frames of an item are averaged.

        Returns
        -------
        list of ndarray of shape (n_steps, n_features)
        """
        items = [self._read(content) for content in contents]
        per_frame = 0.0 if pooling == "mean" else self._steps_per_frame(rate)
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
        transformers = transformers_package()
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


def transformers_package() -> Any:
    return import_optional("transformers", "A pretrained model", "pretrained")


def _config(folder: Path, name: str) -> Any:
    with quiet():
        try:
            return transformers_package().AutoConfig.from_pretrained(
                folder, local_files_only=True
            )
        except ImportError:
            raise
        except Exception as error:
            text = " ".join(str(error).split())
            raise ValueError(
                f"config.json of {name!r} is of no model that transformers knows "
                f"({text[:200]})."
            ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Without the bars and notes of transformers."""
    logging = transformers_package().utils.logging
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


def wrong_kind(name: str, config: Any, wanted: str) -> ValueError:
    return ValueError(
        f"{name!r} is a model of type {config.model_type!r}; expected {wanted}."
    )
