"""Estimators in one safetensors file: tensors and JSON, no code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from sklearn.pipeline import Pipeline

from .._declared import BadValue, check_count, damaged, expect
from .._regular_files import refuse_special_file
from .._warn import warn_user
from ..continual.memory import EpisodicMemory
from ..engine.build import prediction_net
from ..engine.devices import check_device, check_precision, device_name
from ..engine.net_params import OWN_PARAMETERS
from ..labels.suggestions import is_keyed_vectors
from .memory_header import check_memory
from .model_header import (
    FITTED,
    check_fitted,
    check_params,
    has_network,
    plain_settings,
    without_path,
)
from .network_weights import with_weights
from .plain_values import PlainReader, PlainWriter
from .steps import Steps, plain_steps, read_steps

__all__ = ["load_estimator", "save_estimator"]

_FORMAT = "sk_mer"
_VERSION = 3
_WEIGHTS, _ARRAYS = "module/", "array/"
_ARRAY_TYPES = (
    torch.bool,
    torch.uint8,
    torch.int8,
    torch.int16,
    torch.int32,
    torch.int64,
    torch.float16,
    torch.float32,
    torch.float64,
)
# Fitted state that is rebuilt from the rest, or has a place of its own.
_MEMORY = "memory_"
_REBUILT = {"net_", "_skl_callbacks", _MEMORY}
_GIVE_VECTORS = "give load(path, label_vectors=...) to ask for further labels."
_UNFIT = (
    "This {} cannot be saved as it is ({}); set back what was changed after fit, or fit "
    "it again."
)
_DAMAGED = (
    "{} is damaged or was not written by sk_mer's save() ({}); save the estimator again."
)


def save_estimator(
    estimator: Any,
    path: Path,
    steps: Steps | None = None,
    step_kinds: Mapping[str, type] | None = None,
) -> None:
    """Write an estimator, with the `steps` before it; see ``save`` of the estimators."""
    writer = PlainWriter()
    with damaged(partial(_UNFIT.format, type(estimator).__name__)):
        header = _header(estimator, writer)
        if steps is not None:
            header["steps"] = plain_steps(steps, writer)
        text = json.dumps(header)
        network = has_network(type(estimator))
        weights = estimator.net_.module_.state_dict() if network else {}
        for name, weight in weights.items():
            writer.tensors[_WEIGHTS + name] = weight.detach().cpu().contiguous()
        known = {type(estimator).__name__: type(estimator)}
        again = json.loads(text)
        _rebuilt(again, writer.tensors, known, None, [], step_kinds)  # as load will
    if path.is_dir() or not path.parent.is_dir():
        fault = "is a folder" if path.is_dir() else "lies in a folder that is not there"
        raise ValueError(f"{str(path)!r} {fault}; give the path of a file in a folder.")
    for note in writer.notes:
        warn_user(note)
    save_file(writer.tensors, str(path), metadata={_FORMAT: text})


def _header(estimator: Any, writer: PlainWriter) -> dict[str, Any]:
    params = estimator.get_params(deep=False)
    if is_keyed_vectors(params.get("label_vectors")):
        writer.notes.append(
            f"label_vectors is a gensim KeyedVectors and was not saved; {_GIVE_VECTORS}"
        )
        params["label_vectors"] = {}
    if hasattr(params.get("label_vectors"), "known"):
        params["label_vectors"] = params["label_vectors"].known()
        writer.notes.append(
            "label_vectors makes vectors of texts and was not saved, but the "
            f"{len(params['label_vectors'])} vectors that it was asked for were; "
            f"{_GIVE_VECTORS}"
        )
    if "net_params" in params:
        params["device"] = str(params["device"])
        params["net_params"], left_out = plain_settings(params["net_params"])
        writer.notes += [_not_kept(name, "was not saved") for name in left_out]
    others = [
        name
        for name in vars(estimator)
        if name not in params and name not in FITTED and name not in _REBUILT
    ]
    writer.notes += [f"{name} is no attribute of fit and was not saved." for name in others]
    held = vars(estimator)
    fitted = {name: held[name] for name in FITTED if name in held}
    header = {
        "version": _VERSION,
        "class": type(estimator).__name__,
        "params": {name: writer.plain(value, name) for name, value in params.items()},
        "fitted": {name: writer.plain(value, name) for name, value in fitted.items()},
    }
    if getattr(estimator, "store_memory", False) and hasattr(estimator, _MEMORY):
        held = getattr(estimator, _MEMORY).to_plain()
        header["memory"] = writer.plain(held, "the memory")
    return header


def _not_kept(name: str, what: str) -> str:
    if name in OWN_PARAMETERS:
        return (
            f"net_params[{name!r}] {what}, because {name} is a parameter of the estimator "
            f"itself; set it with set_params({name}=...)."
        )
    return (
        f"net_params[{name!r}] {what}, because a file may not say which code runs; give it "
        "again with set_params to train on with it."
    )


def load_estimator(
    path: Path,
    known: Mapping[str, type],
    label_vectors: Any = None,
    step_kinds: Mapping[str, type] | None = None,
) -> Any:
    """Read an estimator of one of the `known` classes; see :func:`sk_mer.load`.

    In a pipeline of steps before it, where they may be made (`step_kinds`).
    """
    if not path.exists():
        raise FileNotFoundError(f"No file at {str(path)!r}; give one that save() wrote.")
    refuse_special_file(path)
    notes: list[str] = []
    with damaged(partial(_DAMAGED.format, path.name)):
        header, tensors = _read(path)
    if header["version"] > _VERSION:
        raise ValueError(
            f"{path.name} has format version {header['version']}, newer than "
            f"{_VERSION}; update sk_mer to read it."
        )
    if header["version"] < _VERSION:
        raise ValueError(
            f"{path.name} has format version {header['version']}, of an earlier sk_mer; "
            "fit and save the estimator again."
        )
    held = header.get("class")
    if len(known) == 1 and isinstance(held, str) and held not in known:
        raise ValueError(
            f"{path.name} holds a {held:.60}, not a {next(iter(known))}; use sk_mer.load "
            "for either."
        )
    if "steps" in header and step_kinds is None:
        raise ValueError(
            f"{path.name} holds a Pipeline, not a {next(iter(known))} alone; use "
            "sk_mer.load."
        )
    with damaged(partial(_DAMAGED.format, path.name)):
        estimator, module, steps = _rebuilt(
            header, tensors, known, label_vectors, notes, step_kinds
        )
        if module is not None:
            _fit_to_machine(estimator, notes)
            estimator.net_ = prediction_net(estimator, module)
    for note in notes:
        warn_user(note)
    return estimator if steps is None else Pipeline([*steps[0], (steps[1], estimator)])


def _read(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """The header, of a known form, and copies of all tensors."""
    with safe_open(str(path), framework="pt") as stream:
        metadata = stream.metadata() or {}
        # What safetensors gives is a map of the file, which may change under it.
        tensors = {name: stream.get_tensor(name).clone() for name in stream.keys()}  # noqa: SIM118
    expect(_FORMAT in metadata, "its metadata", sorted(metadata), f"an entry {_FORMAT!r}")
    header = json.loads(metadata[_FORMAT])
    expect(isinstance(header, dict), "its header", header, "a mapping")
    check_count(header.get("version"), "its version", 1)
    return header, tensors


def _rebuilt(
    header: Mapping[str, Any],
    tensors: Mapping[str, torch.Tensor],
    known: Mapping[str, type],
    vectors: Any,
    notes: list[str],
    step_kinds: Mapping[str, type] | None = None,
) -> tuple[Any, torch.nn.Module | None, Steps | None]:
    """An estimator without its net, the module it is to hold, if any, and its steps."""
    wanted = {"version", "class", "params", "fitted"}
    fits = set(header) - {"memory", "steps"} == wanted
    expect(fits, "what its header has", sorted(header), f"{sorted(wanted)}")
    kind = _known_class(header["class"], known)
    arrays, weights = _sorted_tensors(tensors)
    reader = PlainReader(arrays)
    declared = {
        part: {name: reader.value(plain) for name, plain in _items(header, part)}
        for part in ("params", "fitted")
    }
    held = reader.value(header.get("memory"))
    estimator = _with_params(kind, declared["params"], vectors, notes)
    check_fitted(declared["fitted"], estimator)
    for name, value in declared["fitted"].items():
        setattr(estimator, name, value)
    module = with_weights(estimator, weights) if has_network(kind) else None
    expect(module is not None or not weights, "its weights", list(weights), "none")
    if "memory" in header:
        expect(module is not None, "a memory", header["class"], "a system that has one")
        check_memory(held, declared["fitted"])
        setattr(
            estimator,
            _MEMORY,
            EpisodicMemory.from_plain(held, declared["fitted"]["_seen_names"]),
        )
    steps = None
    if "steps" in header:
        steps = read_steps(header["steps"], reader, step_kinds or {})
    reader.finish()
    return estimator, module, steps


def _known_class(name: Any, known: Mapping[str, type]) -> Any:
    if name not in list(known):
        raise BadValue(
            f"its class {name!r:.60} is none of those that may be read here: "
            f"{', '.join(known)}"
        )
    return known[name]


def _items(header: Mapping[str, Any], part: str) -> Any:
    expect(isinstance(header[part], dict), f"{part!r}", header[part], "values by name")
    return header[part].items()


def _sorted_tensors(
    tensors: Mapping[str, torch.Tensor],
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Arrays that the header refers to, and the weights of the network."""
    arrays, weights = {}, {}
    for name, tensor in tensors.items():
        if name.startswith(_WEIGHTS):
            weights[name.removeprefix(_WEIGHTS)] = tensor
        else:
            expect(name.startswith(_ARRAYS), "a tensor", name, "a weight or an array")
            known = tensor.dtype in _ARRAY_TYPES
            expect(known, f"the type of {name}", tensor.dtype, "one of numpy")
            arrays[name] = tensor
    return arrays, weights


