"""Pictures and tables of what models do."""

from ._continual import ContinualReportDisplay
from ._crossmodal import CrossModalGainDisplay, crossmodal_gain_report
from ._fusion_graph import FusionGraphDisplay
from ._history import HistoryDisplay
from ._importance import modality_importance
from ._label_space import LabelSpaceDisplay
from ._missing import MissingModalityDisplay, missing_modality_report
from ._systems_comparison import SystemsComparisonDisplay
from ._thresholds import ThresholdCurveDisplay
from ._transfer import TransferMatrix, transfer_matrix
from ._zero_shot import ZeroShotDisplay, zero_shot_report

__all__ = [
    "ContinualReportDisplay",
    "CrossModalGainDisplay",
    "FusionGraphDisplay",
    "HistoryDisplay",
    "LabelSpaceDisplay",
    "MissingModalityDisplay",
    "SystemsComparisonDisplay",
    "ThresholdCurveDisplay",
    "TransferMatrix",
    "ZeroShotDisplay",
    "crossmodal_gain_report",
    "missing_modality_report",
    "modality_importance",
    "transfer_matrix",
    "zero_shot_report",
]
