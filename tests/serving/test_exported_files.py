"""Exported models that a stranger wrote: refused with a sentence, nothing else is read."""

from __future__ import annotations

import itertools
import json
import os

import numpy as np
import pytest

from sk_mer import EFLSTMClassifier, MTEClassifier
from sk_mer.serving.onnx_graph import OnnxGraph

from .. import hostile_headers
from ..conftest import TINY, tiny_fit, tiny_settings

onnx = pytest.importorskip("onnx", reason="needs the onnxruntime extra")
pytest.importorskip("onnxruntime", reason="needs the onnxruntime extra")

from sk_mer.serving import OnnxEmotionPredictor  # noqa: E402

DAMAGED = r"^model\.onnx is damaged or was not written by sk_mer's export_onnx \(.*"


@pytest.fixture(scope="module")
def exported(tiny, tmp_path_factory):
    """Graph and description of a model."""
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    tiny_fit(tiny, padding="none", threshold={"sad": 0.25}).export_onnx(path)
    model = onnx.load(path)
    return model, json.loads(model.metadata_props[0].value)


@pytest.fixture
def open_changed(exported, tmp_path):
    """Open it after a change to the graph or the description."""

    def change_and_open(graph=None, about=None, **kwargs):
        model, description = type(exported[0])(), json.loads(json.dumps(exported[1]))
        model.CopyFrom(exported[0])
        if graph is not None:
            graph(model)
        if about is not None:
            changed = about(description)
            description = description if changed is None else changed
        path = hostile_headers.write_exported(tmp_path / "model.onnx", model, description)
        return OnnxEmotionPredictor(path, **kwargs)

    return change_and_open


def test_what_is_not_changed_opens(open_changed, tiny):
    predictor = open_changed()
    assert predictor.predict(tiny.X[:3]).shape == (3, 6)
    assert predictor.threshold == {"sad": 0.25}
    assert predictor._rows.dtype == np.float32
    assert predictor.thresholds_.tolist() == [0.5, 0.5, 0.5, 0.5, 0.25, 0.5]


def outside(tensor, location="secret"):
    """Let a tensor's values lie in another file."""
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", location


def in_a_subgraph(model):
    attribute = model.graph.node[0].attribute.add()
    attribute.name, attribute.type = "body", onnx.AttributeProto.GRAPH
    outside(attribute.g.initializer.add())


def in_an_attribute(model):
    attribute = model.graph.node[-1].attribute.add()
    attribute.name, attribute.type = "value", onnx.AttributeProto.TENSOR
    outside(attribute.t)


def in_a_function(model):
    attribute = model.functions.add().node.add().attribute.add()
    outside(attribute.tensors.add())


def sparse(model):
    outside(model.graph.sparse_initializer.add().values)


def without_a_mark(model):
    tensor = model.graph.initializer[0]
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "secret"


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize(
    "change",
    [
        lambda model: outside(model.graph.initializer[3]),
        lambda model: outside(model.graph.initializer[3], "/dev/zero"),
        *(in_a_subgraph, in_an_attribute, in_a_function, sparse, without_a_mark),
    ],
)
def test_values_in_other_files(open_changed, tmp_path, monkeypatch, change, precision):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret").write_bytes(bytes(10_000))
    reader = "onnx.external_data_helper.load_external_data_for_tensor"
    monkeypatch.setattr(reader, None)
    message = DAMAGED + r"the place of a tensor is 'another file', expected this one\)"
    with pytest.raises(ValueError, match=message):
        open_changed(change, precision=precision)


def add_node(kind, inputs=("text",), domain="", **attributes):
    def change(model):
        node = onnx.helper.make_node(kind, list(inputs), ["more"], **attributes)
        node.domain = domain
        model.graph.node.insert(0, node)

    return change


def double_forty_times(model):
    names = ["text", *(f"twice_{k}" for k in range(40))]
    for k, (small, large) in enumerate(itertools.pairwise(names)):
        node = onnx.helper.make_node("Concat", [small, small], [large], axis=0)
        model.graph.node.insert(k, node)


def claim(model):
    tensor = model.graph.initializer[1]
    tensor.dims[0] = 10**10


def text_weights(model):
    model.graph.initializer[1].data_type = onnx.TensorProto.STRING


def other_set(model):
    model.opset_import.add().domain = "com.microsoft"


def give(name):
    """Let the graph give another tensor than the logits."""

    def change(model):
        model.graph.node[-1].input[0] = name

    return change


def rename_output(model):
    model.graph.output[0].name = "other"


def input_size(name, axis, size):
    def change(model):
        (info,) = [info for info in model.graph.input if info.name == name]
        info.type.tensor_type.shape.dim[axis].dim_value = size

    return change


def no_shape(model):
    model.graph.input[0].type.tensor_type.ClearField("shape")


