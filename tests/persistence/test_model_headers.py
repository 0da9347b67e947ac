"""Headers of models that a stranger wrote: refused with a sentence, before any work."""

from __future__ import annotations

import copy
import tracemalloc

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import sk_mer
from sk_mer import CMDMClassifier, MTEClassifier
from sk_mer.datasets import make_multimodal_emotions

from .. import hostile_headers
from ..conftest import TINY
from ..hostile_headers import array, attributes, mapping, params

SIZES = {"text": 30, "audio": 20, "vision": 10}
LABELS = ["anger", "disgust", "fear", "happy", "sad", "surprise"]


def without(part, name):
    return lambda header, tensors: header[part].pop(name) and None


def nested(depth, value=0):
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("change", "message"),
    [
        # The header as a whole.
        (lambda h, t: [1], r"\(its header is \[1\], expected a mapping\)"),
        (lambda h, t: 3, r"\(its header is 3, expected a mapping\)"),
        (lambda h, t: {}, r"its version is None, expected a whole number of at least 1"),
        (
            lambda h, t: h.update(version="9"),
            r"its version is '9', expected a whole number",
        ),
        (lambda h, t: h.update(version=True), r"its version is True, expected a whole"),
        (lambda h, t: h.update(version=0), r"its version is 0, expected a whole number"),
        (
            lambda h, t: h.update(version=4),
            r"^model has format version 4, newer than 3; upd",
        ),
        (lambda h, t: h.update(more=1), r"has is \['class', 'fitted', 'memory', 'more'"),
        (
            lambda h, t: h.pop("params") and None,
            r"what its header has is \['class', 'fitted'",
        ),
        (lambda h, t: h.update(params=[]), r"'params' is \[\], expected values by name"),
        (lambda h, t: h.update(fitted=None), r"'fitted' is None, expected values by name"),
        (
            lambda h, t: t.update(extra=torch.ones(1)),
            r"a tensor is 'extra', expected a weigh",
        ),
        (
            lambda h, t: t.update({"array/x": torch.ones(1)}),
            r"what its header leaves unused is \['array/x'\], expected nothing",
        ),
        (
            lambda h, t: t.update({"array/0": torch.ones(16, dtype=torch.bfloat16)}),
            r"the type of array/0 is torch.bfloat16, expected one of numpy",
        ),
        # Values.
        (params(lr=nested(19)), r"'lr' parameter of MTEClassifier must be a float"),
        (params(lr=nested(21)), r"its values are nested more than 20 deep"),
        (params(lr=2**64), r"one of its numbers takes more than 64 bits"),
        (params(lr=-(2**63) - 1), r"one of its numbers takes more than 64 bits"),
        (params(lr={}), r"a value is \[\], expected 'tensor', 'array' and 'dtype'"),
        (params(lr={"tuple": [], "mapping": []}), r"a value is \['tuple', 'mapping'\]"),
        (params(lr={"tuple": 3}), r"a tuple is 3, expected a list"),
        (params(lr={"mapping": "a"}), r"a mapping is 'a', expected a list"),
        (
            params(lr={"mapping": [[1]]}),
            r"an entry of a mapping is \[1\], expected a key and",
        ),
        (
            params(lr={"mapping": ["ab"]}),
            r"an entry of a mapping is 'ab', expected a key and",
        ),
        (params(lr={"mapping": [[[], 1]]}), r"a key is \[\], expected a name or a number"),
        (
            params(lr={"mapping": [[{"tuple": [[]]}, 1]]}),
            r"a key is \(\[\],\), expected a nam",
        ),
        (
            params(lr={"tensor": "module/weights"}),
            r"an array is 'module/weights', expected",
        ),
        (params(lr={"tensor": [1]}), r"an array is \[1\], expected the name of one"),
        (params(lr=[{"tensor": "array/0"}] * 2), r"'array/0', expected .* not used yet"),
        (params(lr={"array": 1, "dtype": "O"}), r"an array is 1, expected a list"),
        (
            params(lr={"array": ["a"] * 20, "dtype": "U100000000"}),
            r"the type of an array is 'U100000000', expected 'U' or 'O'",
        ),
        (
            params(lr={"array": ["a", 1], "dtype": "U"}),
            r"an array of text is \['a', 1\], exp",
        ),
        (
            params(lr={"array": ["a" * 5000, *["b"] * 5000], "dtype": "U"}),
            r"its text is .*, expected at most 16777216 characters",
        ),
        # Parameters.
        (params(mystery=1), r"a parameter is 'mystery', expected one of MTEClassifier"),
        (params(__class__=1), r"a parameter is '__class__', expected one of MTEClassifier"),
        (
            params(lr=-1.0),
            r"\(The 'lr' parameter of MTEClassifier must be a float in the range \(0.0, inf\), "
            r"not -1.0\); save the estimator again\.$",
        ),
        (
            params(padding="left"),
            r"'padding' parameter of MTEClassifier must be a str among",
        ),
        (
            params(label_vectors=3),
            r"label_vectors is 3, expected vectors of words, or None",
        ),
        (
            params(label_vectors=["a"]),
            r"label_vectors is \['a'\], expected vectors of words",
        ),
        (
            params(label_vectors=mapping(a="b")),
            r"label_vectors\['a'\] is 'b', expected num",
        ),
        (
            params(label_vectors=mapping(a=["b"])),
            r"label_vectors\['a'\] is \['b'\], expected",
        ),
        (params(modalities=[1]), r"modalities is \[1\], expected names"),
        (params(modalities=[]), r"modalities is \[\], expected names"),
        (
            params(modalities=mapping(text="a")),
            r"The form of a matrix has 'a' for 'text'",
        ),
        (
            params(modalities=mapping(text=0)),
            r"modalities of 'text' is 0, expected a whole",
        ),
        (
            params(threshold=mapping(sad="x")),
            r"threshold\['sad'\] is 'x', expected a number f",
        ),
        (
            params(threshold=mapping(sad=1.5)),
            r"threshold\['sad'\] is 1.5, expected a number",
        ),
        (params(net_params=3), r"net_params is 3, expected a mapping"),
        (
            params(net_params=mapping(iterator_valid__batch_size=0)),
            r"net_params\['iterator_valid__batch_size'\] is 0, expecte",
        ),
        (
            params(net_params=mapping(optimizer__odd=1)),
            r"\(TypeError\); save the estimator",
        ),
        # Sizes.
        (params(num_layers=10**7), r"its sizes ask for more layers than it has weights"),
        (
            params(num_layers=2),
            r"its weight encoders.0.lstm.bias_hh_l1 is none, but its sizes ask for float32 of "
            r"shape \(64,\)\)",
        ),
        (
            params(hidden_sizes=10**6),
            r"its weight encoders.1.lstm.bias_hh_l0 is float32 of",
        ),
        (params(hidden_sizes=2**62), r"its sizes make no MTEClassifier, "),
        (params(hidden_sizes=[1, 2]), r"its sizes make no MTEClassifier, ValueError"),
        (
            params(bidirectional=False),
            r"its weight encoders.0.lstm.bias_hh_l0_reverse is floa",
        ),
        (
            attributes(n_features_=mapping(**{**SIZES, "text": 5_000_000})),
            r"lstm.weight_ih_l0 is float32 of shape \(64, 30\), but its sizes ask for "
            r"float32 of shape \(64, 5000000\)\)",
        ),
        (
            lambda h, t: t.update({"module/weights": torch.ones(3, dtype=torch.float64)}),
            r"its weight weights is float64 of shape \(3,\), but its sizes ask for float32",
        ),
        (
            lambda h, t: t.update({f"module/{i}": torch.ones(1) for i in range(10_001)}),
            r"its number of weights is 10\d\d\d, expected at most 10000",
        ),
        # Attributes.
        (attributes(fit=1), r"a fitted attribute is 'fit', expected one that fit makes"),
        (
            attributes(__class__=1),
            r"a fitted attribute is '__class__', expected one that fit",
        ),
        (attributes(net_=1), r"a fitted attribute is 'net_', expected one that fit makes"),
        (without("fitted", "_rows"), r"\(it has no _rows\)"),
        (
            attributes(n_features_={"mapping": []}),
            r"n_features_ is \{\}, expected numbers by",
        ),
        (
            attributes(n_features_=mapping(text=0)),
            r"n_features_ of 'text' is 0, expected a w",
        ),
        (attributes(n_features_={"mapping": [[1, 1]]}), r"a modality in n_features_ is 1"),
        (
            attributes(modalities_=["audio"]),
            r"modalities_ is \['audio'\], expected \['text'",
        ),
        (
            attributes(n_nonfinite_=mapping(text=0)),
            r"the modalities of n_nonfinite_ is \['te",
        ),
        (
            attributes(n_nonfinite_=mapping(text=-1)),
            r"n_nonfinite_ of 'text' is -1, expected",
        ),
        (attributes(_n_steps=None), r"_n_steps is None, expected numbers by modality"),
        (
            attributes(_n_steps=mapping(text=10**9)),
            r"_n_steps of 'text' is 1000000000, expected a whole number from 1 to 131072",
        ),
        (params(padding="mask"), r"_n_steps is .*, expected None with padding='mask'"),
        (attributes(labels_=[]), r"labels_ is \[\], expected names of labels"),
        (
            attributes(labels_=[[1], 2]),
            r"labels_ is \[\[1\], 2\], expected names of labels",
        ),
        (
            attributes(labels_=["a", "a"]),
            r"labels_ is \['a', 'a'\], expected each label once",
        ),
        (
            attributes(labels_={"tuple": LABELS}),
            r"labels_ is \('anger', .*, expected names",
        ),
        (
            attributes(labels_=["x" * 5000, *map(str, range(5000))]),
            r"labels_ is .*, expected at most 16777216 characters",
        ),
        (
            attributes(_seen_names=LABELS),
            r"_seen_names is \['anger', .*, expected names of",
        ),
        (
            attributes(labels_=LABELS[1:]),
            r"_rows is array\(float32, \(6, 16\)\), expected floa",
        ),
        (attributes(multilabel_=1), r"multilabel_ is 1, expected true or false"),
        (
            attributes(multilabel_=False),
            r"encoded of an episode is .*, expected targets of 6",
        ),
        (attributes(_has_vectors=None), r"_has_vectors is None, expected true or false"),
        (attributes(_auxiliary_means=3), "_auxiliary_means is 3, expected finite numbers"),
        (
            attributes(_auxiliary_means=mapping(sentiment="a")),
            "_auxiliary_means is .*, expected finite numbers by name",
        ),
        (
            attributes(_auxiliary_means=mapping(sentiment=float("inf"))),
            "_auxiliary_means is .*, expected finite numbers by name",
        ),
        (attributes(n_iter_=-1), r"n_iter_ is -1, expected a whole number of at least 0"),
        (attributes(n_empty_=-1), r"n_empty_ is -1, expected a whole number of at least 0"),
        (attributes(history_={"tuple": []}), r"history_ is \(\), expected a list"),
        (attributes(history_=[1]), r"an entry of history_ is 1, expected values by name"),
        (
            attributes(history_=[mapping(epoch="a")]),
            r"an epoch is \{'epoch': 'a'\}, expected",
        ),
        (
            attributes(continual_report_=[{"mapping": [[1, 2]]}]),
            r"an entry of continual_rep",
        ),
        (
            attributes(n_features_in_=0),
            r"n_features_in_ is 0, expected a whole number of at",
        ),
        (
            attributes(feature_names_in_=["a"]),
            r"feature_names_in_ is \['a'\], expected names",
        ),
        (
            attributes(feature_names_in_={"array": [1], "dtype": "O"}, n_features_in_=1),
            r"feature_names_in_ is array\(object, \(1,\)\), expected names of 1 columns",
        ),
        (
            attributes(feature_names_in_={"array": ["a"], "dtype": "O"}, n_features_in_=2),
            r"feature_names_in_ is array\(object, \(1,\)\), expected names of 2 columns",
        ),
    ],
)
def test_headers_that_do_not_fit(load_changed, change, message):
    with pytest.raises(ValueError, match=message) as caught:
        load_changed(change)
    assert str(caught.value).startswith("model ")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "_rows",
            np.ones((6, 16)),
            r"_rows is array\(float64, \(6, 16\)\), expected float32",
        ),
        (
            "_rows",
            np.ones(6, "f4"),
            r"_rows is array\(float32, \(6,\)\), expected float32 row",
        ),
        (
            "_rows",
            np.ones((6, 0), "f4"),
            r"_rows is array\(float32, \(6, 0\)\), expected flo",
        ),
        (
            "_rows",
            np.ones((5, 16), "f4"),
            r"_rows is array\(float32, \(5, 16\)\), expected f",
        ),
        (
            "_rows",
            np.ones((6, 9), "f4"),
            r"the width of _rows is 9, expected that of _seen_ro",
        ),
        (
            "_seen_rows",
            np.ones((7, 16), "f4"),
            r"_seen_rows is .*, expected float32 rows of 6",
        ),
        (
            "thresholds_",
            np.ones(5),
            r"thresholds_ is array\(float64, \(5,\)\), expected 6 num",
        ),
        (
            "thresholds_",
            np.ones((6, 1)),
            r"thresholds_ is array\(float64, \(6, 1\)\), expect",
        ),
        (
            "thresholds_",
            np.ones(6, "i8"),
            r"thresholds_ is array\(int64, \(6,\)\), expected 6",
        ),
        (
            "_seen_thresholds",
            np.ones(7),
            r"_seen_thresholds is array\(float64, \(7,\)\), expe",
        ),
        ("_seen_shares", np.full(7, 0.5), r"_seen_shares is array\(float64, \(7,\)\)"),
        ("_seen_shares", np.ones(6), r"_seen_shares is .*, expected 6 numbers between 0"),
        ("_seen_shares", np.zeros(6), r"_seen_shares is .*, expected 6 numbers between"),
        ("_seen_shares", np.full(6, np.nan), r"_seen_shares is .*, expected 6 numbers b"),
    ],
)
def test_arrays_that_do_not_fit(load_changed, name, value, message):
    with pytest.raises(ValueError, match=message):
        load_changed(lambda h, t: t.update({h["fitted"][name]["tensor"]: array(value)}))


