"""Multimodal emotion recognition with scikit-learn's interface.

Names are imported when they are first used: readers, metrics and the predictor of exported
models need no torch, and do not wait for it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from ._show_versions import show_versions
    from ._systems import systems
    from .ensemble import SoftVotingClassifier
    from .labels import load_label_vectors
    from .lexical import LexicalEmotionScorer
    from .linear_model import (
        ESZSLClassifier,
        PooledLinearClassifier,
        PooledLinearRegressor,
    )
    from .loading import from_pretrained, load, push_to_hub, save
    from .models import (
        AttentionFusionClassifier,
        CMDMClassifier,
        EFLSTMClassifier,
        EFLSTMRegressor,
        EmoBedClassifier,
        EmoBedRegressor,
        GraphMFNClassifier,
        LFLSTMClassifier,
        LFLSTMRegressor,
        MCTNClassifier,
        MTEClassifier,
        MTLClassifier,
        MulTClassifier,
        RAVENClassifier,
        RMFNClassifier,
        TAILORClassifier,
    )
    from .multimodal import MultimodalArray
    from .own_module import ModuleClassifier
    from .pseudo_labels import PseudoLabelClassifier
    from .published import published_results
    from .recommend import recommended

__all__ = [
    "AttentionFusionClassifier",
    "CMDMClassifier",
    "EFLSTMClassifier",
    "EFLSTMRegressor",
    "ESZSLClassifier",
    "EmoBedClassifier",
    "EmoBedRegressor",
    "GraphMFNClassifier",
    "LFLSTMClassifier",
    "LFLSTMRegressor",
    "LexicalEmotionScorer",
    "MCTNClassifier",
    "MTEClassifier",
    "MTLClassifier",
    "ModuleClassifier",
    "MulTClassifier",
    "MultimodalArray",
    "PooledLinearClassifier",
    "PooledLinearRegressor",
    "PseudoLabelClassifier",
    "RAVENClassifier",
    "RMFNClassifier",
    "SoftVotingClassifier",
    "TAILORClassifier",
    "__version__",
    "from_pretrained",
    "load",
    "load_label_vectors",
    "published_results",
    "push_to_hub",
    "recommended",
    "save",
    "show_versions",
    "systems",
]

_HOMES = {
    "AttentionFusionClassifier": "models",
    "CMDMClassifier": "models",
    "EFLSTMClassifier": "models",
    "EFLSTMRegressor": "models",
    "ESZSLClassifier": "linear_model",
    "EmoBedClassifier": "models",
    "EmoBedRegressor": "models",
    "GraphMFNClassifier": "models",
    "LFLSTMClassifier": "models",
    "LFLSTMRegressor": "models",
    "LexicalEmotionScorer": "lexical",
    "MCTNClassifier": "models",
    "MTEClassifier": "models",
    "ModuleClassifier": "own_module",
    "MTLClassifier": "models",
    "MulTClassifier": "models",
    "MultimodalArray": "multimodal",
    "PooledLinearClassifier": "linear_model",
    "PooledLinearRegressor": "linear_model",
    "PseudoLabelClassifier": "pseudo_labels",
    "RAVENClassifier": "models",
    "RMFNClassifier": "models",
    "SoftVotingClassifier": "ensemble",
    "TAILORClassifier": "models",
    "from_pretrained": "loading",
    "load": "loading",
    "load_label_vectors": "labels",
    "published_results": "published",
    "push_to_hub": "loading",
    "recommended": "recommend",
    "save": "loading",
    "show_versions": "_show_versions",
    "systems": "_systems",
}
_PACKAGES = (
    "datasets",
    "feature_extraction",
    "inspection",
    "labels",
    "linear_model",
    "metrics",
    "model_selection",
    "models",
    "multimodal",
    "preprocessing",
    "protocols",
    "serving",
)


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return import_module(f".{name}", __name__)
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_PACKAGES})