def one_more_input(model):
    model.graph.input.add().name = "more"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (add_node("Loop"), r"an operator is 'Loop', expected one that export_onnx writes"),
        (
            add_node("EPContext", domain="com.microsoft"),
            r"operator is 'com.microsoft EPCon",
        ),
        (add_node("Add", domain="mine"), r"an operator is 'mine Add', expected one that"),
        (lambda model: model.functions.add(), r"its functions is 1, expected none"),
        (
            other_set,
            r"its sets of operators is \['', 'com.microsoft'\], expected that of ON",
        ),
        (
            double_forty_times,
            r"the shape of 'twice_\d+' is .*, expected no more than it ne",
        ),
        (
            add_node("Add", ["text", "unknown"]),
            r"the shape of 'more' is \[0\], expected a kn",
        ),
        (claim, r"the size of 'constant_\d+' is \d+, expected \d{11,} bytes"),
        (text_weights, r"the type of 'constant_\d+' is 8, expected float or int64"),
        (give("audio_lengths"), r"the shape of 'logits' is \[0\], expected a known one"),
        (
            give("audio"),
            r"what its graph gives is array\(float32, \(2, 1, 20\)\), expected flo",
        ),
        (rename_output, r"its outputs is \['other'\], expected 'logits'"),
        (one_more_input, r"its inputs is \['audio', .*'more', .*expected \['audio', "),
        (
            input_size("text", 2, 31),
            r"the input 'text' is \(1, 3, 31\), expected \(1, 3, 30\)",
        ),
        (
            input_size("text", 1, 5),
            r"the input 'text' is \(1, 3, 30\), expected .* free leng",
        ),
        (
            input_size("label_rows", 1, 9),
            r"the input 'label_rows' is \(1, 2, 9\), expected",
        ),
        (
            no_shape,
            r"the input 'text' is \(1, 0, 0\), expected \(1, 3, 30\) of free length",
        ),
    ],
)
def test_graphs_that_are_not_ours(open_changed, change, message):
    with pytest.raises(ValueError, match=message) as caught:
        open_changed(change)
    assert caught.match(DAMAGED)


def test_graph_that_fails_later(open_changed, tiny):
    """Some graphs fit and cannot compute: one sentence then, too."""

    def one_row(model):
        shape = onnx.numpy_helper.from_array(np.array([2, 1, -1]), "shape")
        model.graph.initializer.append(shape)
        node = onnx.helper.make_node("Reshape", ["audio", "shape"], ["more"])
        model.graph.node.insert(0, node)
        for later in model.graph.node[1:]:
            if "audio" in later.input:
                later.input[list(later.input).index("audio")] = "more"

    predictor = open_changed(one_row)
    with pytest.raises(ValueError, match=DAMAGED):
        predictor.predict(tiny.X[:3])


def test_operators_that_predictors_do_not_run():
    with pytest.raises(
        ValueError, match=r"operator 'Loop' was asked for, but predictors run"
    ):
        OnnxGraph(onnx).add("Loop", "x")


def entry(**values):
    return lambda about: about.update(values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda about: [1], r"its description is \[1\], expected a mapping"),
        (lambda about: {}, r"its version is None, expected a whole number of at least 1"),
        (entry(version=4), r"its version is 4, expected 3, that of this sk_mer"),
        (
            lambda about: about.pop("rows") and None,
            r"description lacks is \['rows'\], expect",
        ),
        (entry(**{"class": 3}), r"class is 3, expected a name"),
        *((entry(**{n: 1}), rf"{n} is 1, expected true or false") for n in ("multilabel",)),
        (
            entry(required=["smell"]),
            r"required is \['smell'\], expected some of \['text'",
        ),
        (entry(missing="x"), r"missing is 'x', expected 'error' or 'zeros'"),
        (entry(needs_aligned="a"), r"needs_aligned is 'a', expected true or false"),
        (entry(speaks_of_words=0), r"speaks_of_words is 0, expected true or false"),
        (entry(padding="left"), r"padding is 'left', expected 'mask' or 'none'"),
        (entry(padding=["mask"]), r"padding is \['mask'\], expected 'mask' or 'none'"),
        (entry(padding="mask"), r"n_steps is .*, expected None with padding='mask'"),
        (
            entry(handle_nonfinite="x"),
            r"handle_nonfinite is 'x', expected 'error' or 'zero'",
        ),
        (entry(n_features=3), r"n_features is 3, expected numbers by modality"),
        (entry(n_features={"text": -30}), r"n_features of 'text' is -30, expected a whole"),
        (
            entry(n_features={"text": 30}),
            r"the modalities of n_steps is \['text', 'audio', ",
        ),
        (entry(n_steps=None), r"n_steps is None, expected numbers by modality"),
        (
            entry(n_steps={"text": 10**9}),
            r"n_steps of 'text' is 1000000000, expected a whol",
        ),
        (entry(labels="sad"), r"labels is 'sad', expected names of labels"),
        (
            entry(labels=["sad"]),
            r"thresholds is|rows is .*expected finite numbers of shape \(1",
        ),
        (
            entry(seen_labels=["a", "a"]),
            r"seen_labels is \['a', 'a'\], expected each label o",
        ),
        (entry(rows=[]), r"rows is \[\], expected finite numbers of shape \(6, 16\)"),
        (entry(rows=[[]] * 6), r"rows is .*, expected finite numbers of shape \(6, 16\)"),
        (
            entry(rows=[[1.0] * 15] * 6),
            r"rows is .*, expected finite numbers of shape \(6, 16",
        ),
        (
            entry(rows=[[1e300] * 16] * 6),
            r"rows is .*, expected finite numbers of shape \(6",
        ),
        (
            entry(rows=[[float("nan")] * 16] * 6),
            r"rows is .*, expected finite numbers of sha",
        ),
        (
            entry(rows=[[{}] * 16] * 6),
            r"rows is .*, expected finite numbers of shape \(6, 16",
        ),
        (
            entry(rows=[[1.0], [1.0, 2.0]]),
            r"rows is .*, expected finite numbers of shape \(6",
        ),
        (
            entry(seen_rows=[[]] * 6),
            r"seen_rows is .*, expected finite numbers of shape \(6, n",
        ),
        (
            entry(thresholds=[0.5] * 5),
            r"thresholds is .*, expected finite numbers of shape \(6,\)",
        ),
        (
            entry(seen_thresholds=None),
            r"seen_thresholds is None, expected finite numbers of",
        ),
        (entry(seen_shares=[0.5] * 5), r"seen_shares is .*, expected finite numbers of"),
        (entry(seen_shares=[0.0] * 6), r"seen_shares is .*, expected numbers between 0"),
        (entry(seen_shares=[1.0] * 6), r"seen_shares is .*, expected numbers between 0"),
        (entry(on_empty="x"), r"on_empty is 'x', expected 'error' or 'prior'"),
        (
            entry(threshold_of_others="a"),
            r"threshold_of_others is 'a', expected a number, or",
        ),
        (
            entry(threshold_of_others=[[1]]),
            r"threshold_of_others is \[1\], expected a number",
        ),
        (
            entry(threshold_of_others=[["a", "b"]]),
            r"threshold_of_others is \['a', 'b'\], expe",
        ),
        (
            entry(threshold_of_others=[[[], 1]]),
            r"threshold_of_others is \[\[\]\], expected nam",
        ),
    ],
)
def test_descriptions_that_do_not_fit(open_changed, change, message):
    with pytest.raises(ValueError, match=message) as caught:
        open_changed(about=change)
    assert caught.match(DAMAGED)