@pytest.mark.parametrize(
    "value",
    ["ab", LABELS, {"array": LABELS[:-1], "dtype": "U"}, {"array": [], "dtype": "U"}],
)
def test_classes_are_the_labels_as_an_array(load_changed, value):
    with pytest.raises(ValueError, match=r"classes_ is .*, expected those of labels_"):
        load_changed(attributes(classes_=value))


@pytest.mark.parametrize("value", [{"array": ["a"], "dtype": "U"}, {"tensor": "array/x"}])
def test_vectors_are_rows_of_numbers(load_changed, value):
    def change(header, tensors):
        tensors["array/x"] = torch.tensor(1.0)
        header["params"]["label_vectors"] = mapping(sad=value)

    with pytest.raises(
        ValueError, match=r"label_vectors\['sad'\] is array\(.*, expected num"
    ):
        load_changed(change)


def memory(**values):
    """A change of the one episode of the memory; arrays change the tensors."""

    def change(header, tensors):
        episode = dict(header["memory"]["mapping"])["episodes"][0]["mapping"]
        for pair in episode:
            if pair[0] in values:
                new = values[pair[0]]
                if callable(new):
                    new(pair[1], tensors)
                else:
                    pair[1] = new

    return change


def block(position, value):
    """A change of an array of the episode's text."""

    def change(blocks, tensors):
        tensors[blocks["mapping"][0][1][position]["tensor"]] = array(value)

    return change


