"""What imports what: no circles, and no torch where none is needed."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import pytest

import sk_mer

ROOT = Path(sk_mer.__file__).parent
WITHOUT_TORCH = [
    "sk_mer",
    "sk_mer.datasets",
    "sk_mer.feature_extraction",
    "sk_mer.inspection",
    "sk_mer.labels",
    "sk_mer.lexical",
    "sk_mer.linear_model",
    "sk_mer.metrics",
    "sk_mer.model_selection",
    "sk_mer.multimodal",
    "sk_mer.preprocessing",
    "sk_mer.protocols",
    "sk_mer.serving",
]
HIDDEN = """
import sys

class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {hidden}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hide())
"""


def run(code, *hidden):
    program = HIDDEN.format(hidden=set(hidden) or "()") + code
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_packages_that_need_no_torch():
    code = "\n".join(f"import {name}" for name in WITHOUT_TORCH)
    run(code, "torch", "skorch", "safetensors")


def test_predicting_without_torch(tmp_path, emotions, fitted_mte):
    import numpy as np

    fitted_mte.export_onnx(tmp_path / "model.onnx")
    emotions.X[:5].to_disk(tmp_path / "X")
    code = f"""
from sk_mer import MultimodalArray
from sk_mer.serving import OnnxEmotionPredictor
model = OnnxEmotionPredictor({str(tmp_path / "model.onnx")!r})
X = MultimodalArray.from_disk({str(tmp_path / "X")!r})
print(model.predict_proba(X).tolist())
"""
    found = np.array(ast.literal_eval(run(code, "torch", "skorch")))
    np.testing.assert_allclose(found, fitted_mte.predict_proba(emotions.X[:5]), atol=1e-6)


def test_an_estimator_without_torch_says_what_is_missing():
    code = """
import sk_mer
try:
    sk_mer.MTEClassifier
except ModuleNotFoundError as error:
    print(error)
"""
    assert "No module named 'torch'" in run(code, "torch")


def test_names_are_found_after_a_plain_import():
    code = """
import sk_mer
assert "torch" not in sys.modules
assert "pandas" not in sys.modules
for name in dir(sk_mer):
    getattr(sk_mer, name)
print(dir(sk_mer))
"""
    assert ast.literal_eval(run(code)) == sorted({*sk_mer.__all__, *sk_mer._PACKAGES})
    with pytest.raises(AttributeError, match="module 'sk_mer' has no attribute 'nothing'"):
        sk_mer.nothing


def run_statements(tree):
    """All of a tree but what only type checkers read."""
    left_out = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    return [node for node in ast.walk(tree) if node not in left_out]


@lru_cache
def imports():
    """For each module of the package the modules that it imports, in functions too."""
    names = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    found = {}
    for name, path in names.items():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        targets = set()
        for node in run_statements(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.level or "sk_mer" in node.module):
                dots = "." * node.level
                base = importlib.util.resolve_name(dots + (node.module or ""), package)
                for alias in node.names:
                    full = f"{base}.{alias.name}"
                    targets.add(full if full in names else base)
        found[name] = targets & set(names) - {name}
    return found


def test_no_circles():
    below = imports()
    while below:
        floor = {name for name, targets in below.items() if not targets & set(below)}
        assert floor, f"these import each other: {sorted(below)}"
        below = {name: targets for name, targets in below.items() if name not in floor}


ESTIMATORS = ["base", "classifier", "regressor", "examples", "fitted", "loading", "models"]
PREDICTORS = ["predictor", "set_labels", "emotion_predictor"]
FLOORS = [
    ("sk_mer.engine", [*ESTIMATORS, "persistence", "continual", *PREDICTORS]),
    ("sk_mer.persistence", ESTIMATORS),
    ("sk_mer.base", ["classifier", "regressor", "loading", "models"]),
    ("sk_mer.targets", [*ESTIMATORS, "engine", "batching", "validation", *PREDICTORS]),
    ("sk_mer.datasets", [*ESTIMATORS, "engine", "persistence", *PREDICTORS]),
    ("sk_mer.metrics", [*ESTIMATORS, "engine", "datasets", *PREDICTORS]),
    ("sk_mer.multimodal", ["labels", "validation", "engine", "models", "metrics"]),
    ("sk_mer.labels", ["validation", "engine", "models", "metrics", "multimodal"]),
    ("sk_mer.predictor", [*ESTIMATORS, *PREDICTORS[1:], "engine", "batching"]),
    ("sk_mer.set_labels", [*ESTIMATORS, "emotion_predictor", "engine", "batching"]),
    ("sk_mer.emotion_predictor", [*ESTIMATORS, "engine", "batching"]),
    ("sk_mer.serving", [*ESTIMATORS, "engine", "batching"]),
    ("sk_mer.continual", [*ESTIMATORS, "persistence"]),
]


@pytest.mark.parametrize(("floor", "above"), FLOORS)
def test_imports_point_down(floor, above):
    for name, targets in imports().items():
        if name == floor or name.startswith(floor + "."):
            upper = {t for t in targets if t.split(".")[1] in above}
            assert not upper, f"{name} imports {sorted(upper)}"


def test_a_system_imports_no_other_system():
    systems = {n for n in imports() if n.startswith("sk_mer.models.") and n.count(".") == 2}
    systems.discard("sk_mer.models.layers")
    for name in systems:
        assert not imports()[name] & (systems - {name})


def test_versions(capsys):
    sk_mer.show_versions()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("python 3.")
    assert lines[1] == f"sk-mer {sk_mer.__version__}"
    assert any(line.startswith("torch 2.") for line in lines)
    named = [line.split()[0] for line in lines]
    assert len(set(named)) == len(named) > 10