def test_aligned_systems_have_one_window(tiny, tmp_path):
    path = tmp_path / "model.onnx"
    model = EFLSTMClassifier(**tiny_settings(EFLSTMClassifier), padding="none").fit(
        tiny.X, tiny.y[tiny.seen]
    )
    model.export_onnx(path)
    graph = onnx.load(path)
    about = json.loads(graph.metadata_props[0].value)
    about["n_steps"]["text"] += 1
    hostile_headers.write_exported(path, graph, about)
    with pytest.raises(
        ValueError, match="expected the same number of steps in each modality"
    ):
        OnnxEmotionPredictor(path)
    model._n_steps["text"] += 1
    with pytest.raises(
        ValueError, match="expected the same number of steps in each modality"
    ):
        model.save(tmp_path / "m")


def test_thresholds_of_other_labels(open_changed):
    for given, found in ((0.25, 0.25), (1, 1), ([], {}), ([["a", 0.5]], {"a": 0.5})):
        assert open_changed(about=entry(threshold_of_others=given)).threshold == found


def test_files_that_are_no_graphs(exported, tmp_path):
    os.mkfifo(tmp_path / "pipe.onnx")
    for path in (tmp_path / "pipe.onnx", tmp_path):
        with pytest.raises(ValueError, match="is a pipe, a device or a folder"):
            OnnxEmotionPredictor(path)
    path = tmp_path / "model.onnx"
    model = type(exported[0])()
    model.CopyFrom(exported[0])
    for text in ("", "[" * 100_000, "{"):
        model.metadata_props[0].value = text
        path.write_bytes(model.SerializeToString())
        with pytest.raises(ValueError, match=DAMAGED):
            OnnxEmotionPredictor(path)
    # The suffix of another of onnx's formats does not choose its parser.
    named = tmp_path / "model.json"
    MTEClassifier(**TINY).fit(np.eye(12), np.arange(12) % 2).export_onnx(path)
    named.write_bytes(path.read_bytes())
    assert OnnxEmotionPredictor(named).labels_ == [0, 1]


def test_altered_descriptions(exported, tiny, tmp_path):
    model, about = exported
    rng = np.random.default_rng(0)
    path = tmp_path / "model.onnx"

    def use():
        predictor = OnnxEmotionPredictor(path)
        found = predictor.predict_proba(tiny.X[:3])
        assert found.shape == (3, len(predictor.labels_))
        assert predictor.reset_labels().predict(tiny.X[:3]).shape in ((3, 6), (3,))

    seen = set()
    for _ in range(120):
        changed = hostile_headers.altered(about, rng)
        hostile_headers.write_exported(path, model, changed)
        seen.add(hostile_headers.outcome(use, "model.onnx", 30_000_000))
    assert "read" in seen
    assert len(seen) > 50
