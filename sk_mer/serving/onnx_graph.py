"""Fitted networks as ONNX graphs.

ONNX has an LSTM that takes lengths, so that a graph of it computes what
:class:`~sk_mer.models.layers.recurrent.LastStepBiLSTM` computes: each utterance at its own
length, and one step of the top layer's backward direction.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .._optional import import_optional
from .._version import __version__
from .onnx_format import (
    BACKWARD_STEP,
    LABEL_ROWS,
    LOGITS,
    METADATA,
    OPERATORS,
    description_of,
    lengths_name,
)

__all__ = ["OnnxGraph", "export_onnx"]

# Both are of 2021-22, and old enough for runtimes that people have.
_OPSET, _IR_VERSION = 17, 8
# torch keeps the gates as input, forget, cell, output; ONNX as input, output, forget,
# cell.
_GATE_ORDER = (0, 3, 1, 2)
_ONE = np.ones(1, np.float32)


def export_onnx(estimator: Any, path: Path, scaler: Any = None) -> None:
    """Write a fitted estimator's network; see ``export_onnx`` of the estimators.

    Parameters
    ----------
    estimator : BaseMultimodalClassifier
        With a module that has ``onnx_logits``.
    scaler : MultimodalScaler, optional
        Fitted, which the graph is to do first.
    path : Path
        Where to write.
    """
    onnx = import_optional("onnx", "export_onnx", "onnxruntime")
    graph = OnnxGraph(onnx)
    module = estimator.net_.module_
    estimator._prepare_export()
    sequences, lengths = {}, {}
    for name, n_features in estimator.n_features_.items():
        steps = graph.input(name, "FLOAT", ("n", f"n_steps_{name}", n_features))
        sequences[name] = graph.scaled(steps, name, scaler)
        lengths[name] = graph.input(lengths_name(name), "INT64", ("n",))
    rows = estimator._rows.astype(np.float32)
    shape = ("n_labels", rows.shape[1])
    graph.input(LABEL_ROWS, "FLOAT", shape, default=rows)
    with torch.no_grad():
        logits = module.onnx_logits(graph, sequences, lengths, LABEL_ROWS)
    graph.output(logits, LOGITS, ("n", "n_labels"))
    graph.save(path, {METADATA: json.dumps(description_of(estimator, scaler))})


class OnnxGraph:
    """Nodes, constants, inputs and outputs in the making.

    Parameters
    ----------
    onnx : module
        The onnx package.
    """

    def __init__(self, onnx: Any) -> None:
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []

    def input(self, name: str, kind: str, shape: Sequence[Any], default: Any = None) -> str:
        """Declare an input; one with a default may be left out."""
        number = getattr(self.onnx.TensorProto, kind)
        helper = self.onnx.helper
        self.inputs.append(helper.make_tensor_value_info(name, number, list(shape)))
        if default is not None:
            self.constants.append(self.onnx.numpy_helper.from_array(default, name))
        return name

    def output(self, tensor: str, name: str, shape: Sequence[Any]) -> None:
        """Give a tensor out under a name."""
        self.nodes.append(self.onnx.helper.make_node("Identity", [tensor], [name]))
        kind = self.onnx.TensorProto.FLOAT
        info = self.onnx.helper.make_tensor_value_info(name, kind, list(shape))
        self.outputs.append(info)

    def constant(self, values: Any) -> str:
        """Add a constant; torch tensors and numpy arrays alike."""
        array = values.cpu().numpy() if isinstance(values, torch.Tensor) else values
        name = f"constant_{len(self.constants)}"
        self.constants.append(
            self.onnx.numpy_helper.from_array(np.ascontiguousarray(array), name)
        )
        return name

    def integers(self, *values: int) -> str:
        """Add a constant of int64."""
        return self.constant(np.array(values, dtype=np.int64))

    def add(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Add a node with one output."""
        return self.add_node(kind, inputs, 1, name, **attributes)[0]

    def add_node(
        self, kind: str, inputs: Sequence[str], n_outputs: int, name: str, **attributes: Any
    ) -> list[str]:
        """Add a node, of the kinds that a predictor runs."""
        if kind not in OPERATORS:
            raise ValueError(
                f"The operator {kind!r} was asked for, but predictors run only "
                f"{', '.join(sorted(OPERATORS))}; add it to OPERATORS."
            )
        place = len(self.nodes)
        outputs = [f"{kind}_{place}_{i}" for i in range(n_outputs)]
        self.nodes.append(
            self.onnx.helper.make_node(
                kind, list(inputs), outputs, name=name or f"{kind}_{place}", **attributes
            )
        )
        return outputs

    def scaled(self, steps: str, modality: str, scaler: Any) -> str:
        """What a scaler makes of the steps of a modality."""
        if scaler is None or modality not in scaler.mean_:
            return steps
        mean, scale = (
            a[modality].astype(np.float32) for a in (scaler.mean_, scaler.scale_)
        )
        centred = self.add("Sub", steps, self.constant(mean))
        return self.add("Div", centred, self.constant(scale))

    def linear(self, rows: str, weight: Any, bias: Any, name: str = "") -> str:
        """``rows @ weight.T + bias``."""
        product = self.add("MatMul", rows, self.constant(weight.T), name=name)
        return self.add("Add", product, self.constant(bias))

    def scores(self, states: str, rows: str) -> str:
        """Dot products of states and label rows, ``(n, n_labels)``."""
        return self.add("MatMul", states, self.add("Transpose", rows, perm=[1, 0]))

    def n_present(self, lengths: Sequence[str]) -> str:
        """``(n, 1)``: how many modalities each utterance has, at least 1."""
        float32 = self.onnx.TensorProto.FLOAT
        here = [
            self.add("Cast", self.add("Greater", n, self.integers(0)), to=float32)
            for n in lengths
        ]
        count = self.add("Max", self.add("Sum", *here), self.constant(_ONE))
        return self.add("Unsqueeze", count, self.integers(1))

    def n_read(self, steps: str, lengths: str, masked: bool) -> str:
        """``(n,)``: steps that are read of each utterance, at least 1."""
        if masked:
            return self.add("Max", lengths, self.integers(1))
        window = self.add("Gather", self.add("Shape", steps), self.integers(1), axis=0)
        return self.add("Add", self.add("Sub", lengths, lengths), window)

    def mean_steps(self, steps: str, n_read: str, weights: str = "") -> str:
        """The mean of the steps that are read, where `weights` is given a weighted one."""
        float32 = self.onnx.TensorProto.FLOAT
        axis = self.integers(1)
        first = self.add(
            "Slice", steps, self.integers(0), self.integers(1), self.integers(2)
        )
        ones = self.add("Add", self.add("Sub", first, first), self.constant(_ONE))
        place = self.add("CumSum", ones, axis)
        count = self.add("Unsqueeze", self.add("Cast", n_read, to=float32), axis)
        beyond = self.add("Add", self.add("Unsqueeze", count, axis), self.constant(_ONE))
        valid = self.add("Cast", self.add("Greater", beyond, place), to=float32)
        if weights:
            valid = self.add("Mul", valid, weights)
            count = self.add("ReduceSum", valid, axis, keepdims=0)
        total = self.add("ReduceSum", self.add("Mul", steps, valid), axis, keepdims=0)
        return self.add("Div", total, count)

    def where_present(self, state: str, lengths: str) -> str:
        """The state, zeros for utterances without steps."""
        here = self.add("Greater", lengths, self.integers(0))
        mask = self.add("Cast", here, to=self.onnx.TensorProto.FLOAT)
        return self.add("Mul", state, self.add("Unsqueeze", mask, self.integers(1)))

    def last_state(self, encoder: Any, steps: str, lengths: str) -> str:
        """``(n, out_features)``: what a LastStepBiLSTM reads; zeros without steps."""
        lstm = encoder.lstm
        n_steps = self.n_read(steps, lengths, encoder.masked)
        time_first, lengths32 = self._below_the_top(lstm, steps, n_steps)
        top = f"_l{lstm.num_layers - 1}"
        state = self._lstm(lstm, top, time_first, lengths32, top=True)[1]
        states = [self.add("Squeeze", state, self.integers(0))]
        if lstm.bidirectional:
            rows_first = self.add("Transpose", time_first, perm=[1, 0, 2])
            last = self.add("Sub", n_steps, self.integers(1))
            last = self.add("Unsqueeze", last, self.integers(1))
            read = self.add("GatherND", rows_first, last, batch_dims=1)
            states.append(self._one_step(lstm, top + "_reverse", read))
        merged = (
            self.add("Add", *states)
            if encoder.sum_directions
            else self.add("Concat", *states, axis=1)
        )
        return self.where_present(merged, lengths)

    def summed_states(self, lstm: Any, steps: str, n_steps: str) -> str:
        """``(n, n_steps, hidden_size)``: an LSTM's states, directions summed."""
        time_first, lengths32 = self._below_the_top(lstm, steps, n_steps)
        both = self._lstm(lstm, f"_l{lstm.num_layers - 1}", time_first, lengths32)[0]
        summed = self.add("ReduceSum", both, self.integers(1), keepdims=0)
        return self.add("Transpose", summed, perm=[1, 0, 2])

    def _below_the_top(self, lstm: Any, steps: str, n_steps: str) -> tuple[str, str]:
        """What the top layer reads, time first, and lengths as the operator takes them."""
        lengths32 = self.add("Cast", n_steps, to=self.onnx.TensorProto.INT32)
        time_first = self.add("Transpose", steps, perm=[1, 0, 2])
        for layer in range(lstm.num_layers - 1):
            both = self._lstm(lstm, f"_l{layer}", time_first, lengths32)[0]
            side_by_side = self.add("Transpose", both, perm=[0, 2, 1, 3])
            time_first = self.add("Reshape", side_by_side, self.integers(0, 0, -1))
        return time_first, lengths32

    def _lstm(
        self, lstm: Any, suffix: str, steps: str, lengths: str, top: bool = False
    ) -> list[str]:
        """A layer; both its directions unless it is the top one."""
        both = lstm.bidirectional and not top
        names = [suffix, suffix + "_reverse"] if both else [suffix]
        weights = _arrays(lstm)

        def stacked(kind: str) -> NDArray[Any]:
            return np.stack([_reordered(weights[kind + name]) for name in names])

        biases = np.concatenate([stacked("bias_ih"), stacked("bias_hh")], axis=1)
        inputs = [
            steps,
            self.constant(stacked("weight_ih")),
            self.constant(stacked("weight_hh")),
            self.constant(biases),
            lengths,
        ]
        direction = "bidirectional" if both else "forward"
        sizes = {"hidden_size": lstm.hidden_size, "direction": direction}
        return self.add_node("LSTM", inputs, 2, "", **sizes)

    def _one_step(self, lstm: Any, suffix: str, read: str) -> str:
        """The first step from a zero state: the forget gate has nothing to do."""
        weights = _arrays(lstm)
        bias = weights["bias_ih" + suffix] + weights["bias_hh" + suffix]
        gates = []
        for gate, function in ((0, "Sigmoid"), (2, "Tanh"), (3, "Sigmoid")):
            rows = slice(gate * lstm.hidden_size, (gate + 1) * lstm.hidden_size)
            weight = weights["weight_ih" + suffix][rows]
            name = f"{BACKWARD_STEP}_{len(self.nodes)}"
            product = self.linear(read, weight, bias[rows], name)
            gates.append(self.add(function, product))
        enter, cell, leave = gates
        return self.add("Mul", leave, self.add("Tanh", self.add("Mul", enter, cell)))

    def save(self, path: Path, metadata: dict[str, str]) -> None:
        """Check the model and write it."""
        helper = self.onnx.helper
        graph = helper.make_graph(
            self.nodes, "sk_mer", self.inputs, self.outputs, self.constants
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", _OPSET)],
            ir_version=_IR_VERSION,
            producer_name="sk_mer",
            producer_version=__version__,
        )
        helper.set_model_props(model, metadata)
        self.onnx.checker.check_model(model)
        self.onnx.save(model, str(path))


def _arrays(lstm: Any) -> dict[str, NDArray[Any]]:
    return {name: w.detach().cpu().numpy() for name, w in lstm.named_parameters()}


def _reordered(weight: NDArray[Any]) -> NDArray[Any]:
    gates = np.split(weight, 4)
    return np.concatenate([gates[gate] for gate in _GATE_ORDER])
