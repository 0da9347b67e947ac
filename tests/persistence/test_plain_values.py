"""Values as JSON with arrays beside it, and back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sk_mer._declared import check_names
from sk_mer.persistence.plain_values import PlainReader, PlainWriter


def there_and_back(value):
    writer = PlainWriter()
    plain = json.loads(json.dumps(writer.plain(value, "x")))
    reader = PlainReader(writer.tensors)
    found = reader.value(plain)
    reader.finish()
    return found, writer.notes


@pytest.mark.parametrize(
    "value",
    [
        *(
            None,
            True,
            False,
            0,
            -(2**63),
            2**64 - 1,
            0.1,
            float("inf"),
            "",
            "é\ud800",
            [],
            (),
        ),
        *({}, {"a": {1: (2.5, None)}, (1, "b"): [[]], None: True}, [[1, 2], (3, [4])]),
    ],
)
def test_plain_values_come_back(value):
    found, notes = there_and_back(value)
    assert (found, type(found), notes) == (value, type(value), [])


@pytest.mark.parametrize(
    "dtype", ["?", "u1", "i1", "i2", "i4", "i8", "f2", "f4", "f8", ">f8"]
)
@pytest.mark.parametrize("shape", [(), (3,), (0, 2), (2, 3)])
def test_arrays_come_back(dtype, shape):
    value = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    found, notes = there_and_back({"a": [value]})
    np.testing.assert_array_equal(found["a"][0], value)
    assert (found["a"][0].dtype, notes) == (value.dtype.newbyteorder("="), [])


@pytest.mark.parametrize("items", [[], ["a", "bc"]])
def test_text_arrays_come_back(items):
    found, notes = there_and_back(np.array(items, dtype="U"))
    assert (found.tolist(), found.dtype.kind, notes) == (items, "U", [])


def test_object_arrays_come_back():
    value = np.empty(2, dtype=object)
    value[:] = [(1, "a")], [2, None]
    found, notes = there_and_back(value)
    assert (found.dtype, found.shape, notes) == (np.dtype(object), (2,), [])
    assert found.tolist() == value.tolist()


def test_other_values_come_back_plain():
    found, _ = there_and_back([Path("a/b"), np.float32(0.5), np.int8(3), np.str_("c")])
    assert found == [str(Path("a/b")), 0.5, 3, "c"]
    assert [type(value) for value in found] == [str, float, int, str]


def test_what_has_no_plain_form_is_left_out():
    value = {
        "kept": 1,
        "code": print,
        "list": [len, 2],
        "when": np.datetime64("2020-01-01"),
    }
    found, notes = there_and_back(value)
    assert found == {"kept": 1, "list": [None, 2]}
    kinds = ["builtin_function_or_method"] * 2 + ["date"]
    wanted = [
        f"x holds a {kind}, which a file without code cannot carry; it was left out."
        for kind in kinds
    ]
    assert notes == wanted
    assert there_and_back(np.array([["a"], ["b"]]))[0] is None


@pytest.mark.parametrize("name", [("joy", "high"), (("a", 1), "b"), "joy", 3, 0.5, True])
def test_names_of_labels(name):
    assert check_names([name, "other"], "labels") == (name, "other")


@pytest.mark.parametrize("name", [(), (None,), None, ["a"], ("a", [1])])
def test_what_names_no_label(name):
    with pytest.raises(ValueError, match=r"^labels is .*, expected names of labels$"):
        check_names([name, "other"], "labels")


def test_text_arrays_share_a_bound():
    arrays = [{"array": ["x" * 1500, *["y"] * 4500], "dtype": "U"}] * 3
    assert len(PlainReader({}).value(arrays[:1])[0]) == 4501
    with pytest.raises(ValueError, match="expected at most 16777216 characters"):
        PlainReader({}).value(arrays)
