"""One file a published system: its torch module above, its estimators below.

``__all__`` is the registry of systems, which saving, documentation and tests go through.
"""

from .ef_lstm import EFLSTMClassifier, EFLSTMRegressor
from .lf_lstm import LFLSTMClassifier, LFLSTMRegressor
from .mte import MTEClassifier
from .mult import MulTClassifier

__all__ = [
    "EFLSTMClassifier",
    "EFLSTMRegressor",
    "LFLSTMClassifier",
    "LFLSTMRegressor",
    "MTEClassifier",
    "MulTClassifier",
]
