"""Multimodal emotion recognition with scikit-learn's interface."""

from ._version import __version__
from .labels import load_label_vectors
from .models import EFLSTMClassifier, LFLSTMClassifier, MTEClassifier
from .multimodal import MultimodalArray
from .persistence import load

__all__ = [
    "EFLSTMClassifier",
    "LFLSTMClassifier",
    "MTEClassifier",
    "MultimodalArray",
    "__version__",
    "load",
    "load_label_vectors",
]
