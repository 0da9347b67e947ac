"""Pictures and tables of what models do."""

from ._continual import ContinualReportDisplay
from ._fusion_graph import FusionGraphDisplay
from ._importance import modality_importance
from ._missing import MissingModalityDisplay, missing_modality_report

__all__ = [
    "ContinualReportDisplay",
    "FusionGraphDisplay",
    "MissingModalityDisplay",
    "missing_modality_report",
    "modality_importance",
]