def _with_params(kind: Any, params: dict[str, Any], vectors: Any, notes: list[str]) -> Any:
    """An estimator with parameters of its class, which name nothing outside the file."""
    for name in params:
        known = name in kind._get_param_names()
        expect(known, "a parameter", name, f"one of {kind.__name__}")
    source, path = without_path(params.get("label_vectors"))
    if path is not None and vectors is None:
        notes.append(
            f"The file names {path!r:.200} as its source of label vectors; it was not "
            f"opened: {_GIVE_VECTORS}"
        )
    if vectors is not None:
        params["label_vectors"] = vectors
    elif "label_vectors" in params:
        params["label_vectors"] = source
    if has_network(kind):
        params["net_params"], left_out = plain_settings(params.get("net_params"))
        notes += [_not_kept(name, "was left out") for name in left_out]
    estimator = kind(**params)
    check_params(estimator)
    return estimator


def _fit_to_machine(estimator: Any, notes: list[str]) -> None:
    """Take the CPU, and float32, where the machine lacks what the model was saved with."""

    def fall_back(name: str, to: str) -> None:
        notes.append(
            f"The model was saved with {name}={getattr(estimator, name)!r:.60}, which is "
            f"not to be had here; it is loaded with {name}={to!r}."
        )
        setattr(estimator, name, to)

    if not _computes(estimator.device):
        fall_back("device", "cpu")
    try:
        check_precision(estimator.precision, estimator.device)
    except ValueError:
        fall_back("precision", "fp32")


def _computes(device: str) -> bool:
    """Whether torch has a device here that holds numbers."""
    try:
        check_device(device)
        return torch.zeros(1, device=device_name(device)).item() == 0
    except Exception:  # whatever the backends of other machines say
        return False
