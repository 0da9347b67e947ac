"""Pictures and tables of what models do."""

from ._continual import ContinualReportDisplay
from ._crossmodal import CrossModalGainDisplay, crossmodal_gain_report
from ._fusion_graph import FusionGraphDisplay
from ._importance import modality_importance
from ._missing import MissingModalityDisplay, missing_modality_report
from ._zero_shot import ZeroShotDisplay, zero_shot_report

__all__ = [
    "ContinualReportDisplay",
    "CrossModalGainDisplay",
    "FusionGraphDisplay",
    "MissingModalityDisplay",
    "ZeroShotDisplay",
    "crossmodal_gain_report",
    "missing_modality_report",
    "modality_importance",
    "zero_shot_report",
]
