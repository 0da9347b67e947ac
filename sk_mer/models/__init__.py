"""One file a published system: its torch module above, its estimators below.

``__all__`` is the registry of systems, which saving, documentation and tests go through.
"""

from .attention_fusion import AttentionFusionClassifier
from .cmdm import CMDMClassifier
from .ef_lstm import EFLSTMClassifier, EFLSTMRegressor
from .emobed import EmoBedClassifier, EmoBedRegressor
from .graph_mfn import GraphMFNClassifier
from .lf_lstm import LFLSTMClassifier, LFLSTMRegressor
from .mctn import MCTNClassifier
from .mte import MTEClassifier
from .mtl import MTLClassifier
from .mult import MulTClassifier
from .raven import RAVENClassifier
from .rmfn import RMFNClassifier
from .tailor import TAILORClassifier

__all__ = [
    "AttentionFusionClassifier",
    "CMDMClassifier",
    "EFLSTMClassifier",
    "EFLSTMRegressor",
    "EmoBedClassifier",
    "EmoBedRegressor",
    "GraphMFNClassifier",
    "LFLSTMClassifier",
    "LFLSTMRegressor",
    "MCTNClassifier",
    "MTEClassifier",
    "MTLClassifier",
    "MulTClassifier",
    "RAVENClassifier",
    "RMFNClassifier",
    "TAILORClassifier",
]
