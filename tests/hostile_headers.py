"""Descriptions that a stranger wrote: valid ones with something else in a few places.

``altered`` works on any JSON, so that one list of bad values serves models, exported
graphs and containers on disk.
"""

from __future__ import annotations

import copy
import json
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

# What a value is replaced by; the last ones are made anew, for they are large.
BAD_VALUES: list[Callable[[], Any]] = [
    *(
        lambda value=value: copy.deepcopy(value)
        for value in (
            *(None, True, False, 0, 1, -1, 2, 0.5, -2.5, 1e300, 10**7, 2**31, 2**63 - 1),
            *(2**63, -(2**63) - 1, 10**30, float("nan"), float("inf")),
            *(
                "",
                "mask",
                "none",
                "tune",
                "cpu",
                "meta",
                "cuda:99",
                "glove.kv",
                "/dev/zero",
            ),
            *(
                "__class__",
                "__dict__",
                "os.system",
                "9",
                [],
                {},
                [[]],
                [{}],
                [None],
                [1, 2],
            ),
            *(
                ["a", "a"],
                [[1.0], [2.0, 3.0]],
                {"tuple": []},
                {"tuple": 3},
                {"mapping": []},
            ),
            *({"mapping": [[1]]}, {"mapping": [[[], 1]]}, {"mapping": {}}, {"tensor": "x"}),
            *({"tensor": 3}, {"tensor": "array/0"}, {"tensor": "module/weights"}),
            *({"array": ["a"] * 20, "dtype": "U100000000"}, {"array": "abc", "dtype": "U"}),
            *(
                {"array": [1, 2], "dtype": "f8"},
                {"array": [[1]], "dtype": "O"},
                {"other": 1},
            ),
        )
    ),
    lambda: ["x" * 20_000, *["y"] * 20_000],
    lambda: {"array": ["x" * 20_000, *["y"] * 20_000], "dtype": "U"},
    lambda: _nested(150, lambda inner: [inner]),
    lambda: _nested(150, lambda inner: {"tuple": [inner]}),
    lambda: _nested(150, lambda inner: {"mapping": [["a", inner]]}),
    lambda: list(range(20_000)),
]
# What a name is replaced by, or added as.
BAD_NAMES = ["", "x", "version", "__class__", "__dict__", "fit", "net_", "_rows", "device"]


def _nested(depth: int, wrap: Callable[[Any], Any]) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = wrap(value)
    return value


def altered(plain: Any, rng: np.random.Generator, *, steps: int = 2) -> Any:
    """A copy of some JSON with one to `steps` values replaced, dropped, renamed or added."""
    found = copy.deepcopy(plain)
    for _ in range(int(rng.integers(1, steps + 1))):
        if rng.random() < 0.02 or not (found and isinstance(found, (dict, list))):
            found = _pick(rng, BAD_VALUES)()
            continue
        parent, key = found, _pick(rng, _keys(found))
        # Each level is as likely as the others, however many values lie in it.
        while parent[key] and isinstance(parent[key], (dict, list)) and rng.random() < 0.7:
            parent = parent[key]
            key = _pick(rng, _keys(parent))
        _alter(parent, key, rng)
    return found


def _keys(parent: Any) -> Any:
    return list(parent) if isinstance(parent, dict) else range(len(parent))


def _pick(rng: np.random.Generator, options: Any) -> Any:
    return options[int(rng.integers(len(options)))]


def _alter(parent: Any, key: Any, rng: np.random.Generator) -> None:
    what = rng.random()
    if what < 0.7:
        parent[key] = _pick(rng, BAD_VALUES)()
    elif what < 0.8:
        del parent[key]
    elif isinstance(parent, list):
        parent.insert(key, copy.deepcopy(parent[key]))
    elif what < 0.9:
        parent[_pick(rng, BAD_NAMES)] = parent.pop(key)
    else:
        parent[_pick(rng, BAD_NAMES)] = _pick(rng, BAD_VALUES)()


def outcome(use: Callable[[], None], name: str, most_bytes: int) -> str:
    """What became of a file: ``"read"``, or the sentence that it was refused with.

    Parameters
    ----------
    use : callable
        Reads the file and predicts with what comes back.
    name : str
        Stands in each sentence.
    most_bytes : int
        What Python and numpy may take in between.
    """
    tracemalloc.start()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            use()
        said = "read"
    except (ValueError, FileNotFoundError) as error:
        said = str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < most_bytes, f"{peak} bytes for: {said}"
    one_sentence = said.endswith(".") and "\n" not in said and ". " not in said
    assert said == "read" or (one_sentence and name in said and len(said) < 1_000), said
    return said


def read_model(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and tensors of a model that ``save`` wrote."""
    from safetensors import safe_open

    with safe_open(str(path), "pt") as stream:
        tensors = {name: stream.get_tensor(name).clone() for name in stream.keys()}  # noqa: SIM118
        return json.loads(stream.metadata()["sk_mer"]), tensors


def write_model(path: Path, header: Any, tensors: dict[str, Any]) -> Path:
    """A model's file with that header."""
    from safetensors.torch import save_file

    save_file(tensors, str(path), metadata={"sk_mer": json.dumps(header)})
    return path


def write_exported(path: Path, model: Any, about: Any) -> Path:
    """An exported model's file with that description beside the graph."""
    changed = type(model)()
    changed.CopyFrom(model)
    changed.metadata_props[0].value = json.dumps(about)
    path.write_bytes(changed.SerializeToString())
    return path


def params(**values: Any) -> Callable[[Any, Any], None]:
    """A change of parameters in a model's header."""
    return lambda header, tensors: header["params"].update(values)


def attributes(**values: Any) -> Callable[[Any, Any], None]:
    """A change of fitted attributes in a model's header."""
    return lambda header, tensors: header["fitted"].update(values)


def mapping(**values: Any) -> dict[str, Any]:
    """A mapping as headers have it."""
    return {"mapping": [[name, value] for name, value in values.items()]}


def array(value: Any) -> Any:
    """An array as the files have it."""
    import torch

    return torch.from_numpy(np.asarray(value))
