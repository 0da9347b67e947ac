"""What an exported model is: its graph, the description beside it, and their checks.

A graph is a program: one of a stranger may read files or never end. Only the operators
that ``export_onnx`` writes are run, with all their values in the file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._declared import (
    bad,
    check_count,
    check_counts,
    check_flag,
    check_names,
    check_numbers,
    check_option,
    check_windows,
    expect,
    is_number,
)
from ..multimodal._provenance import check_makers
from ..validation import check_declared_modalities

__all__ = [
    "BACKWARD_STEP",
    "LABEL_ROWS",
    "LOGITS",
    "METADATA",
    "OPERATORS",
    "description_of",
    "lengths_name",
    "read_model",
]

LABEL_ROWS, LOGITS, METADATA = "label_rows", "logits", "sk_mer"
# How the names of the products begin that read the one step backwards.
BACKWARD_STEP = "backward_step"
OPERATORS = frozenset(
    (
        *("Add", "Cast", "Concat", "CumSum", "Div", "Exp", "Gather", "GatherND"),
        *("Greater", "Identity", "LSTM", "MatMul", "Max", "Mul", "ReduceSum", "Reshape"),
        *("Shape", "Sigmoid", "Slice", "Sqrt", "Squeeze", "Sub", "Sum", "Tanh"),
        *("Transpose", "Unsqueeze"),
    )
)
_VERSION = 3
# Numbers that a graph may hold for two utterances of one step, for each byte of it.
_PER_BYTE, _SPARE = 2, 100_000


def lengths_name(modality: str) -> str:
    """Name of the input that holds a modality's lengths.

    Parameters
    ----------
    modality : str
        Name of the modality.

    Returns
    -------
    str
    """
    return f"{modality}_lengths"


def description_of(estimator: Any, scaler: Any = None) -> dict[str, Any]:
    """What a predictor needs to know beside the graph.

    Parameters
    ----------
    estimator : BaseMultimodalClassifier
        Which is exported.
    scaler : MultimodalScaler, optional
        Which is in the graph.

    Returns
    -------
    dict
        Ready for JSON.
    """
    offsets = estimator._score_offsets
    return {
        "version": _VERSION,
        "class": type(estimator).__name__,
        "labels": _plain(estimator.labels_),
        "rows": estimator._rows.tolist(),
        "thresholds": estimator.thresholds_.tolist(),
        "score_offsets": None if offsets is None else offsets.tolist(),
        "seen_labels": _plain(estimator._seen_names),
        "seen_rows": estimator._seen_rows.tolist(),
        "seen_thresholds": estimator._seen_thresholds.tolist(),
        "threshold_of_others": _threshold_of_others(estimator.threshold),
        "multilabel": estimator.multilabel_,
        "modalities": _json(estimator.modalities),
        "n_features": estimator.n_features_,
        "n_steps": estimator._n_steps,
        "padding": estimator.padding,
        "seen_shares": estimator._seen_shares.tolist(),
        "handle_nonfinite": estimator.handle_nonfinite,
        "on_empty": estimator.on_empty,
        "missing": estimator.missing,
        "required": list(estimator._required(estimator.modalities_, fitting=False)),
        "needs_aligned": estimator._needs_aligned,
        "speaks_of_words": estimator._has_vectors,
        "in_place_of_nonfinite": _means(estimator, scaler),
        "provenance": getattr(estimator, "provenance_", {}),
    }


def _means(estimator: Any, scaler: Any) -> dict[str, list[float]]:
    """What becomes 0 when it is scaled, where a scaler reads NaN as 0."""
    if scaler is None or scaler.handle_nonfinite != "zero":
        return {}
    used = [name for name in estimator.n_features_ if name in scaler.mean_]
    return {name: scaler.mean_[name].tolist() for name in used}


def _threshold_of_others(threshold: Any) -> Any:
    """Thresholds for labels that come later, as pairs or one number."""
    if isinstance(threshold, Mapping):
        return [[_plain([name])[0], float(value)] for name, value in threshold.items()]
    return float(threshold) if isinstance(threshold, Real) else 0.5


def _json(modalities: Any) -> Any:
    """The parameter as lists and mappings of plain values."""
    if modalities is None or isinstance(modalities, Mapping):
        return modalities and {
            name: list(map(int, size)) if isinstance(size, (tuple, list)) else size
            for name, size in modalities.items()
        }
    return _plain(list(modalities))


def _plain(names: Sequence[Any]) -> list[Any]:
    return [name.item() if isinstance(name, np.generic) else name for name in names]


def read_model(path: Path, onnx: Any) -> tuple[Any, dict[str, Any]]:
    """A model with what was written beside it, both checked; opens no other file.

    Parameters
    ----------
    path : Path
        A regular file.
    onnx : module
        The onnx package.

    Returns
    -------
    model : ModelProto
        Of known operators, with its values inside.
    about : dict
        What :func:`description_of` gave; rows and thresholds as arrays.

    Raises
    ------
    Exception
        If the file is damaged, of whatever kind the damage leads to.
    """
    model = onnx.load_model_from_string(path.read_bytes())
    properties = {entry.key: entry.value for entry in model.metadata_props}
    expect(METADATA in properties, "its metadata", list(properties), f"a {METADATA!r}")
    about = _checked_description(json.loads(properties[METADATA]))
    _refuse_outside(model, onnx)
    _check_operators(model)
    _check_ends(model.graph, about, onnx.TensorProto)
    _check_results(model, about, onnx)
    return model, about


def _checked_description(about: Any) -> dict[str, Any]:
    expect(isinstance(about, dict), "its description", about, "a mapping")
    version = check_count(about.get("version"), "its version", 1)
    expect(version == _VERSION, "its version", version, f"{_VERSION}, that of this sk_mer")
    keys = {"labels", "rows", "thresholds", "seen_labels", "seen_rows", "seen_thresholds"}
    keys |= {"threshold_of_others", "multilabel", "n_features", "n_steps", "padding"}
    keys |= {"handle_nonfinite", "missing", "required", "needs_aligned", "class"}
    keys |= {"version", "speaks_of_words", "in_place_of_nonfinite", "on_empty"}
    keys |= {"seen_shares", "modalities"}
    missing = sorted(keys - set(about))
    expect(not missing, "what its description lacks", missing, "nothing")
    expect(isinstance(about["class"], str), "class", about["class"], "a name")
    for name in ("multilabel", "needs_aligned", "speaks_of_words"):
        check_flag(about[name], name)
    check_option(about["handle_nonfinite"], "handle_nonfinite", ("error", "zero"))
    check_option(about["on_empty"], "on_empty", ("error", "prior", "nan", "skip"))
    check_option(about["missing"], "missing", ("error", "zeros"))
    modalities = list(check_counts(about["n_features"], "n_features", 1))
    check_declared_modalities(about["modalities"])
    required = about["required"]
    fits = isinstance(required, list) and all(name in modalities for name in required)
    expect(fits, "required", required, f"some of {modalities}")
    windows, padding = about["n_steps"], about["padding"]
    check_windows(windows, "n_steps", modalities, padding, about["needs_aligned"])
    _check_others(about["threshold_of_others"])
    where = "in_place_of_nonfinite"
    means = about[where]
    fits = isinstance(means, dict) and set(means) <= set(modalities)
    expect(fits, where, means, f"numbers for some of {modalities}")
    found = {
        name: check_numbers(values, where, (about["n_features"][name],), np.float32)
        for name, values in means.items()
    }
    made_by = check_makers(about.get("provenance", {}), modalities)
    return {**about, **_tables(about), where: found, "provenance": made_by}


def _tables(about: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Rows and thresholds of the labels in use and of those of `fit`, as arrays."""
    found: dict[str, NDArray[Any]] = {}
    width = None
    for prefix in ("seen_", ""):
        labels = check_names(about[f"{prefix}labels"], f"{prefix}labels")
        rows, thresholds = f"{prefix}rows", f"{prefix}thresholds"
        shape = (len(labels), width)
        found[rows] = check_numbers(about[rows], rows, shape, np.float32)
        found[thresholds] = check_numbers(about[thresholds], thresholds, (len(labels),))
        width = found[rows].shape[1]
    offsets, where = about.get("score_offsets"), "score_offsets"
    if offsets is not None:
        found[where] = check_numbers(offsets, where, (len(found["rows"]),))
    n_seen = len(found["seen_rows"])
    shares = check_numbers(about["seen_shares"], "seen_shares", (n_seen,))
    fits = bool(((shares > 0) & (shares < 1)).all())
    expect(fits, "seen_shares", about["seen_shares"], "numbers between 0 and 1")
    return {**found, "seen_shares": shares}


