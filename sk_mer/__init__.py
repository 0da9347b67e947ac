"""Multimodal emotion recognition with scikit-learn's interface."""

from ._version import __version__
from .labels.space import load_label_vectors
from .models import EFLSTMClassifier, LFLSTMClassifier, MTEClassifier
from .multimodal.array import MultimodalArray
from .persistence.model_file import load

__all__ = [
    "EFLSTMClassifier",
    "LFLSTMClassifier",
    "MTEClassifier",
    "MultimodalArray",
    "__version__",
    "load",
    "load_label_vectors",
]