def weights(value):
    """Weights of the episode's rows, which has none."""

    def change(header, tensors):
        memory(weights={"tensor": "array/of_weights"})(header, tensors)
        tensors["array/of_weights"] = array(value)

    return change


def groups(value):
    """Groups of the episode's rows, which has none."""

    def change(header, tensors):
        episode = dict(header["memory"]["mapping"])["episodes"][0]["mapping"]
        episode.append(["groups", {"tensor": "array/of_groups"}])
        tensors["array/of_groups"] = array(value)

    return change


def encoded(value):
    return lambda where, tensors: tensors.update({where["tensor"]: array(value)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h, t: h.update(memory=3), r"the memory is 3, expected a size and episodes"),
        (
            lambda h, t: h.update(memory=mapping(size=1)),
            r"the memory is \{'size': 1\}, expect",
        ),
        (
            lambda h, t: h["memory"]["mapping"][0].__setitem__(1, 0),
            r"the memory's size is 0, expected a number or None",
        ),
        (
            lambda h, t: h["memory"]["mapping"][1].__setitem__(1, {"tuple": []}),
            r"the memory's episodes is \(\), expected a list",
        ),
        (
            lambda h, t: h["memory"]["mapping"][1][1].append({"mapping": []}),
            r"an episode is \{\}, expected \['encoded', 'modalities', 'n_seen', 'weights'\]",
        ),
        (
            memory(n_seen=3),
            r"n_seen of an episode is 3, expected a whole number of at least 4",
        ),
        (memory(weights=[]), r"weights of an episode is \[\], expected None, or a positiv"),
        (groups(np.arange(3)), r"groups of an episode is .*, expected None, or 4 whole"),
        (groups(np.ones(4)), r"groups of an episode is array"),
        (weights(np.ones(3)), r"weights of an episode is"),
        (weights(np.zeros(4)), r"weights of an episode is"),
        (
            memory(weights="0"),
            r"weights of an episode is '0', expected None, or a positive",
        ),
        (
            memory(encoded=encoded(np.full((4, 6), 2, "f4"))),
            r"encoded of an episode is array",
        ),
        (
            memory(encoded=encoded(np.full((4, 6), -1, "f4"))),
            r"encoded of an episode is arr",
        ),
        (memory(encoded=encoded(np.ones((4, 7), "f4"))), r"expected targets of 6 labels"),
        (memory(encoded=encoded(np.ones((4, 0), "f4"))), r"expected targets of 6 labels"),
        (memory(encoded=encoded(np.ones((0, 6), "f4"))), r"expected targets of 6 labels"),
        (memory(encoded=encoded(np.ones(4, "i8"))), r"expected targets of 6 labels"),
        (
            memory(encoded=encoded(np.ones((3, 6), "f4"))),
            r"lengths is array\(int64, \(4,\)\)",
        ),
        (
            memory(modalities={"mapping": []}),
            r"the modalities of an episode is \{\}, expecte",
        ),
        (
            memory(
                modalities=lambda blocks, t: blocks["mapping"][0].__setitem__(0, "smell")
            ),
            r"an episode's modality is 'smell', expected one of \['text', 'audio', 'vision'\]",
        ),
        (
            memory(modalities=lambda blocks, t: blocks["mapping"][0][1].pop()),
            r"the episode's 'text' is \[array\(float32, .*, expected values, lengths and vec",
        ),
        (
            memory(modalities=block(0, np.ones((9, 3), "f4"))),
            r"expected frames of 30 values",
        ),
        (memory(modalities=block(0, np.ones((9, 30)))), r"expected frames of 30 values"),
        (
            memory(modalities=block(0, np.ones((9, 30), "f4"))),
            r"add up to \d+ steps, but 9 fr",
        ),
        (memory(modalities=block(1, np.ones(4))), r"expected those of 4 utterances"),
        (
            memory(modalities=block(1, np.ones((4, 1), "i8"))),
            r"expected those of 4 utterances",
        ),
    ],
)
def test_memories_that_do_not_fit(load_changed, change, message):
    with pytest.raises(ValueError, match=message) as caught:
        load_changed(change)
    assert str(caught.value).endswith("; save the estimator again.")