def _check_others(threshold: Any) -> None:
    where, expected = "threshold_of_others", "a number, or pairs of a label and a number"
    if not isinstance(threshold, list):
        expect(is_number(threshold), where, threshold, expected)
        return
    for pair in threshold:
        fits = isinstance(pair, list) and len(pair) == 2 and is_number(pair[1])
        expect(fits, where, pair, expected)
    if threshold:
        check_names([name for name, _ in threshold], where)


def _messages(message: Any) -> Iterator[Any]:
    """A protobuf message and all that lie in it."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            inner = [value] if hasattr(value, "ListFields") else value
            for part in inner:
                yield from _messages(part)


def _refuse_outside(model: Any, onnx: Any) -> None:
    """Refuse tensors whose values lie in other files, wherever in the model they are."""
    types = onnx.TensorProto
    for message in _messages(model):
        if isinstance(message, types):
            if message.data_location == types.EXTERNAL or message.external_data:
                raise bad("the place of a tensor", "another file", "this one")
            _check_size(message, types)


def _check_size(tensor: Any, types: Any) -> None:
    width = {types.FLOAT: 4, types.INT64: 8}.get(tensor.data_type, 0)
    expect(width > 0, f"the type of {tensor.name!r}", tensor.data_type, "float or int64")
    declared, size = math.prod(tensor.dims) * width, len(tensor.raw_data)
    expect(size == declared, f"the size of {tensor.name!r}", size, f"{declared} bytes")


def _check_operators(model: Any) -> None:
    domains = [opset.domain for opset in model.opset_import]
    expect(domains == [""], "its sets of operators", domains, "that of ONNX")
    expect(not model.functions, "its functions", len(model.functions), "none")
    for node in model.graph.node:
        known = node.op_type in OPERATORS and node.domain == ""
        kinds = "one that export_onnx writes"
        expect(known, "an operator", f"{node.domain} {node.op_type}".strip(), kinds)


def _check_ends(graph: Any, about: Mapping[str, Any], types: Any) -> None:
    """Refuse inputs and outputs other than those that the description leads to."""
    wanted = {LABEL_ROWS: (types.FLOAT, 2, about["rows"].shape[1])}
    for name, n_features in about["n_features"].items():
        wanted[name] = (types.FLOAT, 3, n_features)
        wanted[lengths_name(name)] = (types.INT64, 1, 0)
    found = [(info.name, info.type.tensor_type) for info in graph.input]
    names = sorted(name for name, _ in found)
    expect(names == sorted(wanted), "its inputs", names, f"{sorted(wanted)}")
    for name, kind in found:
        sizes = [size.dim_value for size in kind.shape.dim]
        form = (kind.elem_type, len(sizes), sizes[-1] if sizes else 0)
        fits = form == wanted[name] and not any(sizes[:-1])
        expect(fits, f"the input {name!r}", form, f"{wanted[name]} of free length")
    outputs = [info.name for info in graph.output]
    expect(outputs == [LOGITS], "its outputs", outputs, f"{LOGITS!r}")


def _check_results(model: Any, about: Mapping[str, Any], onnx: Any) -> None:
    """Refuse graphs that blow up what goes in; shapes are worked out, not values."""
    sized = type(model)()
    sized.CopyFrom(model)
    rows = len(about["rows"])
    for info in sized.graph.input:
        free = (rows,) if info.name == LABEL_ROWS else (2, 1)
        for size, wanted in zip(info.type.tensor_type.shape.dim, free, strict=False):
            size.dim_value = wanted
    sized.graph.output[0].type.tensor_type.ClearField("shape")
    inferred = onnx.shape_inference.infer_shapes(sized, data_prop=True).graph
    shapes = {}
    for info in (*inferred.value_info, *inferred.output):
        kind = info.type.tensor_type
        if kind.HasField("shape"):
            shapes[info.name] = [size.dim_value for size in kind.shape.dim]
    most = _PER_BYTE * model.ByteSize() + _SPARE
    for node in model.graph.node:
        for name in node.output:
            shape = shapes.get(name, [0])
            expect(0 not in shape, f"the shape of {name!r}", shape, "a known one")
            most -= math.prod(shape)
            expect(most >= 0, f"the shape of {name!r}", shape, "no more than it needs")
