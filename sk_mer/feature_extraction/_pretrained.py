"""What pretrained encoders of text, speech and frames share: each item once, and kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._optional import import_optional
from ._checkpoints import Checkpoint, chosen_layers, find_checkpoint
from ._feature_cache import FeatureCache, bytes_of, digest_of_file
from ._files import FileSequences, Found, NothingThere, with_bar

__all__ = ["Item", "PretrainedFeatures", "PretrainedFiles"]

# What is kept is computed anew where this number is another.
_FORMAT = 1
# Bytes of files that are read before they are computed; a longer one stands alone.
_GROUP_BYTES = 32 << 20


class Item(NamedTuple):
    """Something to encode: a name for its content, its size, and how it is read."""

    digest: str
    size: int
    load: Callable[[], Any]


class PretrainedFeatures:
    """Features by a frozen model, which is loaded when the first item is to be computed.

    A subclass names its encoder and the packages that its features depend on.
    """

    _ENCODER: ClassVar[tuple[str, str]]
    _PACKAGES: ClassVar[tuple[str, ...]] = ("transformers", "torch")
    # What is said of an item that has nothing of what was asked for.
    _LACK: ClassVar[str] = ""
    _POOLING: ClassVar[tuple[str | None, ...]] = (None, "mean")

    model: Any
    revision: str | None
    layers: Any
    pooling: str | None
    batch_size: int
    device: str
    dtype: str
    modality: str
    memory: Any
    memory_limit: Any
    local_files_only: bool
    token_env: str | None
    progress: bool
    columns_: list[str]
    provenance_: dict[str, Any]
    _checkpoint: Checkpoint
    _encoder: Any

    def __getstate__(self) -> dict[str, Any]:
        state: Any = super().__getstate__()
        return {key: value for key, value in state.items() if key != "_encoder"}

    def _own_settings(self) -> dict[str, Any]:
        """What features depend on beside the model, its layers and pooling."""
        return {}

    def _kind(self) -> Any:
        import_optional("transformers", type(self).__name__, "pretrained")
        module, name = self._ENCODER
        return getattr(import_module(module, __package__), name)

    def _prepare(self) -> None:
        """Find the model and its sizes; no weights are loaded."""
        kind = self._kind()
        self._check_parameters()
        self._checkpoint = self._find()
        size = kind.size(self._checkpoint.folder, self._checkpoint.name)
        layers = chosen_layers(self.layers, size.n_layers, self._checkpoint.name)
        self._check_rate(size.frame_rate)
        self.columns_ = [f"{self.modality}_{k}" for k in range(size.n_features)]
        self.provenance_ = {
            "made_by": type(self).__name__,
            "model": self._checkpoint.name,
            "revision": self._checkpoint.revision,
            "weights": self._checkpoint.weights,
            "layers": layers,
            "pooling": self.pooling,
            **self._own_settings(),
        }

    @property
    def _rate(self) -> float | None:
        """Steps a second, as one number of many ways to write it."""
        rate = getattr(self, "steps_per_second", None)
        return None if rate is None else float(rate)

    def _find(self) -> Checkpoint:
        return find_checkpoint(
            self.model,
            self.revision,
            local_files_only=self.local_files_only,
            token_env=self.token_env,
        )

    def _check_parameters(self) -> None:
        from ._encoders import check_dtype

        check_dtype(self.dtype)
        bytes_of(self.memory_limit, "memory_limit")
        if self.pooling not in self._POOLING:
            known = ", ".join(map(repr, self._POOLING[:-1]))
            raise ValueError(
                f"pooling={self.pooling!r} was given; expected {known} or "
                f"{self._POOLING[-1]!r}."
            )
        size = self.batch_size
        if not isinstance(size, Integral) or isinstance(size, bool) or size < 1:
            raise ValueError(f"batch_size={size!r} was given; expected 1 or more.")

    def _check_rate(self, frame_rate: float | None) -> None:
        rate = getattr(self, "steps_per_second", None)
        if rate is None:
            return
        number = isinstance(rate, Real) and not isinstance(rate, bool)
        if not number or not float(rate) > 0:
            raise ValueError(
                f"steps_per_second={rate!r} was given; expected a number above 0, or None."
            )
        if frame_rate is not None and float(rate) > frame_rate:
            raise ValueError(
                f"steps_per_second={rate} was given, but {self._checkpoint.name!r} has "
                f"{frame_rate:g} frames a second; give no more, or None for all."
            )

    def _cache(self) -> FeatureCache | None:
        if self.memory is None:
            return None
        names = ("model", "revision")  # of which the weights tell
        settings = {k: v for k, v in self.provenance_.items() if k not in names}
        settings["dtype"], settings["format"] = self.dtype, _FORMAT
        settings["versions"] = {name: _version_of(name) for name in self._PACKAGES}
        limit = bytes_of(self.memory_limit, "memory_limit")
        return FeatureCache(self.memory, settings, limit)

    def _loaded(self) -> Any:
        """The encoder; its network is shared with others that use the same one."""
        wanted = (self.batch_size, self.device, self.dtype, self.provenance_["layers"])
        held = vars(self).get("_encoder")
        if held is None or held[0] != wanted:
            checkpoint = self._checkpoint
            if not checkpoint.folder.is_dir():  # fitted on another machine
                checkpoint = self._find()
                if checkpoint.weights != self._checkpoint.weights:
                    raise ValueError(
                        f"{checkpoint.name!r} has other weights here than those that this "
                        f"{type(self).__name__} was fitted with; fit it again."
                    )
            encoder = self._kind()(
                checkpoint.folder,
                checkpoint.name,
                self.provenance_["layers"],
                self.batch_size,
                self.device,
                self.dtype,
            )
            held = self._encoder = (wanted, encoder)
        return held[1]

    def _encode(self, contents: Sequence[Any]) -> list[NDArray[np.float32]]:
        """Steps of items that were read."""
        rate, pooling = (self.provenance_.get(k) for k in ("steps_per_second", "pooling"))
        found: list[NDArray[np.float32]] = self._loaded().encode(
            contents, rate=rate, pooling=pooling
        )
        return found

    def _found(self, items: Sequence[Item]) -> list[Found]:
        """Features of items, each computed once, those of earlier calls not at all."""
        cache = self._cache()
        unique = {item.digest: item for item in items}
        found = self._kept(cache, unique)
        missing = [item for item in unique.values() if item.digest not in found]
        missing.sort(key=lambda item: item.size)
        done = self._computed(cache, missing)
        if self.progress:
            done = with_bar(done, len(missing), self.modality)
        found.update(done)
        if cache is not None and missing:
            cache.prune()
        return [found[item.digest] for item in items]

    def _kept(self, cache: Any, digests: Mapping[str, Any]) -> dict[str, Found]:
        if cache is None:
            return {}
        kept = {digest: cache.get(digest) for digest in digests}
        return {d: self._as_found(steps) for d, steps in kept.items() if steps is not None}

    def _as_found(self, steps: NDArray[np.float32]) -> Found:
        return Found(steps) if len(steps) else Found(None, lack=self._LACK)

    def _computed(self, cache: Any, items: Sequence[Item]) -> Iterator[tuple[str, Found]]:
        """Group by group, so that no more than a group is lost when the process ends."""
        for group in _groups(items, self.batch_size):
            with nullcontext() if cache is None else cache.alone():
                found = self._kept(cache, {item.digest: None for item in group})
                rest = [item for item in group if item.digest not in found]
                for digest, result in self._of_group(rest):
                    found[digest] = result
                    if cache is not None and not result.fault:
                        none = np.zeros((0, len(self.columns_)), dtype=np.float32)
                        cache.put(digest, none if result.steps is None else result.steps)
            yield from found.items()

    def _of_group(self, items: Sequence[Item]) -> Iterator[tuple[str, Found]]:
        read, digests = [], []
        for item in items:
            try:
                read.append(item.load())
                digests.append(item.digest)
            except ImportError:
                raise
            except NothingThere:
                yield item.digest, Found(None, lack=self._LACK)
            except Exception as error:
                reason = " ".join(str(error).split())[:300]
                yield item.digest, Found(None, fault=reason or type(error).__name__)
        if not read:
            return
        for digest, steps in zip(digests, self._encode(read), strict=True):
            if np.isfinite(steps).all():
                yield digest, self._as_found(steps)
            else:
                yield digest, Found(None, fault="its features are not finite")


def _groups(items: Sequence[Item], most: int) -> Iterator[list[Item]]:
    group: list[Item] = []
    size = 0
    for item in items:
        if group and (len(group) == most or size + item.size > _GROUP_BYTES):
            yield group
            group, size = [], 0
        group.append(item)
        size += item.size
    if group:
        yield group


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


class PretrainedFiles(PretrainedFeatures, FileSequences):
    """Features of files by a frozen model."""

    def _load(self, path: Path) -> Any:
        """What the encoder reads of a file.

        Raises
        ------
        NothingThere
            If it is sound and has nothing of that.
        """
        raise NotImplementedError

    def _digest(self, path: Path) -> tuple[str, int]:
        """A name for what a file holds, and its size."""
        return digest_of_file(path), path.stat().st_size

    def _find_columns(self, paths: Sequence[Path]) -> list[str]:
        self._prepare()
        return self.columns_

    def _read_many(self, paths: Sequence[Path]) -> list[Found]:
        items: list[Item | None] = []
        for path in paths:
            try:
                digest, size = self._digest(path)
            except OSError:
                items.append(None)
                continue
            items.append(Item(digest, size, lambda path=path: self._load(path)))  # type: ignore[misc]
        found = iter(self._found([item for item in items if item is not None]))
        gone = Found(None, fault="there is no such file")
        return [gone if item is None else next(found) for item in items]