def test_memory_goes_on(load_changed, tiny, tiny_model):
    again = load_changed(lambda header, tensors: None)
    held, wanted = again.memory_.to_plain(), tiny_model.memory_.to_plain()
    np.testing.assert_equal(held, wanted)
    y = tiny.y[tiny.seen]
    again.partial_fit(tiny.X, y)
    np.testing.assert_array_equal(
        again.predict_proba(tiny.X),
        copy.deepcopy(tiny_model).partial_fit(tiny.X, y).predict_proba(tiny.X),
    )


def test_memory_of_classes(tiny, tmp_path):
    model = MTEClassifier(**TINY, store_memory=True, memory_size=4)
    model.fit(tiny.X, np.arange(40) % 3).save(tmp_path / "m")
    assert (
        sk_mer.load(tmp_path / "m").memory_.episodes[0].examples.targets.encoded.max() < 3
    )
    header, tensors = hostile_headers.read_model(tmp_path / "m")
    where = dict(dict(header["memory"]["mapping"])["episodes"][0]["mapping"])["encoded"]
    tensors[where["tensor"]] = torch.tensor([0, 1, 2, 3])
    hostile_headers.write_model(tmp_path / "m", header, tensors)
    with pytest.raises(ValueError, match=r"expected targets of 3 labels"):
        sk_mer.load(tmp_path / "m")
    header["fitted"]["labels_"] = [0, 1, 3]
    hostile_headers.write_model(tmp_path / "m", header, tensors)
    with pytest.raises(ValueError, match=r"classes_ is .*, expected those of labels_"):
        sk_mer.load(tmp_path / "m")


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 50_000, "{", "", "1" * 9_000])
def test_text_that_is_no_header(saved_tiny, tmp_path, text):
    save_file(saved_tiny[1], tmp_path / "model", metadata={"sk_mer": text})
    message = (
        r"^model is damaged or was not written by sk_mer's save\(\) \(.+\); save the est"
    )
    with pytest.raises(ValueError, match=message):
        sk_mer.load(tmp_path / "model")


