"""One file a published system: its torch module above, its estimator below."""

from .lstm_fusion import EFLSTMClassifier, LFLSTMClassifier
from .mte import MTEClassifier

__all__ = ["EFLSTMClassifier", "LFLSTMClassifier", "MTEClassifier"]