def test_altered_headers(saved_tiny, tiny, tmp_path):
    """Each loads and predicts, or is refused with a sentence; none takes much memory."""
    header, tensors = saved_tiny
    rng = np.random.default_rng(0)

    def use():
        model = sk_mer.load(tmp_path / "model")
        assert model.predict_proba(tiny.X[:3]).shape == (3, len(model.labels_))
        assert model.reset_labels().predict(tiny.X[:3]).shape == (3, len(model.labels_))

    seen = set()
    for _ in range(120):
        changed = hostile_headers.altered(header, rng)
        hostile_headers.write_model(tmp_path / "model", changed, tensors)
        seen.add(hostile_headers.outcome(use, "model", 30_000_000))
    assert "read" in seen
    assert len(seen) > 50


def test_large_numbers_take_no_memory(load_changed):
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="but its sizes ask for"):
            load_changed(attributes(n_features_=mapping(**{**SIZES, "text": 10**12})))
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_discrepancies_of_a_file(tmp_path):
    """Those of a model that matches modalities, and of no other."""
    data = make_multimodal_emotions(40, random_state=0)
    small = {"hidden_size": 4, "num_heads": 2, "max_epochs": 1, "random_state": 0}
    CMDMClassifier(**small).fit(data.X, data.y[data.seen]).save(tmp_path / "model")
    for change, message in (
        (attributes(mmd_=3), "mmd_ is 3, expected numbers by pair"),
        (
            attributes(mmd_=mapping(text=1.0)),
            "a key of mmd_ is 'text', expected two of",
        ),
        (
            attributes(mmd_={"mapping": [[{"tuple": ["text", "smell"]}, 1.0]]}),
            "a key of mmd_ .* expected two of",
        ),
        (
            attributes(mmd_={"mapping": [[{"tuple": ["audio", "text"]}, "far"]]}),
            "mmd_ of .* is 'far', expected a number",
        ),
        (without("fitted", "mmd_"), "it has no mmd_"),
    ):
        header, tensors = hostile_headers.read_model(tmp_path / "model")
        change(header, tensors)
        hostile_headers.write_model(tmp_path / "changed", header, tensors)
        with pytest.raises(ValueError, match=message):
            sk_mer.load(tmp_path / "changed")
